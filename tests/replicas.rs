//! Several servers on one database, on the engines that can: PostgreSQL and MariaDB.

mod support;

use std::sync::Arc;

use claviger::clock::SystemClock;
use claviger::config::Settings;
use claviger::operator_key::Handover;
use claviger::proto::{DeleteKeyRequest, Policy, Reason};
use claviger::server::Server;
use claviger::store::Store;
use sea_orm::{ConnectionTrait, Statement};
use support::builders::{a_key, a_question};
use support::database::{Engine, TestDatabase};
use support::server::TestServer;
use tonic::Code;

const ENGINES: [Engine; 2] = [Engine::Postgres, Engine::MariaDb];

async fn start(engine: Engine) -> TestServer {
    let database = TestDatabase::create(engine).await;
    let server = TestServer::start_on(database, Arc::default(), Settings::default()).await;
    server.add_acme().await;
    server
}

#[tokio::test]
async fn a_change_on_one_server_counts_for_the_next_call_on_the_other() {
    for engine in ENGINES {
        let one = start(engine).await;
        let other = TestServer::beside(&one).await;
        for _ in 0..20 {
            let key = a_key("k").permissions(&["users.track"]).build();
            let created = one.operator().create_key("workspaces/acme", key).await.unwrap();
            let question = || a_question(&created.secret).permission("users.track").build();
            assert!(other.operator().authorize(question()).await.unwrap().allowed, "{engine:?}");
            let name = created.key.unwrap().name;
            one.operator().keys.delete_key(DeleteKeyRequest { name }).await.unwrap();
            let answer = other.operator().authorize(question()).await.unwrap();
            assert_eq!(answer.reason(), Reason::KeyUnknown, "{engine:?}");
        }
    }
}

/// Many at once, from two servers: the row of the workspace is what they queue for.
#[tokio::test(flavor = "multi_thread")]
async fn p5_limits_hold_exactly_from_two_servers() {
    for engine in ENGINES {
        let servers = [start(engine).await];
        let servers =
            [TestServer::beside(&servers[0]).await, { servers }.into_iter().next().unwrap()];
        for round in 0..5 {
            let id = format!("round-{round}");
            let policy = Policy { max_keys: 10, keep_last_key: true, ..Policy::default() };
            let operator = servers[0].operator();
            operator.create_workspace(&id, "catalogs/small", policy).await.unwrap();
            let creations: Vec<_> = (0..64)
                .map(|attempt| {
                    let operator = servers[attempt % 2].operator();
                    let parent = format!("workspaces/{id}");
                    let key = a_key("k").permissions(&["*"]).build();
                    tokio::spawn(async move { operator.create_key(&parent, key).await })
                })
                .collect();
            let mut names = Vec::new();
            for creation in creations {
                match creation.await.unwrap() {
                    Ok(created) => names.push(created.key.unwrap().name),
                    Err(status) => {
                        assert_eq!(status.code(), Code::FailedPrecondition, "{engine:?} {status}");
                    }
                }
            }
            assert_eq!(names.len(), 10, "{engine:?}");
            let deletions: Vec<_> = (0..64)
                .map(|attempt| {
                    let mut keys = servers[attempt % 2].operator().keys;
                    let name = names[attempt % 10].clone();
                    tokio::spawn(async move { keys.delete_key(DeleteKeyRequest { name }).await })
                })
                .collect();
            let mut deleted = 0;
            for deletion in deletions {
                match deletion.await.unwrap() {
                    Ok(_) => deleted += 1,
                    Err(status) => {
                        let refused = [Code::FailedPrecondition, Code::NotFound];
                        assert!(refused.contains(&status.code()), "{engine:?} {status}");
                    }
                }
            }
            assert_eq!(deleted, 9, "{engine:?}");
        }
    }
}

/// A server as it starts: it opens the store, migrates, and completes the first start.
async fn start_on(database: &TestDatabase) -> (Server, TestDatabase, Handover) {
    let own = database.again();
    let settings = Settings {
        listen: Some(([127, 0, 0, 1], 0).into()),
        data_dir: Some(own.directory().to_owned()),
        database_url: Some(own.url.clone()),
        ..Settings::default()
    };
    let handover = Handover::File(own.directory().join("operator.key"));
    let config = settings.resolve().unwrap();
    let server = Server::start(&config, &handover, Arc::new(SystemClock)).await.unwrap();
    (server, own, handover)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_servers_that_start_at_once_one_prepares_the_database() {
    for engine in ENGINES {
        for round in 0..20 {
            let database = TestDatabase::create(engine).await;
            let (one, other) = tokio::join!(start_on(&database), start_on(&database));
            // One operator key, handed over by whoever made it, and by nobody else.
            let files: Vec<bool> = [&one, &other]
                .map(|(_, own, _)| own.directory().join("operator.key").exists())
                .into();
            assert_eq!(files.iter().filter(|exists| **exists).count(), 1, "{engine:?} {round}");
            let (_, _, handover) = if files[0] { &one } else { &other };
            let secret = handover.obtain().unwrap().secret;
            let store = Store::open(&database.database_url()).await.unwrap();
            let operator_keys = store.keys().operator_keys().await.unwrap();
            assert_eq!(operator_keys.len(), 1, "{engine:?} {round}");
            let found = store.keys().find_by_digest(&secret.digest()).await.unwrap();
            assert_eq!(found.map(|found| found.key), operator_keys.into_iter().next());
            store.close().await;
        }
    }
}

/// Where DDL commits by itself, a start that is killed leaves some of the tables.
#[tokio::test]
async fn a_migration_that_was_killed_in_the_middle_is_finished_by_the_next_start() {
    for engine in ENGINES {
        let tables = ["metadata", "catalogs", "workspaces", "api_keys", "key_requests"];
        for kept in 0..=tables.len() {
            let database = TestDatabase::create(engine).await;
            let store = Store::open(&database.database_url()).await.unwrap();
            store.migrate().await.unwrap();
            store.close().await;
            // As if it had been killed behind so many tables: no migration is noted as done.
            let intruder = database.intruder().await;
            intruder.execute_unprepared("DELETE FROM seaql_migrations").await.unwrap();
            for table in tables[kept..].iter().rev() {
                intruder.execute_unprepared(&format!("DROP TABLE {table}")).await.unwrap();
            }
            let server = TestServer::start_on(database, Arc::default(), Settings::default()).await;
            server.add_acme().await;
            let count = Statement::from_string(
                intruder.get_database_backend(),
                "SELECT COUNT(*) FROM seaql_migrations",
            );
            let row = intruder.query_one_raw(count).await.unwrap().unwrap();
            assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 1, "{engine:?} {kept}");
        }
    }
}
