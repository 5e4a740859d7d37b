//! The tour of the README and the walks through three key pages, run as they stand: the server on a
//! terminal, the commands in a shell.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::process::program;
use support::products::{self, ENCRYPTION_KEY};
use support::{eventually, repository};

/// A command of the README and the output that stands below it.
#[derive(Debug)]
struct Step {
    command: String,
    output: String,
}

/// The steps of all `console` blocks: a line that begins with `$ ` is a command, the lines up to the
/// next one are its output.
fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in readme.split("```console\n").skip(1) {
        let (block, _) = block.split_once("```").unwrap();
        for line in block.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step { command: command.to_owned(), output: String::new() });
            } else {
                let step = steps.last_mut().unwrap();
                step.output.push_str(line);
                step.output.push('\n');
            }
        }
    }
    steps
}

/// The server as a person starts it: on a terminal, which `script` provides.
struct OnTerminal {
    script: Child,
    address: String,
    control_key: String,
    said: String,
}

impl OnTerminal {
    async fn start(directory: &Path) -> Self {
        let settings = products::settings();
        let instances = settings.instance_endpoints.unwrap();
        let typescript = directory.join("typescript");
        let command = format!(
            "exec {} --listen 127.0.0.1:0 --data-dir {}",
            program().get_program().display(),
            directory.join("data").display()
        );
        let script = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command", &command])
            .arg(&typescript)
            .env("CLAVIGER_SECRET_ENCRYPTION_KEY", ENCRYPTION_KEY)
            .env("CLAVIGER_INSTANCE_ENDPOINTS", instances)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("`script` (Debian: bsdutils) runs a program on a terminal");
        let said = eventually("the server is listening", || async {
            let said = fs::read_to_string(&typescript).ok()?;
            said.contains("listening").then_some(said)
        })
        .await;
        let after = |marker: &str| {
            let (_, rest) = said.split_once(marker).unwrap_or_else(|| panic!("{said}"));
            rest.split_whitespace().next().unwrap().to_owned()
        };
        let control_key = after("export CLAVIGER_CONTROL_KEY=");
        let address = after("grpcurl -plaintext ");
        Self { script, address, control_key, said }
    }

    /// The commands that the first start suggests.
    fn suggestions(&self) -> Vec<String> {
        let lines = self.said.lines().map(str::trim);
        let commands =
            lines.filter(|line| line.starts_with("grpcurl ") || line.contains(" apply "));
        commands.map(str::to_owned).collect()
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // `script` ends the program with it.
        let ended = self.script.kill().and_then(|()| self.script.wait());
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

/// Fields whose values are different each time.
const VARYING: [&str; 8] = [
    "createTime",
    "updateTime",
    "resetTime",
    "hint",
    "secret",
    "authorizationHeader",
    "publicKey",
    "revisionToken",
];

/// What an output is without that which is different each time: ids, times, secrets.
fn normalized(output: &str) -> String {
    let lines: Vec<String> = output.lines().map(|line| normalized_line(line.trim_end())).collect();
    lines.join("\n")
}

fn normalized_line(line: &str) -> String {
    // A field, whose value says at least what it is the value of.
    for field in VARYING {
        if let Some((indent, value)) = line.split_once(&format!("\"{field}\": \"")) {
            assert!(value.trim_end_matches(['"', ',']).len() >= 4, "{line}");
            return format!("{indent}{field} varies");
        }
    }
    let is_varying = |word: &str| {
        let id = word.trim_matches(|c: char| !c.is_ascii_hexdigit());
        let is_uuid = id.len() == 36 && id.bytes().filter(|byte| *byte == b'-').count() == 4;
        // What the command line prints: a secret, its header, a public key and a full stop.
        let is_secret = word.starts_with("codat_") || word.starts_with("Y29kYXRf");
        let is_public_key = line.contains("with the public key") && word.len() == 7;
        is_uuid || is_secret || is_public_key
    };
    line.split_inclusive([' ', '/'])
        .map(|word| if is_varying(word.trim_end()) { "<varies>" } else { word })
        .collect()
}

/// Where the shell finds grpcurl: `scripts/install-tools` puts it there.
fn path_with_tools() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap();
    let tools = repository("target/tools/bin");
    std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&path))).unwrap()
}

/// Runs commands in one shell, as a person would type them, and returns what each printed.
fn run(commands: &[String], server: &OnTerminal) -> Vec<String> {
    const END: &str = "\u{1}end of output\u{1}";
    let mut text = String::new();
    for command in commands {
        text.extend([command, "\nprintf '%s' '", END, "'\n"]);
    }
    let output = Command::new("bash")
        .args(["-c", &format!("exec 2>&1\n{text}")])
        .env("CLAVIGER_CONTROL_KEY", &server.control_key)
        .env("CLAVIGER_SERVER", format!("http://{}", server.address))
        .env("PATH", path_with_tools())
        .current_dir(repository(""))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let mut outputs: Vec<String> = said.split(END).map(str::to_owned).collect();
    assert_eq!(outputs.pop().as_deref(), Some(""), "{said}");
    outputs
}

/// Runs every command of a document and compares what it prints.
async fn follow(document: &str, at_least: usize) {
    let directory = tempfile::tempdir().unwrap();
    let server = OnTerminal::start(directory.path()).await;
    let text = fs::read_to_string(repository(document)).unwrap();
    let steps = steps(&text);
    let here = |command: &String| {
        let program = program().get_program().display().to_string();
        command
            .replace("target/release/claviger", &program)
            .replace("127.0.0.1:50051", &server.address)
    };
    let commands: Vec<String> = steps.iter().map(|step| here(&step.command)).collect();
    let outputs = run(&commands, &server);
    assert_eq!(outputs.len(), steps.len());
    assert!(steps.len() >= at_least, "{document} is whole: {}", steps.len());
    for (step, output) in steps.iter().zip(&outputs) {
        assert_eq!(normalized(output), normalized(&step.output), "{document}: $ {}", step.command);
    }
}

#[tokio::test]
async fn the_tour_of_the_readme_works_as_it_stands() {
    follow("README.md", 15).await;
}

#[tokio::test]
async fn the_walk_through_brazes_key_page_works_as_it_stands() {
    follow("docs/braze.md", 20).await;
}

#[tokio::test]
async fn the_walk_through_codats_key_page_works_as_it_stands() {
    follow("docs/codat.md", 15).await;
}

#[tokio::test]
async fn the_walk_through_klaviyos_key_page_works_as_it_stands() {
    follow("docs/klaviyo.md", 20).await;
}

#[tokio::test]
async fn what_the_first_start_suggests_works_as_pasted() {
    let directory = tempfile::tempdir().unwrap();
    let server = OnTerminal::start(directory.path()).await;
    let commands = server.suggestions();
    assert_eq!(commands.len(), 4, "{}", server.said);
    let outputs = run(&commands, &server);
    for (output, part) in outputs.iter().zip([
        "claviger.v1.KeyService",
        "{}",
        "Applied catalogs/braze: 91 permissions",
        "\"name\": \"workspaces/demo\"",
    ]) {
        assert!(output.contains(part), "{part}: {output}");
    }
    // It is shown to the person and kept nowhere.
    let data = directory.path().join("data");
    assert!(!data.join("operator.key").exists());
}
