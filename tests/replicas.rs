//! Several servers on one database, on the engines that can: PostgreSQL and MariaDB.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use claviger::clock::SystemClock;
use claviger::config::Settings;
use claviger::domain::WorkspaceId;
use claviger::operator_key::Handover;
use claviger::proto::{ApplyCatalogRequest, Policy, Role};
use claviger::server::Server;
use claviger::store::{Store, StoreError, Transaction, UnitOfWork};
use sea_orm::{ConnectionTrait, Statement, TransactionTrait};
use support::builders::{a_key, small_catalog};
use support::database::{Engine, TestDatabase};
use support::eventually;
use support::fire::limits_hold_under_fire;
use support::server::TestServer;
use support::status::refusal;
use tokio::sync::Barrier;
use tonic::Code;

const ENGINES: [Engine; 2] = [Engine::Postgres, Engine::MariaDb];

async fn start(engine: Engine) -> TestServer {
    let database = TestDatabase::create(engine).await;
    let server = TestServer::start_on(database, Arc::default(), Settings::default()).await;
    server.add_acme().await;
    server
}

/// The row of the workspace is what they queue for.
#[tokio::test(flavor = "multi_thread")]
async fn p5_limits_hold_exactly_from_two_servers() {
    for engine in ENGINES {
        let one = start(engine).await;
        let other = TestServer::beside(&one).await;
        limits_hold_under_fire(&[&one, &other]).await;
    }
}

/// What another inserted first is found when the transaction is begun again: the answer is the one
/// that a later caller gets.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_create_the_same_thing_one_succeeds() {
    for engine in ENGINES {
        let one = start(engine).await;
        let other = TestServer::beside(&one).await;
        let operator = |attempt: usize| [&one, &other][attempt % 2].operator();
        for round in 0..5 {
            let id = format!("same-{round}");
            let creations =
                (0..16).map(|attempt| {
                    let (operator, id) = (operator(attempt), id.clone());
                    async move {
                        operator.create_workspace(&id, "catalogs/small", Policy::default()).await
                    }
                });
            let mut created = 0;
            for outcome in futures_util::future::join_all(creations).await {
                match outcome {
                    Ok(_) => created += 1,
                    Err(status) => assert_eq!(status.code(), Code::AlreadyExists, "{status}"),
                }
            }
            assert_eq!(created, 1, "{engine:?}");
            let applications = (0..16).map(|attempt| {
                let mut catalogs = operator(attempt).catalogs;
                let name = format!("catalogs/{id}");
                let catalog = Some(claviger::proto::Catalog { name, ..small_catalog() });
                async move { catalogs.apply_catalog(ApplyCatalogRequest { catalog }).await }
            });
            for outcome in futures_util::future::join_all(applications).await {
                outcome.unwrap();
            }
        }
    }
}

/// Locks two workspaces, one after the other; the first time not before another did its first.
struct LockTwo {
    first: WorkspaceId,
    second: WorkspaceId,
    met: Arc<Barrier>,
    attempts: Arc<AtomicU32>,
}

impl UnitOfWork for LockTwo {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &Transaction) -> Result<(), StoreError> {
        tx.workspaces().lock(&self.first).await?;
        if self.attempts.fetch_add(1, Ordering::SeqCst) == 0 {
            self.met.wait().await;
        }
        tx.workspaces().lock(&self.second).await?;
        Ok(())
    }
}

/// MariaDB sees a deadlock at once and ends one of the two, which is begun again. (PostgreSQL looks
/// for deadlocks after a second, when the statement has been given up.)
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_ended_for_a_deadlock_is_begun_again() {
    let server = start(Engine::MariaDb).await;
    server.operator().create_workspace("other", "catalogs/small", Policy::default()).await.unwrap();
    let store = Arc::new(Store::open(&server.database_url()).await.unwrap());
    let ids = ["acme", "other"].map(|id| WorkspaceId::from_id(id).unwrap());
    let met = Arc::new(Barrier::new(2));
    let attempts = [(); 2].map(|()| Arc::new(AtomicU32::new(0)));
    let work = |first: usize| LockTwo {
        first: ids[first].clone(),
        second: ids[1 - first].clone(),
        met: Arc::clone(&met),
        attempts: Arc::clone(&attempts[first]),
    };
    let (one, other) = tokio::join!(store.transact(work(0)), store.transact(work(1)));
    one.unwrap();
    other.unwrap();
    let attempts: u32 = attempts.iter().map(|attempts| attempts.load(Ordering::SeqCst)).sum();
    assert_eq!(attempts, 3, "one of the two was begun again");
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

/// The row lock of the workspace is what both wait for.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_no_more_when_a_call_gets_its_turn_creates_no_key() {
    let server = start(Engine::Postgres).await;
    let operator = server.operator();
    operator.add_member("workspaces/acme", "jane@example.com", Role::Admin).await.unwrap();
    let control = a_key("c").permissions(&["*"]).build();
    let control = operator.create_key("workspaces/claviger", control).await.unwrap();
    let id = control.key.unwrap().name.rsplit('/').next().unwrap().to_owned();
    let jane = server.dashboard(server.operator_key.expose(), "jane@example.com");
    let gone = server.caller(&control.secret);
    for (client, workspace, change, refused) in [
        (jane, "acme", "DELETE FROM members".to_owned(), "ACTOR_UNKNOWN"),
        (
            gone,
            "claviger",
            format!("DELETE FROM api_keys WHERE id = '{id}'"),
            "CONTROL_KEY_INVALID",
        ),
    ] {
        let intruder = server.intruder().await;
        let tx = intruder.begin().await.unwrap();
        let lock = format!("SELECT id FROM workspaces WHERE id = '{workspace}' FOR UPDATE");
        tx.execute_unprepared(&lock).await.unwrap();
        let parent = format!("workspaces/{workspace}");
        let create = tokio::spawn(async move {
            client.create_key(&parent, a_key("k").permissions(&["*"]).build()).await
        });
        let watcher = server.intruder().await;
        eventually("the call waits for the lock", || async {
            let waiting = "SELECT COUNT(*) FROM pg_stat_activity \
                           WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let waiting = Statement::from_string(watcher.get_database_backend(), waiting);
            let row = watcher.query_one_raw(waiting).await.unwrap().unwrap();
            (row.try_get_by_index::<i64>(0).unwrap() > 0).then_some(())
        })
        .await;
        tx.execute_unprepared(&change).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(refusal(create.await.unwrap()).1, refused);
    }
}
