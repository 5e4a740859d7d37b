//! What the engine reads of a key, read by the database's driver alone: nothing is made of the row.

use claviger::domain::SecretDigest;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement,
};

/// Behind it comes a placeholder.
const SELECT: &str = "SELECT k.*, w.catalog_id, w.instance, w.policy, c.revision FROM api_keys k \
                      JOIN workspaces w ON w.id = k.workspace_id \
                      LEFT JOIN catalogs c ON c.id = w.catalog_id WHERE k.digest =";

/// A database.
pub(crate) struct Raw {
    connection: DatabaseConnection,
    select: String,
}

impl Raw {
    pub(crate) async fn connect(url: String) -> Self {
        let mut options = ConnectOptions::new(url);
        options.max_connections(4).test_before_acquire(false).sqlx_logging(false);
        let connection = Database::connect(options).await.expect("the database is there");
        let is_numbered = connection.get_database_backend() == DbBackend::Postgres;
        let select = format!("{SELECT} {}", if is_numbered { "$1" } else { "?" });
        Self { connection, select }
    }

    /// Reads the key that has this digest.
    pub(crate) async fn select(&self, digest: &SecretDigest) {
        let backend = self.connection.get_database_backend();
        let digest = digest.as_bytes().to_vec().into();
        let statement = Statement::from_sql_and_values(backend, &self.select, [digest]);
        let row = self.connection.query_one_raw(statement).await.expect("the database is read");
        assert!(row.is_some());
    }
}
