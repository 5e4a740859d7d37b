//! The server as a whole: health, reflection, faults of the database, drain, TLS.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use claviger::config::Settings;
use claviger::proto::{DeleteKeyRequest, ListKeysRequest, Reason};
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use support::builders::{a_key, a_question};
use support::database::{Engine, TestDatabase};
use support::eventually;
use support::server::TestServer;
use support::status::{reason, refusal};
use tonic::{Code, Request, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

async fn health(server: &TestServer, service: &str) -> Result<ServingStatus, tonic::Status> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let response = HealthClient::new(server.channel.clone()).check(request).await?;
    Ok(response.into_inner().status())
}

async fn watch(server: &TestServer, service: &str) -> Streaming<HealthCheckResponse> {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(server.channel.clone()).watch(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn p4_health_follows_the_database_and_every_fault_is_unavailable() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let key = a_key("k").permissions(&["*"]).build();
    let secret = operator.create_key("workspaces/acme", key.clone()).await.unwrap().secret;
    let mut watched = watch(&server, "claviger.v1.AuthorizationService").await;
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    assert_eq!(health(&server, "").await.unwrap(), ServingStatus::Serving);
    assert_eq!(health(&server, "no.such.Service").await.unwrap_err().code(), Code::NotFound);

    let intruder = server.intruder().await;
    for table in ["metadata", "api_keys"] {
        rename(&intruder, table, &format!("hidden_{table}")).await;
    }
    // Fails closed: neither a denial of the key nor of the caller, and never allowed (P4).
    let unavailable = (Code::Unavailable, "DATABASE_UNAVAILABLE".to_owned());
    assert_eq!(refusal(operator.authorize(a_question(&secret).build()).await), unavailable);
    assert_eq!(refusal(operator.create_key("workspaces/acme", key).await), unavailable);
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert_eq!(health(&server, "").await.unwrap(), ServingStatus::NotServing);

    for table in ["metadata", "api_keys"] {
        rename(&intruder, &format!("hidden_{table}"), table).await;
    }
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    assert_eq!(health(&server, "").await.unwrap(), ServingStatus::Serving);
    assert!(operator.authorize(a_question(&secret).build()).await.unwrap().allowed);
}

async fn rename(database: &DatabaseConnection, table: &str, to: &str) {
    let statement = format!("ALTER TABLE {table} RENAME TO {to}");
    database.execute_unprepared(&statement).await.unwrap();
}

/// A key of a row that cannot be read is no key that is unknown.
#[tokio::test]
async fn p4_a_corrupt_row_is_an_error_and_not_a_verdict() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let key = a_key("k").permissions(&["*"]).build();
    let secret = operator.create_key("workspaces/acme", key).await.unwrap().secret;
    let intruder = server.intruder().await;
    for (column, value) in [
        ("permissions", "'*'"),
        ("permissions", "'[\"users.track\", \"USERS\"]'"),
        ("allowed_ips", "'[\"10.0.0.0/33\"]'"),
        ("allowed_ips", "''"),
        ("expire_time", "9223372036854775807"),
    ] {
        let corrupt = format!("UPDATE api_keys SET {column} = {value} WHERE workspace_id = 'acme'");
        intruder.execute_unprepared(&corrupt).await.unwrap();
        let refused = refusal(operator.authorize(a_question(&secret).build()).await);
        assert_eq!(refused, (Code::Internal, "INTERNAL".to_owned()), "{column} {value}");
    }
}

/// What keeps others from creating keys in `workspaces/acme`.
fn lock_statements() -> [&'static str; 2] {
    match Engine::of_this_run() {
        Engine::Sqlite => ["BEGIN IMMEDIATE", "SELECT 1"],
        Engine::Postgres | Engine::MariaDb => {
            ["BEGIN", "SELECT id FROM workspaces WHERE id = 'acme' FOR UPDATE"]
        }
    }
}

#[tokio::test]
async fn a_database_that_is_locked_is_unavailable_within_a_second() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let key = || a_key("k").permissions(&["*"]).build();
    let intruder = server.intruder().await;
    for statement in lock_statements() {
        intruder.execute_unprepared(statement).await.unwrap();
    }
    let began = Instant::now();
    let refused = refusal(operator.create_key("workspaces/acme", key()).await);
    assert_eq!(refused, (Code::Unavailable, "DATABASE_UNAVAILABLE".to_owned()));
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    intruder.execute_unprepared("ROLLBACK").await.unwrap();
    operator.create_key("workspaces/acme", key()).await.unwrap();
}

/// The most look-ups that are under way at once.
const MAX_LOOK_UPS: i64 = 12;

/// Whoever sends very many keys that nobody has must not keep the database from everybody else. Each
/// look-up stands still here, because the table is locked, so that they can be counted.
#[tokio::test]
async fn p4_of_many_keys_few_are_looked_up_at_once_and_a_known_one_is_answered() {
    let database = TestDatabase::create(Engine::Postgres).await;
    let server = TestServer::start_on(database, Arc::default(), Settings::default()).await;
    server.add_acme().await;
    let operator = server.operator();
    let key = a_key("k").permissions(&["users.track"]).build();
    let secret = operator.create_key("workspaces/acme", key).await.unwrap().secret;
    let known = || async {
        let question = a_question(&secret).permission("users.track").build();
        server.operator().authorize(question).await.unwrap().allowed
    };
    assert!(known().await);
    let (locking, counting) = (server.intruder().await, server.intruder().await);
    let look_ups = || async {
        let count = "SELECT count(*) FROM pg_stat_activity \
                     WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let statement = Statement::from_string(DbBackend::Postgres, count);
        let row = counting.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index::<i64>(0).unwrap()
    };
    for statement in ["BEGIN", "LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE"] {
        locking.execute_unprepared(statement).await.unwrap();
    }
    let storm = join_all((0..200).map(|number| {
        let operator = &operator;
        async move {
            let question = a_question(&format!("nobody-has-{number:03}")).build();
            operator.authorize(question).await
        }
    }));
    let watch = async {
        eventually("as many as may be are under way", || async {
            (look_ups().await == MAX_LOOK_UPS).then_some(())
        })
        .await;
        for _ in 0..20 {
            assert!(look_ups().await <= MAX_LOOK_UPS);
            assert!(known().await);
        }
    };
    tokio::select! {
        answers = storm => panic!("they cannot be answered: {answers:?}"),
        () = watch => {}
    }
}

#[tokio::test]
async fn p1_b10_a_deleted_key_is_unknown_to_the_next_call() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    for _ in 0..50 {
        let key = a_key("k").permissions(&["*"]).build();
        let created = operator.create_key("workspaces/acme", key).await.unwrap();
        let question = a_question(&created.secret).permission("users.track").build();
        assert!(operator.authorize(question.clone()).await.unwrap().allowed);
        let name = created.key.unwrap().name;
        operator.keys.clone().delete_key(DeleteKeyRequest { name }).await.unwrap();
        let answer = operator.authorize(question).await.unwrap();
        assert_eq!((answer.allowed, answer.reason()), (false, Reason::KeyUnknown));
    }
}

/// A change of the catalogue, too, is seen by the next call.
#[tokio::test]
async fn p1_a_catalogue_that_was_applied_counts_for_the_next_call() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let key = a_key("k").permissions(&["users.*"]).build();
    let secret = operator.create_key("workspaces/acme", key).await.unwrap().secret;
    let apply = |catalog| {
        let mut catalogs = operator.catalogs.clone();
        let request = claviger::proto::ApplyCatalogRequest { catalog: Some(catalog) };
        async move { catalogs.apply_catalog(request).await.unwrap() }
    };
    let with = || {
        let mut catalog = support::builders::small_catalog();
        catalog.permissions.push(support::builders::a_permission("users.new"));
        catalog
    };
    for _ in 0..10 {
        let question = || a_question(&secret).permission("users.new").build();
        let before = operator.authorize(question()).await.unwrap();
        assert_eq!(before.reason(), Reason::PermissionUnknown);
        apply(with()).await;
        assert!(operator.authorize(question()).await.unwrap().allowed);
        apply(support::builders::small_catalog()).await;
    }
}

#[tokio::test]
async fn shutdown_ends_watches_with_a_last_word_and_drains() {
    let mut server = TestServer::with_acme().await;
    let mut watched = watch(&server, "").await;
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let mut unknown = watch(&server, "no.such.Service").await;
    let first = unknown.message().await.unwrap().unwrap().status();
    assert_eq!(first, ServingStatus::ServiceUnknown);
    server.begin_shutdown();
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    let ended = watched.message().await.unwrap_err();
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Unavailable, "DRAINING"));
    let began = Instant::now();
    let address = server.address;
    server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "open streams did not hold it up");
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let server = TestServer::with_acme().await;
    let key = a_key("k").permissions(&["users.track"]).build();
    let created = server.operator().create_key("workspaces/acme", key).await.unwrap();
    let server = server.restart().await;
    let operator = server.operator();
    let question = a_question(&created.secret).permission("users.track").build();
    assert!(operator.authorize(question).await.unwrap().allowed);
    let parent = "workspaces/acme".to_owned();
    let request = ListKeysRequest { parent, ..ListKeysRequest::default() };
    let listed = operator.keys.clone().list_keys(request).await.unwrap().into_inner().keys;
    assert_eq!(listed, [created.key.unwrap()]);
}

#[tokio::test]
async fn reflection_is_served_in_both_versions_without_a_key() {
    use tonic_reflection::pb::{v1, v1alpha};
    let server = TestServer::start().await;

    let mut client =
        v1::server_reflection_client::ServerReflectionClient::new(server.channel.clone());
    let request = v1::ServerReflectionRequest {
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
        ..v1::ServerReflectionRequest::default()
    };
    let mut answers = client
        .server_reflection_info(Request::new(tokio_stream::once(request)))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let v1::server_reflection_response::MessageResponse::ListServicesResponse(list) = answer else {
        panic!("{answer:?}");
    };
    let services: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    for service in claviger::grpc::SERVICES {
        assert!(services.iter().any(|found| found == service), "{service} in {services:?}");
    }

    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(server.channel.clone());
    let request = v1alpha::ServerReflectionRequest {
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
                "claviger.v1.KeyService".to_owned(),
            ),
        ),
        ..v1alpha::ServerReflectionRequest::default()
    };
    let mut answers = client
        .server_reflection_info(Request::new(tokio_stream::once(request)))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let is_file = matches!(
        answer,
        v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse(_)
    );
    assert!(is_file, "{answer:?}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_so() {
    let server = TestServer::start().await;
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings {
        listen: Some(server.address),
        data_dir: Some(directory.path().to_owned()),
        ..Settings::default()
    };
    let handover = claviger::operator_key::Handover::Person(|_, _, _| {});
    let clock = std::sync::Arc::new(claviger::clock::SystemClock);
    let config = settings.resolve().unwrap();
    let error = claviger::server::Server::start(&config, &handover, clock).await.unwrap_err();
    let said = error.to_string();
    assert!(said.starts_with(&format!("--listen {}: ", server.address)), "{said}");
}
