//! The real program, in a process of its own.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tonic::transport::Channel;

use super::eventually;
use super::server::Client;

/// A running `claviger serve`, killed when dropped.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    pub operator_key: String,
    pub channel: Channel,
}

/// The program, with no setting of the environment.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claviger"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CLAVIGER_") {
            command.env_remove(name);
        }
    }
    command
}

impl Process {
    /// Starts the program on this directory. Its log goes to `log.jsonl` in there.
    pub async fn start(directory: &Path, arguments: &[&str]) -> Self {
        let path = directory.join("log.jsonl");
        let log = std::fs::File::create(&path).unwrap();
        let child = program()
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(directory)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let address = eventually("the server listens", || async {
            let log = std::fs::read_to_string(&path).unwrap();
            let (_, rest) = log.split_once("\"message\":\"listening\",\"address\":\"")?;
            rest.split('"').next()?.parse::<SocketAddr>().ok()
        })
        .await;
        let operator_key = std::fs::read_to_string(directory.join("operator.key")).unwrap();
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint.connect().await.unwrap();
        Self { child, address, operator_key: operator_key.trim().to_owned(), channel }
    }

    pub fn operator(&self) -> Client {
        Client::new(&self.channel, Some(&self.operator_key))
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(9));
    }

    /// Sends a signal by its name and returns the exit code. Does not block: the connection to the
    /// server must go on to be able to close.
    pub async fn end(mut self, signal: &str) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        tokio::task::spawn_blocking(move || self.child.wait().unwrap().code()).await.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already, if it was ended; then there is nothing to do.
        if self.child.try_wait().is_ok_and(|exited| exited.is_none()) {
            let ended = self.child.kill().and_then(|()| self.child.wait());
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}
