//! The history of the tables.

mod columns;
mod m20261121_create_tables;
mod m20261122_add_public_keys_and_instances;
mod m20261122_create_changes;
mod m20261122_create_identifiers;
mod m20261122_create_members;
mod m20261122_create_network_sets;
mod m20261122_create_sealed_secrets;

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait,
};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use super::engine::MIGRATION_TIMEOUT;

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_create_tables::Migration),
            Box::new(m20261122_create_members::Migration),
            Box::new(m20261122_create_network_sets::Migration),
            Box::new(m20261122_add_public_keys_and_instances::Migration),
            Box::new(m20261122_create_identifiers::Migration),
            Box::new(m20261122_create_sealed_secrets::Migration),
            Box::new(m20261122_create_changes::Migration),
        ]
    }
}

/// Names the lock on PostgreSQL: any number that nobody else is likely to use.
const POSTGRES_LOCK: i64 = 0x636c_6176_6967_6572;
/// Names the lock on MariaDB. Locks are the server's, not the database's, hence the `DATABASE()`.
const MARIADB_LOCK: &str = "CONCAT('claviger.', SHA1(DATABASE()))";

/// Brings the tables up to date, with every other server kept out. `connection` must be one only.
pub(super) async fn run(connection: &DatabaseConnection) -> Result<(), DbErr> {
    match connection.get_database_backend() {
        DbBackend::Sqlite => {
            let options = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            };
            let tx = connection.begin_with_options(options).await?;
            Migrator::up(&tx, None).await?;
            tx.commit().await
        }
        DbBackend::Postgres => {
            let tx = connection.begin().await?;
            let timeout = format!("SET LOCAL lock_timeout = {}", MIGRATION_TIMEOUT.as_millis());
            tx.execute_unprepared(&timeout).await?;
            tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({POSTGRES_LOCK})"))
                .await?;
            Migrator::up(&tx, None).await?;
            tx.commit().await
        }
        _ => {
            lock_mariadb(connection, MIGRATION_TIMEOUT).await?;
            // DDL commits by itself here. A start that is killed in the middle leaves some of a
            // migration's tables; each step does nothing where it was done, so the next start
            // finishes it.
            let migrated = Migrator::up(connection, None).await;
            connection.execute_unprepared(&format!("DO RELEASE_LOCK({MARIADB_LOCK})")).await?;
            migrated
        }
    }
}

async fn lock_mariadb(connection: &DatabaseConnection, timeout: Duration) -> Result<(), DbErr> {
    let lock = format!("SELECT GET_LOCK({MARIADB_LOCK}, {})", timeout.as_secs());
    let statement = Statement::from_string(connection.get_database_backend(), lock);
    let row = connection.query_one_raw(statement).await?;
    let locked = row.map(|row| row.try_get_by_index::<Option<i64>>(0)).transpose()?.flatten();
    if locked == Some(1) {
        Ok(())
    } else {
        Err(DbErr::Migration("another server holds the migration lock".to_owned()))
    }
}
