//! Faults of a database server: absent, killed, silent, exhausted. Nothing is ever allowed that
//! should not be, nobody is told that its key is bad, and nothing has to be restarted.

mod support;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use claviger::clock::SystemClock;
use claviger::config::Settings;
use claviger::operator_key::Handover;
use claviger::proto::{AuthorizeResponse, DeleteKeyRequest, Policy, Reason, SecretVisibility};
use claviger::server::Server;
use sea_orm::ConnectionTrait;
use support::builders::{a_key, a_question};
use support::database::{Engine, TestDatabase};
use support::database_server::{DatabaseServer, Proxy};
use support::eventually;
use support::products;
use support::server::{Client, TestServer};
use support::status::refusal;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const ENGINES: [Engine; 2] = [Engine::Postgres, Engine::MariaDb];

/// A server on a database of this engine, reached by this port.
async fn start(engine: Engine, database: &DatabaseServer, port: u16) -> TestServer {
    let database = TestDatabase::at(engine, database.url(port));
    TestServer::start_on(database, Arc::default(), Settings::default()).await
}

async fn is_serving(server: &TestServer) -> bool {
    let request = HealthCheckRequest::default();
    let health = HealthClient::new(server.channel.clone()).check(request).await.unwrap();
    health.into_inner().status() == ServingStatus::Serving
}

/// Asks, and requires an answer or `UNAVAILABLE` within a second, and a little for the machine.
async fn in_time<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let began = Instant::now();
    let answer = call.await;
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    answer
}

async fn assert_unavailable(operator: &Client, secret: &str) {
    let unavailable = (Code::Unavailable, "DATABASE_UNAVAILABLE".to_owned());
    let question = a_question(secret).permission("users.track").build();
    assert_eq!(refusal(in_time(operator.authorize(question)).await), unavailable);
    let key = a_key("k").permissions(&["*"]).build();
    assert_eq!(refusal(in_time(operator.create_key("workspaces/acme", key)).await), unavailable);
}

/// Lets the time be over for which a server that is cut off answers from memory.
fn forget(server: &TestServer) {
    server.clock.advance(Duration::from_secs(2));
}

/// Waits until calls are answered again, and checks on the way that nothing else is.
async fn recovers(operator: &Client, secret: &str) -> AuthorizeResponse {
    eventually("calls are answered again", || async {
        let question = a_question(secret).permission("users.track").build();
        match operator.authorize(question).await {
            Ok(response) => Some(response),
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status}");
                None
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_down_at_the_start_is_waited_for() {
    for engine in ENGINES {
        let mut database = DatabaseServer::new(engine);
        let server = start(engine, &database, database.port()).await;
        assert!(!is_serving(&server).await, "live, and not ready");
        assert_unavailable(&server.operator(), "some-key").await;
        database.start().await;
        eventually("the server is ready", || async { is_serving(&server).await.then_some(()) })
            .await;
        server.add_acme().await;
        let answer = recovers(&server.operator(), "some-key").await;
        assert_eq!(answer.reason(), Reason::KeyUnknown);
    }
}

/// The secrets of keys that were acknowledged as created, and as deleted.
#[derive(Default)]
struct Acknowledged {
    created: Vec<String>,
    deleted: Vec<String>,
}

/// It would not have started, had the database been there.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_encryption_key_that_shows_late_ends_the_server() {
    for engine in ENGINES {
        let mut database = DatabaseServer::new(engine);
        database.start().await;
        let at = || TestDatabase::at(engine, database.url(database.port()));
        let server = TestServer::start_on(at(), Arc::default(), products::settings()).await;
        server.add_acme().await;
        let operator = server.operator();
        let visibility = SecretVisibility::Revealable.into();
        let policy = Policy { secret_visibility: visibility, ..Policy::default() };
        operator.set_policy("workspaces/acme", policy).await.unwrap();
        let key = a_key("k").permissions(&["*"]).build();
        operator.create_key("workspaces/acme", key).await.unwrap();
        server.stop().await;
        let files = at();
        database.kill();

        let settings = Settings {
            listen: Some(([127, 0, 0, 1], 0).into()),
            data_dir: Some(files.directory().to_owned()),
            database_url: Some(files.url.clone()),
            ..Settings::default()
        };
        let handover = Handover::File(files.directory().join("operator.key"));
        let clock = Arc::new(SystemClock);
        let server = Server::start(&settings.resolve().unwrap(), &handover, clock).await.unwrap();
        let serving = tokio::spawn(server.serve(std::future::pending()));
        database.start().await;
        let error = serving.await.unwrap().unwrap_err().to_string();
        assert!(error.contains("CLAVIGER_SECRET_ENCRYPTION_KEY"), "{error}");
    }
}

/// Creates keys, and deletes every other one, until that fails.
async fn make_changes(operator: Client, count: Arc<AtomicUsize>) -> (Acknowledged, Status) {
    let mut acknowledged = Acknowledged::default();
    loop {
        let key = a_key("k").permissions(&["users.track"]).build();
        let created = match operator.create_key("workspaces/acme", key).await {
            Ok(created) => created,
            Err(status) => return (acknowledged, status),
        };
        if count.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            acknowledged.created.push(created.secret);
            continue;
        }
        let name = created.key.unwrap().name;
        match operator.keys.clone().delete_key(DeleteKeyRequest { name }).await {
            Ok(_) => acknowledged.deleted.push(created.secret),
            Err(status) => return (acknowledged, status),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_p4_a_database_that_is_killed_takes_nothing_along() {
    for engine in ENGINES {
        let mut database = DatabaseServer::new(engine);
        database.start().await;
        let server = start(engine, &database, database.port()).await;
        server.add_acme().await;
        let operator = server.operator();
        let mut acknowledged = Acknowledged::default();
        for _ in 0..3 {
            let count = Arc::new(AtomicUsize::new(0));
            let changing = tokio::spawn(make_changes(operator.clone(), Arc::clone(&count)));
            eventually("some changes are made", || async {
                (count.load(Ordering::SeqCst) >= 20).then_some(())
            })
            .await;
            database.kill();
            let (more, status) = changing.await.unwrap();
            assert_eq!(status.code(), Code::Unavailable, "{status}");
            forget(&server);
            acknowledged.created.extend(more.created);
            acknowledged.deleted.extend(more.deleted);
            assert_unavailable(&operator, &acknowledged.created[0]).await;
            database.start().await;
            for secret in &acknowledged.created {
                assert!(recovers(&operator, secret).await.allowed, "{engine:?}");
            }
            for secret in &acknowledged.deleted {
                let reason = recovers(&operator, secret).await.reason();
                assert_eq!(reason, Reason::KeyUnknown, "{engine:?}");
            }
        }
        assert!(acknowledged.deleted.len() >= 20, "{engine:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_silent_is_unavailable_within_a_second() {
    for engine in ENGINES {
        let mut database = DatabaseServer::new(engine);
        database.start().await;
        let proxy = Proxy::to(database.port()).await;
        let server = start(engine, &database, proxy.port).await;
        server.add_acme().await;
        let operator = server.operator();
        let key = a_key("k").permissions(&["users.track"]).build();
        let secret = operator.create_key("workspaces/acme", key).await.unwrap().secret;
        for _ in 0..2 {
            assert!(recovers(&operator, &secret).await.allowed);
            proxy.set_silent(true);
            forget(&server);
            // More of them than there are connections.
            let calls = (0..40).map(|_| assert_unavailable(&operator, &secret));
            futures_util::future::join_all(calls).await;
            proxy.set_silent(false);
        }
        assert!(recovers(&operator, &secret).await.allowed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_exhausted_is_unavailable_within_a_second() {
    for engine in ENGINES {
        let database = TestDatabase::create(engine).await;
        let intruder = database.intruder().await;
        let server = TestServer::start_on(database, Arc::default(), Settings::default()).await;
        server.add_acme().await;
        let operator = server.operator();
        let key = || a_key("k").permissions(&["users.track"]).build();
        let secret = operator.create_key("workspaces/acme", key()).await.unwrap().secret;
        intruder.execute_unprepared("BEGIN").await.unwrap();
        let lock = "SELECT id FROM workspaces WHERE id = 'acme' FOR UPDATE";
        intruder.execute_unprepared(lock).await.unwrap();
        // Each holds a connection and waits for the lock.
        let creations = (0..64).map(|_| in_time(operator.create_key("workspaces/acme", key())));
        for refused in futures_util::future::join_all(creations).await {
            let unavailable = (Code::Unavailable, "DATABASE_UNAVAILABLE".to_owned());
            assert_eq!(refusal(refused), unavailable, "{engine:?}");
        }
        intruder.execute_unprepared("ROLLBACK").await.unwrap();
        assert!(recovers(&operator, &secret).await.allowed, "{engine:?}");
        eventually("keys are created again", || async {
            operator.create_key("workspaces/acme", key()).await.ok()
        })
        .await;
    }
}

/// None of these servers speaks TLS; a client that falls back would be served all the same.
#[tokio::test(flavor = "multi_thread")]
async fn tls_that_was_asked_for_is_never_done_without() {
    for (engine, parameter) in
        [(Engine::Postgres, "sslmode=require"), (Engine::MariaDb, "ssl-mode=REQUIRED")]
    {
        let mut database = DatabaseServer::new(engine);
        database.start().await;
        let url = format!("{}?{parameter}", database.url(database.port()));
        let store = claviger::store::Store::open(&url.parse().unwrap()).await.unwrap();
        let error = store.migrate().await.unwrap_err();
        assert!(!error.is_passing(), "{engine:?}: it is a fault of the configuration: {error}");
        let clear = database.url(database.port()).parse().unwrap();
        let store = claviger::store::Store::open(&clear).await.unwrap();
        store.migrate().await.unwrap();
    }
}
