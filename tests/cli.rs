//! The command line: what it prints, what it refuses, and how it ends.

mod support;

use std::io::Write;
use std::process::{Output, Stdio};

use claviger::proto::{GetCatalogRequest, ListKeysRequest};
use support::process::{Process, program};
use support::repository;
use support::server::{Client, TestServer};
use support::status::refusal;
use tonic::Code;

/// Runs the program in a directory of its own, where it may leave nothing.
fn run(arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let mut child = program()
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "{arguments:?}");
    output
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap() + std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn what_is_wrong_with_a_setting_is_said_by_its_name() {
    for (arguments, environment, part) in [
        (&["--listen", "nowhere"][..], &[][..], "--listen"),
        (&["--listen", "0.0.0.0:50051"], &[], "--listen 0.0.0.0:50051 is beyond loopback"),
        (&["serve", "--listen", "[::]:50051"], &[], "--allow-clear-text"),
        (&[], &[("CLAVIGER_LISTEN", "nowhere")], "--listen"),
        (&[], &[("CLAVIGER_LOG_FORMAT", "xml")], "--log-format"),
        (&["--log", "claviger=loud"], &[], "--log must be"),
        (&["--database-url", "mysql://u:hunter2@h/d"], &[], "--database-url is of the server `h`"),
        (&["--database-url", "oracle://u:hunter2@h/d"], &[], "--database-url must begin"),
        (&[], &[("CLAVIGER_DATABASE_URL", "hunter2")], "--database-url must be"),
        (&["--config", "/not/there.toml"], &[], "--config: cannot read /not/there.toml"),
        (&["--tls-certificate-file", "x"], &[], "--tls-private-key-file is needed"),
        (
            &["--tls-certificate-file", "/not/there", "--tls-private-key-file", "/not/there"],
            &[],
            "--tls-certificate-file: cannot read /not/there",
        ),
        (&["--request-timeout-seconds", "0"], &[], "--request-timeout-seconds must lie"),
        (&["--lisen", "127.0.0.1:1"], &[], "--listen"),
        (&["operator-key", "reset", "--database-url", "x"], &[], "--database-url must be"),
    ] {
        let output = run(arguments, environment, "");
        let said = said(&output);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(said.contains(part), "{arguments:?} {environment:?}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn help_and_readme_name_every_setting_alike() {
    let help = said(&run(&["--help"], &[], ""));
    let readme = std::fs::read_to_string(repository("README.md")).unwrap();
    let settings: Vec<&str> = help
        .split_whitespace()
        .filter(|word| word.starts_with("--") && !["--help", "--version"].contains(word))
        .collect();
    assert!(settings.len() >= 13, "{help}");
    for setting in settings {
        let variable = setting.trim_start_matches('-').replace('-', "_").to_uppercase();
        let row = format!("| `{setting}` | `CLAVIGER_{variable}` |");
        assert!(readme.contains(&row), "the README has no row: {row}");
        assert!(help.contains(&format!("[env: CLAVIGER_{variable}")), "{help}");
    }
}

#[test]
fn version_is_printed() {
    let expected = format!("claviger {}\n", env!("CARGO_PKG_VERSION"));
    for arguments in [&["version"][..], &["--version"]] {
        assert_eq!(said(&run(arguments, &[], "")), expected);
    }
}

const TWO_IN_YAML: &str =
    "name: catalogs/two\npermissions:\n  - name: a\n  - name: b\n    implies: [a]\n";
const TWO_IN_JSON: &str = r#"{"name": "catalogs/two", "permissions": [
	{"name": "a"}, {"name": "b", "implies": ["a"]}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_is_applied_from_yaml_and_json() {
    let server = TestServer::start().await;
    let url = format!("http://{}", server.address);
    let key = server.operator_key.expose();
    let files = tempfile::tempdir().unwrap();
    for (name, text) in
        [("two.yaml", TWO_IN_YAML), ("two.yml", TWO_IN_YAML), ("two.json", TWO_IN_JSON)]
    {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        // The control key from the environment, and from standard input.
        for (environment, input) in [
            (vec![("CLAVIGER_SERVER", url.as_str()), ("CLAVIGER_CONTROL_KEY", key)], String::new()),
            (vec![("CLAVIGER_SERVER", url.as_str())], format!("{key}\n")),
        ] {
            let output = run(&["catalog", "apply", path], &environment, &input);
            assert_eq!(said(&output), "Applied catalogs/two: 2 permissions, 0 routes.\n");
            assert!(output.status.success());
        }
    }
    let request = GetCatalogRequest { name: "catalogs/two".to_owned() };
    let catalog = server.operator().catalogs.get_catalog(request).await.unwrap().into_inner();
    let permissions = catalog.catalog.unwrap().permissions;
    assert_eq!(permissions[1].implies, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_catalogue_is_said() {
    let server = TestServer::start().await;
    let url = format!("http://{}", server.address);
    let key = server.operator_key.expose().to_owned();
    let files = tempfile::tempdir().unwrap();
    let twice = "name: catalogs/x\npermissions:\n  - name: a\n    http_routes: [{method: GET, path: /x}]\n  \
                 - name: b\n    http_routes: [{method: GET, path: /x}]\n";
    for (name, text, key, part) in [
        ("a.yaml", "name: [", &key, "a.yaml: "),
        ("a.yaml", "name: catalogs/x\npermissions:\n  - nam: a\n", &key, "unknown field `nam`"),
        ("a.yaml", "name: catalogs/x\npermissions:\n  - name: A\n", &key, "a-z"),
        ("a.json", "{", &key, "a.json: "),
        ("a.yaml", "name: x\npermissions: [{name: a}]\n", &key, "`catalog.name` must be"),
        ("a.yaml", twice, &key, "`b` claims GET /x, which `a` claims already"),
        ("a.yaml", TWO_IN_YAML, &"claviger-is-not-the-key".to_owned(), "not authenticated: "),
        ("a.yaml", TWO_IN_YAML, &"no\nkey".to_owned(), "characters that no key has"),
    ] {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        let environment =
            [("CLAVIGER_SERVER", url.as_str()), ("CLAVIGER_CONTROL_KEY", key.as_str())];
        let output = run(&["catalog", "apply", path.to_str().unwrap()], &environment, "");
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.starts_with("claviger: ") && said.contains(part), "{part}: {said}");
    }
    for (arguments, part) in [
        (&["--server", "http://192.0.2.1:1"][..], "--server http://192.0.2.1:1 is beyond loopback"),
        (&["--server", "http://127.0.0.1:1", "--tls-ca-file", "x"], "not reached by https"),
        (
            &["--server", "https://127.0.0.1:1", "--tls-ca-file", "/not/there"],
            "--tls-ca-file: cannot",
        ),
        (&["--server", "nowhere at all"], "must be a URL"),
    ] {
        let path = repository("examples/catalogs/braze.yaml");
        let arguments = [&["catalog", "apply", path.to_str().unwrap()], arguments].concat();
        let output = run(&arguments, &[("CLAVIGER_CONTROL_KEY", "some-key")], "");
        assert!(said(&output).contains(part), "{part}: {output:?}");
    }
    let nobody = [("CLAVIGER_SERVER", "http://127.0.0.1:1"), ("CLAVIGER_CONTROL_KEY", "some-key")];
    let path = repository("examples/catalogs/braze.yaml");
    let output = run(&["catalog", "apply", path.to_str().unwrap()], &nobody, "");
    assert!(said(&output).contains("cannot reach a server at http://127.0.0.1:1"), "{output:?}");
}

#[tokio::test]
async fn the_operator_key_is_reset_beside_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path(), &[]).await;
    let lost = process.operator_key.clone();
    let kept = support::builders::a_key("kept").permissions(&["*"]).build();
    let kept = process.operator().create_key("workspaces/claviger", kept).await.unwrap().secret;
    assert_eq!(process.end("TERM").await, Some(0));

    let data_dir = directory.path().to_str().unwrap();
    let output = run(&["operator-key", "reset", "--data-dir", data_dir], &[], "");
    let path = directory.path().join("operator.key");
    assert_eq!(said(&output), format!("The new operator key is in {}.\n", path.display()));

    let process = Process::start(directory.path(), &[]).await;
    assert_ne!(process.operator_key, lost);
    let list_as = |control_key: &str| {
        let mut keys = Client::new(&process.channel, Some(control_key)).keys;
        let parent = "workspaces/claviger".to_owned();
        let request = ListKeysRequest { parent, ..ListKeysRequest::default() };
        async move { keys.list_keys(request).await }
    };
    let invalid = (Code::Unauthenticated, "CONTROL_KEY_INVALID".to_owned());
    assert_eq!(refusal(list_as(&lost).await), invalid);
    let listed = list_as(&process.operator_key).await.unwrap().into_inner().keys;
    assert_eq!(listed.len(), 2, "the one that a caller created is still there");
    assert!(list_as(&kept).await.is_ok());
}

#[test]
fn there_is_no_operator_key_to_reset_before_the_first_start() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let output = run(&["operator-key", "reset", "--data-dir", data_dir.to_str().unwrap()], &[], "");
    assert!(said(&output).contains("no server was ever started on this database"), "{output:?}");
    assert!(!data_dir.join("operator.key").exists());
}

#[tokio::test]
async fn an_operator_key_that_was_provided_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let provided = "a-secret-from-the-vault-of-the-operator";
    let path = directory.path().join("operator.key");
    std::fs::write(&path, format!("{provided}\n")).unwrap();
    let arguments = ["--operator-key-file", path.to_str().unwrap()];
    let process = Process::start(directory.path(), &arguments).await;
    assert_eq!(process.operator_key, provided);
    let question = support::builders::a_question("some-key").build();
    assert!(process.operator().authorize(question).await.is_ok());
}
