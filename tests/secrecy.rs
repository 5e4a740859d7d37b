//! Secrets are nowhere but in the answer that hands them out (P6).

mod support;

use std::path::Path;

use claviger::proto::{
    CreateKeyResponse, DeleteKeyRequest, GetKeyRequest, ListKeysRequest, Policy, SecretVisibility,
};
use support::builders::{a_key, a_question, small_catalog};
use support::process::{Process, program};
use support::products::ENCRYPTION_KEY;
use tonic::Status;

/// Every file below a directory that holds one of the secrets, and which.
fn files_with(directory: &Path, secrets: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for secret in secrets {
            if bytes.windows(secret.len()).any(|window| window == secret.as_bytes()) {
                found.push(format!("{}: {secret}", path.display()));
            }
        }
    }
    found
}

/// A secret, its header forms, and all but the hint of it.
fn forms(created: &CreateKeyResponse) -> [String; 3] {
    let random = created.secret.split_once('_').unwrap().1;
    let base64 = created.authorization_header.strip_prefix("Basic ").unwrap();
    [created.secret.clone(), base64.to_owned(), random[..random.len() - 6].to_owned()]
}

fn assert_silent(status: &Status, secret: &str) {
    let said = format!("{status:?} {status} {}", String::from_utf8_lossy(status.details()));
    assert!(!said.contains(secret), "{said}");
}

#[tokio::test]
async fn p6_a_secret_is_in_no_log_no_file_no_error_and_no_debug_output() {
    let directory = tempfile::tempdir().unwrap();
    // Everything that any library has to say.
    let arguments = ["--log", "trace", "--secret-encryption-key", ENCRYPTION_KEY];
    let process = Process::start(directory.path(), &arguments).await;
    let operator = process.operator();
    let request = claviger::proto::ApplyCatalogRequest { catalog: Some(small_catalog()) };
    operator.catalogs.clone().apply_catalog(request).await.unwrap();
    let policy = Policy { provision_first_key: true, ..Policy::default() };
    let workspace = operator.create_workspace("acme", "catalogs/small", policy).await.unwrap();
    let key = a_key("k").permissions(&["users.track"]).build();
    let created = operator.create_key("workspaces/acme", key).await.unwrap();
    let visibility = SecretVisibility::Revealable.into();
    let revealable = Policy { secret_visibility: visibility, ..Policy::default() };
    operator.create_workspace("open", "catalogs/small", revealable).await.unwrap();
    let key = a_key("k").permissions(&["users.track"]).build();
    let open = operator.create_key("workspaces/open", key).await.unwrap();
    let name = &open.key.as_ref().unwrap().name;
    let clone = operator.clone_key(name).await.unwrap();
    let revealed = operator.reveal_key(name).await.unwrap();
    assert_eq!(revealed.secret, open.secret);
    let answers = [format!("{clone:?}"), format!("{revealed:?}")];
    let clone = CreateKeyResponse {
        key: clone.key,
        secret: clone.secret,
        authorization_header: clone.authorization_header,
        revision_token: clone.revision_token,
    };
    let control = a_key("c").permissions(&["claviger.authorize"]).build();
    let control = operator.create_key("workspaces/claviger", control).await.unwrap();
    let first = workspace.first_key.clone().unwrap();
    let first = CreateKeyResponse {
        key: first.key,
        secret: first.secret,
        authorization_header: first.authorization_header,
        ..CreateKeyResponse::default()
    };

    // Good and bad uses of each.
    for secret in [&created.secret, &first.secret, &control.secret, &open.secret, &clone.secret] {
        for question in [
            a_question(secret).permission("users.track").build(),
            a_question(secret).permission("users.delete").build(),
            a_question(&format!("{secret}x")).build(),
            a_question("").header(&format!("Bearer {secret}")).build(),
            a_question("").header(&format!("Digest {secret}")).build(),
            a_question("").http("GET", &format!("/users/track?api_key={secret}")).build(),
            a_question("").permission(secret).build(),
        ] {
            assert!(!format!("{question:?}").contains(secret.as_str()));
            operator.authorize(question).await.unwrap();
        }
        for mut question in [a_question("").build(), a_question("").build()] {
            question.client_ip = secret.clone();
            assert_silent(&operator.authorize(question.clone()).await.unwrap_err(), secret);
            question.client_ip = String::new();
            question.workspace = secret.clone();
            assert_silent(&operator.authorize(question).await.unwrap_err(), secret);
        }
        let name = secret.clone();
        let mut keys = operator.keys.clone();
        assert_silent(
            &keys.get_key(GetKeyRequest { name: name.clone() }).await.unwrap_err(),
            secret,
        );
        assert_silent(&keys.delete_key(DeleteKeyRequest { name }).await.unwrap_err(), secret);
        let request = ListKeysRequest { parent: secret.clone(), ..ListKeysRequest::default() };
        assert_silent(&keys.list_keys(request).await.unwrap_err(), secret);
        let wrong = a_key("k").permissions(&[secret]).allowed_ips(&[secret]).build();
        assert_silent(&operator.create_key("workspaces/acme", wrong).await.unwrap_err(), secret);
        // As somebody's control key, good or not.
        let caller = claviger_client(&process, secret);
        caller.authorize(a_question(secret).build()).await.map_or_else(
            |status| assert_silent(&status, secret),
            |response| assert!(!format!("{response:?}").contains(secret.as_str())),
        );
    }
    let responses = [format!("{created:?}"), format!("{workspace:?}"), format!("{first:?}")];
    for response in responses.into_iter().chain(answers) {
        assert!(response.contains("[redacted]"), "{response}");
    }

    let mut secrets: Vec<String> =
        [&created, &first, &control, &open, &clone].into_iter().flat_map(forms).collect();
    secrets.push(ENCRYPTION_KEY.to_owned());
    // While the server runs, with its write-ahead log, and after it has ended.
    assert_eq!(files_with(directory.path(), &secrets), [""; 0]);
    let operator_key = process.operator_key.clone();
    assert_eq!(process.end("TERM").await, Some(0));
    assert_eq!(files_with(directory.path(), &secrets), [""; 0]);
    std::fs::remove_file(directory.path().join("operator.key")).unwrap();
    secrets.push(operator_key);
    assert_eq!(files_with(directory.path(), &secrets), [""; 0]);
    let log = std::fs::read_to_string(directory.path().join("log.jsonl")).unwrap();
    assert!(log.contains("\"level\":\"TRACE\""), "the log says everything");
}

fn claviger_client(process: &Process, key: &str) -> support::server::Client {
    support::server::Client::new(&process.channel, Some(key))
}

#[test]
fn p6_a_control_key_is_never_an_argument() {
    let help = program().args(["catalog", "apply", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("CLAVIGER_CONTROL_KEY"), "{help}");
    assert!(!help.contains("--control-key"), "{help}");
}
