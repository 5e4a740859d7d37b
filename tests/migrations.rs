//! Tables that are brought up to date: from an earlier version, and after a start that was killed.

mod support;

use std::sync::Arc;

use claviger::config::Settings;
use claviger::proto::{GetWorkspaceRequest, Role};
use claviger::store::Store;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use support::builders::a_key;
use support::database::{Engine, TestDatabase};
use support::server::TestServer;

/// Every table, in the order in which they are made.
const TABLES: [&str; 11] = [
    "metadata",
    "catalogs",
    "workspaces",
    "api_keys",
    "key_requests",
    "members",
    "network_sets",
    "key_network_sets",
    "identifiers",
    "sealed_secrets",
    "changes",
];
/// How many of them the first migration makes.
const FIRST: usize = 5;

async fn migrations(intruder: &DatabaseConnection) -> i64 {
    let backend = intruder.get_database_backend();
    let count = Statement::from_string(backend, "SELECT COUNT(*) FROM seaql_migrations");
    let row = intruder.query_one_raw(count).await.unwrap().unwrap();
    row.try_get_by_index::<i64>(0).unwrap()
}

fn drop_index(engine: Engine, index: &str, table: &str) -> String {
    match engine {
        Engine::MariaDb => format!("DROP INDEX {index} ON {table}"),
        _ => format!("DROP INDEX {index}"),
    }
}

/// Where DDL commits by itself, a start that is killed leaves some of the tables.
#[tokio::test]
async fn a_migration_that_was_killed_in_the_middle_is_finished_by_the_next_start() {
    for engine in [Engine::Postgres, Engine::MariaDb] {
        for kept in 0..=TABLES.len() {
            let database = TestDatabase::create(engine).await;
            let store = Store::open(&database.database_url()).await.unwrap();
            store.migrate().await.unwrap();
            store.close().await;
            // As if it had been killed behind so many tables: no migration is noted as done.
            let intruder = database.intruder().await;
            let all = migrations(&intruder).await;
            intruder.execute_unprepared("DELETE FROM seaql_migrations").await.unwrap();
            // Indexes come behind all tables of a migration.
            let drop_index = drop_index(engine, "workspaces_by_catalog", "workspaces");
            intruder.execute_unprepared(&drop_index).await.unwrap();
            for table in TABLES[kept..].iter().rev() {
                intruder.execute_unprepared(&format!("DROP TABLE {table}")).await.unwrap();
            }
            let server = TestServer::start_on(database, Arc::default(), Settings::default()).await;
            server.add_acme().await;
            intruder.execute_unprepared(&drop_index).await.expect("the index is there again");
            assert_eq!(migrations(&intruder).await, all, "{engine:?} {kept}");
        }
    }
}

#[tokio::test]
async fn a_database_from_before_members_and_public_keys_is_brought_up_to_date() {
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::MariaDb] {
        let database = TestDatabase::create(engine).await;
        let server = TestServer::start_on(database, Arc::default(), Settings::default()).await;
        server.add_acme().await;
        let key = a_key("k").permissions(&["*"]).allowed_ips(&["203.0.113.0/24"]).build();
        let created = server.operator().create_key("workspaces/acme", key).await.unwrap();
        let (database, clock) = server.stop().await;
        let intruder = database.intruder().await;
        let all = migrations(&intruder).await;
        let index = drop_index(engine, "workspaces_by_public_key", "workspaces");
        intruder.execute_unprepared(&index).await.unwrap();
        for (table, column) in
            [("workspaces", "instance"), ("workspaces", "public_key"), ("api_keys", "network_sets")]
        {
            let drop = format!("ALTER TABLE {table} DROP COLUMN {column}");
            intruder.execute_unprepared(&drop).await.unwrap();
        }
        for table in TABLES[FIRST..].iter().rev() {
            intruder.execute_unprepared(&format!("DROP TABLE {table}")).await.unwrap();
        }
        let later = "DELETE FROM seaql_migrations WHERE version LIKE 'm20261122%'";
        intruder.execute_unprepared(later).await.unwrap();
        assert_eq!(migrations(&intruder).await, 1);

        let server = TestServer::start_on(database, clock, Settings::default()).await;
        assert_eq!(migrations(&intruder).await, all, "{engine:?}");
        let operator = server.operator();
        let get = |workspace: &str| GetWorkspaceRequest { name: workspace.to_owned() };
        let mut workspaces = operator.workspaces.clone();
        let acme = workspaces.get_workspace(get("workspaces/acme")).await.unwrap().into_inner();
        assert_eq!(acme.workspace.unwrap().public_key.len(), 6, "{engine:?}");
        let own = workspaces.get_workspace(get("workspaces/claviger")).await.unwrap().into_inner();
        assert_eq!(own.workspace.unwrap().public_key, "");
        assert_eq!(operator.get_key(&created.key.as_ref().unwrap().name).await.unwrap(), {
            created.key.unwrap()
        });
        // There is room for the longest address where it is said who created a key.
        let email = format!("{}@example.com", "j".repeat(242));
        operator.add_member("workspaces/acme", &email, Role::Admin).await.unwrap();
        let jane = server.dashboard(server.operator_key.expose(), &email);
        let key = a_key("k").permissions(&["*"]).build();
        let created = jane.create_key("workspaces/acme", key).await.unwrap();
        assert_eq!(created.key.unwrap().created_by.unwrap(), email);
    }
}
