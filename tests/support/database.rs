//! Databases to test against: a file, or a database of one's own on a server that
//! `scripts/with-databases` runs.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use claviger::store::DatabaseUrl;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use tempfile::TempDir;

/// The engines that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
    MariaDb,
}

impl Engine {
    /// The engine that this run of the wire tests is on: `CLAVIGER_TEST_ENGINE`, or SQLite.
    pub fn of_this_run() -> Self {
        match std::env::var("CLAVIGER_TEST_ENGINE").as_deref() {
            Err(_) | Ok("sqlite") => Self::Sqlite,
            Ok("postgres") => Self::Postgres,
            Ok("mariadb") => Self::MariaDb,
            Ok(other) => panic!("CLAVIGER_TEST_ENGINE={other} is no engine"),
        }
    }

    /// The URL of the server that this run may use, without a database.
    fn server(self) -> Option<String> {
        let variable = match self {
            Self::Sqlite => return None,
            Self::Postgres => "CLAVIGER_TEST_POSTGRES",
            Self::MariaDb => "CLAVIGER_TEST_MARIADB",
        };
        let url = std::env::var(variable);
        Some(url.unwrap_or_else(|_| panic!("{variable} is not set: run scripts/test")))
    }
}

/// An empty database, gone when this is dropped.
pub struct TestDatabase {
    pub engine: Engine,
    pub url: String,
    directory: TempDir,
}

impl TestDatabase {
    pub async fn create(engine: Engine) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let directory = tempfile::tempdir().unwrap();
        let Some(server) = engine.server() else {
            let url = format!("sqlite:{}", directory.path().join("claviger.db").display());
            return Self { engine, url, directory };
        };
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("test_{}_{count}", std::process::id());
        let maintenance = if engine == Engine::Postgres { "postgres" } else { "mysql" };
        let connection = connect(&format!("{server}/{maintenance}")).await;
        connection.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        connection.close().await.unwrap();
        Self { engine, url: format!("{server}/{name}"), directory }
    }

    /// The same database by another URL, for another server.
    pub fn by(&self, url: String) -> Self {
        Self::at(self.engine, url)
    }

    /// A database that somebody else keeps, at this URL.
    pub fn at(engine: Engine, url: String) -> Self {
        Self { engine, url, directory: tempfile::tempdir().unwrap() }
    }

    /// The same database, for another server: it has files of its own.
    pub fn again(&self) -> Self {
        self.by(self.url.clone())
    }

    pub fn database_url(&self) -> DatabaseUrl {
        self.url.parse().unwrap()
    }

    /// A directory for files: a SQLite database is in there.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A connection of somebody else's to the same database.
    pub async fn intruder(&self) -> DatabaseConnection {
        connect(&self.url).await
    }
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}
