//! A database server of one test's own, which may be killed, and a proxy in front of it, which may
//! go silent.

use std::fs::{self, File, Permissions};
use std::net::TcpListener as StdListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use sea_orm::{ConnectOptions, ConnectionTrait, Database};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::database::Engine;
use super::{eventually, repository};

/// A database server that can be killed and started again.
pub struct DatabaseServer {
    engine: Engine,
    port: u16,
    directory: TempDir,
    process: Option<Child>,
}

impl DatabaseServer {
    /// A server that is not running yet.
    pub fn new(engine: Engine) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // The server is not root, and must get in.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        // Nobody keeps the port: it is one that nobody had a moment ago.
        let port = StdListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        Self { engine, port, directory, process: None }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    fn scheme(&self) -> &'static str {
        if self.engine == Engine::Postgres { "postgres" } else { "mysql" }
    }

    /// The URL of a database, reached by this port.
    pub fn url(&self, port: u16) -> String {
        format!("{}://claviger:claviger@127.0.0.1:{port}/claviger", self.scheme())
    }

    /// Starts the server and waits until it answers. The database `claviger` is there then.
    pub async fn start(&mut self) {
        self.start_silently();
        let maintenance = if self.engine == Engine::Postgres { "postgres" } else { "mysql" };
        let url =
            format!("{}://claviger:claviger@127.0.0.1:{}/{maintenance}", self.scheme(), self.port);
        eventually("the database server answers", || async {
            let mut options = ConnectOptions::new(&url);
            options.max_connections(1).sqlx_logging(false);
            let connection = Database::connect(options).await.ok()?;
            // The second time it is there already.
            let created = connection.execute_unprepared("CREATE DATABASE claviger").await;
            let found =
                created.is_ok() || created.is_err_and(|error| error.to_string().contains("exists"));
            connection.close().await.unwrap();
            found.then_some(())
        })
        .await;
    }

    /// Starts the server and does not wait.
    pub fn start_silently(&mut self) {
        let engine = if self.engine == Engine::Postgres { "postgres" } else { "mariadb" };
        let log = File::create(self.directory.path().join("log")).unwrap();
        let process = Command::new(repository("scripts/test-database"))
            .args([engine, self.directory.path().join("server").to_str().unwrap()])
            .arg(self.port.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Forwards connections to a port of this machine, or goes silent: a black hole takes what it is
/// sent and answers nothing.
pub struct Proxy {
    pub port: u16,
    silent: watch::Sender<bool>,
}

impl Proxy {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let (silent, watched) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut watched = watched.clone();
                tokio::spawn(async move {
                    if watched.wait_for(|silent| !silent).await.is_err() {
                        return;
                    }
                    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    let (client_read, client_write) = client.into_split();
                    let (server_read, server_write) = server.into_split();
                    tokio::spawn(forward(client_read, server_write, watched.clone()));
                    forward(server_read, client_write, watched).await;
                });
            }
        });
        Self { port: own_port, silent }
    }

    pub fn set_silent(&self, silent: bool) {
        self.silent.send_replace(silent);
    }
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut silent: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let heard = silent.wait_for(|silent| !silent).await.is_ok();
        if !heard || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
