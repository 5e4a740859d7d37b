//! Secrets that can be revealed: what is in the database, and what becomes of it.

mod support;

use std::sync::Arc;

use claviger::config::Settings;
use claviger::operator_key::Handover;
use claviger::proto::{Policy, SecretVisibility};
use claviger::server::Server;
use sea_orm::{ConnectionTrait, Statement};
use support::builders::{a_key, a_question};
use support::process::program;
use support::products::{self, ENCRYPTION_KEY};
use support::server::TestServer;
use support::status::refusal;
use tonic::Code;

/// Another 32 bytes, in Base64.
const OTHER_KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
const ACME: &str = "workspaces/acme";

fn revealable() -> Policy {
    Policy { secret_visibility: SecretVisibility::Revealable.into(), ..Policy::default() }
}

/// A server on which `workspaces/acme` can reveal secrets, with two keys there: names and secrets.
async fn with_two_keys() -> (TestServer, [(String, String); 2]) {
    let server = TestServer::start_with(products::settings()).await;
    server.add_acme().await;
    let operator = server.operator();
    operator.set_policy(ACME, revealable()).await.unwrap();
    let create = async || {
        let key = a_key("k").permissions(&["*"]).build();
        let created = operator.create_key(ACME, key).await.unwrap();
        (created.key.unwrap().name, created.secret)
    };
    let keys = [create().await, create().await];
    (server, keys)
}

async fn reveal(server: &TestServer, name: &str) -> (Code, String) {
    match server.operator().reveal_key(name).await {
        Ok(revealed) => (Code::Ok, revealed.secret),
        Err(status) => refusal(Err::<(), _>(status)),
    }
}

fn unreadable() -> (Code, String) {
    (Code::DataLoss, "SECRET_UNREADABLE".to_owned())
}

/// Everything that is in these tables, as text and as bytes.
async fn dump(server: &TestServer) -> Vec<u8> {
    let database = server.intruder().await;
    let backend = database.get_database_backend();
    let mut dump = Vec::new();
    for (table, columns) in [
        ("sealed_secrets", &["encryption_key", "nonce", "ciphertext"][..]),
        ("api_keys", &["digest", "hint", "display_name"]),
        ("workspaces", &["policy"]),
    ] {
        let sql = format!("SELECT {} FROM {table}", columns.join(", "));
        for row in database.query_all_raw(Statement::from_string(backend, sql)).await.unwrap() {
            for column in columns {
                let bytes = row.try_get::<Vec<u8>>("", column);
                let text = || row.try_get::<String>("", column).unwrap().into_bytes();
                dump.extend(bytes.unwrap_or_else(|_| text()));
                dump.push(b'\n');
            }
        }
    }
    dump
}

fn holds(dump: &[u8], part: &str) -> bool {
    dump.windows(part.len()).any(|window| window == part.as_bytes())
}

async fn execute(server: &TestServer, sql: &str) {
    server.intruder().await.execute_unprepared(sql).await.unwrap();
}

#[tokio::test]
async fn b8_k4_a_secret_is_revealed_where_the_policy_says_so() {
    let (server, [(name, secret), _]) = with_two_keys().await;
    let operator = server.operator();
    assert_eq!(reveal(&server, &name).await, (Code::Ok, secret.clone()));
    let clone = operator.clone_key(&name).await.unwrap();
    assert_eq!(reveal(&server, &clone.key.unwrap().name).await, (Code::Ok, clone.secret));
    let first = operator
        .create_workspace(
            "new",
            "catalogs/small",
            Policy { provision_first_key: true, ..revealable() },
        )
        .await
        .unwrap()
        .first_key
        .unwrap();
    assert_eq!(reveal(&server, &first.key.unwrap().name).await, (Code::Ok, first.secret));

    // Control keys are never kept.
    let control = a_key("c").permissions(&["claviger.authorize"]).build();
    let control = operator.create_key("workspaces/claviger", control).await.unwrap();
    let shown_once = (Code::FailedPrecondition, "SECRET_SHOWN_ONCE".to_owned());
    assert_eq!(reveal(&server, &control.key.unwrap().name).await, shown_once);
    // A key that is deleted takes its secret along.
    operator.delete_key(&name).await.unwrap();
    assert_eq!(reveal(&server, &name).await, (Code::NotFound, "KEY_NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn p6_a_dump_of_the_database_gives_up_no_secret() {
    let (server, [(_, one), (_, two)]) = with_two_keys().await;
    let dump = dump(&server).await;
    // The dump is one, and the search finds what is there.
    assert!(holds(&dump, "revealable") && holds(&dump, "key_..."));
    for secret in [&one, &two] {
        let random = secret.strip_prefix("key_").unwrap();
        // Not even a part of it.
        for part in random.as_bytes().windows(8) {
            assert!(!holds(&dump, std::str::from_utf8(part).unwrap()));
        }
    }
    let bytes = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, ENCRYPTION_KEY).unwrap();
    assert!(!dump.windows(bytes.len()).any(|window| window == bytes));
}

#[tokio::test]
async fn what_was_altered_or_swapped_is_not_revealed() {
    let (server, [(one, secret), (two, _)]) = with_two_keys().await;
    let database = server.intruder().await;
    let backend = database.get_database_backend();
    let rows = Statement::from_string(backend, "SELECT ciphertext, nonce FROM sealed_secrets");
    let rows = database.query_all_raw(rows).await.unwrap();
    assert_eq!(rows.len(), 2);
    let get = |row: usize, column| rows[row].try_get::<Vec<u8>>("", column).unwrap();
    let hex =
        |bytes: &[u8]| bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let literal = |bytes: &[u8]| match backend {
        sea_orm::DbBackend::Postgres => format!("'\\x{}'", hex(bytes)),
        _ => format!("x'{}'", hex(bytes)),
    };
    let put = async |from: &[u8], ciphertext: &[u8], nonce: &[u8]| {
        let (from, ciphertext, nonce) = (literal(from), literal(ciphertext), literal(nonce));
        let sql = format!(
            "UPDATE sealed_secrets SET ciphertext = {ciphertext}, nonce = {nonce} \
             WHERE ciphertext = {from}"
        );
        execute(&server, &sql).await;
    };
    let (a, b) = (get(0, "ciphertext"), get(1, "ciphertext"));
    let (a_nonce, b_nonce) = (get(0, "nonce"), get(1, "nonce"));
    // Swapped, nonces and all.
    let hole = vec![0_u8; 8];
    put(&a, &hole, &a_nonce).await;
    put(&b, &a, &a_nonce).await;
    put(&hole, &b, &b_nonce).await;
    for name in [&one, &two] {
        assert_eq!(reveal(&server, name).await, unreadable());
    }
    // Back, and one bit flipped in each byte.
    put(&a, &hole, &a_nonce).await;
    put(&b, &a, &a_nonce).await;
    put(&hole, &b, &b_nonce).await;
    assert_eq!(reveal(&server, &one).await, (Code::Ok, secret.clone()));
    for (original, nonce) in [(&a, &a_nonce), (&b, &b_nonce)] {
        let mut stands = original.clone();
        for byte in 0..original.len() {
            let mut altered = original.clone();
            altered[byte] ^= 1 << (byte % 8);
            put(&stands, &altered, nonce).await;
            stands = altered;
            let codes = [reveal(&server, &one).await.0, reveal(&server, &two).await.0];
            assert!(codes.contains(&Code::DataLoss) && codes.contains(&Code::Ok), "byte {byte}");
        }
        put(&stands, original, nonce).await;
    }
    // The key itself is good all along.
    assert!(server.operator().authorize(a_question(&secret).build()).await.unwrap().allowed);
}

#[tokio::test]
async fn from_revealable_to_shown_once_erases_and_back_reveals_nothing_old() {
    let (server, [(name, secret), _]) = with_two_keys().await;
    let operator = server.operator();
    assert!(dump(&server).await.len() > 200);
    let count = async || {
        let database = server.intruder().await;
        let backend = database.get_database_backend();
        let sql = Statement::from_string(backend, "SELECT COUNT(*) FROM sealed_secrets");
        let row = database.query_one_raw(sql).await.unwrap().unwrap();
        row.try_get_by_index::<i64>(0).unwrap()
    };
    assert_eq!(count().await, 2);
    // Other changes of the policy leave them.
    operator.set_policy(ACME, Policy { max_keys: 5, ..revealable() }).await.unwrap();
    assert_eq!(count().await, 2);
    operator.set_policy(ACME, Policy::default()).await.unwrap();
    assert_eq!(count().await, 0);
    let shown_once = (Code::FailedPrecondition, "SECRET_SHOWN_ONCE".to_owned());
    assert_eq!(reveal(&server, &name).await, shown_once);
    operator.set_policy(ACME, revealable()).await.unwrap();
    assert_eq!(reveal(&server, &name).await, shown_once);
    let key = a_key("k").permissions(&["*"]).build();
    let later = operator.create_key(ACME, key).await.unwrap();
    assert_eq!(reveal(&server, &later.key.unwrap().name).await, (Code::Ok, later.secret));
    assert!(operator.authorize(a_question(&secret).build()).await.unwrap().allowed);
}

fn with_keys(current: &str, previous: Option<&str>) -> Settings {
    Settings {
        secret_encryption_key: Some(current.parse().unwrap()),
        secret_encryption_key_previous: previous.map(|key| key.parse().unwrap()),
        ..Settings::default()
    }
}

/// Why a server with these settings does not start on this database.
async fn start_error(database: &support::database::TestDatabase, settings: Settings) -> String {
    let settings = Settings {
        listen: Some(([127, 0, 0, 1], 0).into()),
        data_dir: Some(database.directory().to_owned()),
        database_url: Some(database.url.clone()),
        ..settings
    };
    let handover = Handover::File(database.directory().join("operator.key"));
    let clock = Arc::new(support::clock::FakeClock::default());
    let started = Server::start(&settings.resolve().unwrap(), &handover, clock).await;
    started.expect_err("it must not start").to_string()
}

#[tokio::test]
async fn a_rotation_keeps_secrets_readable_and_the_wrong_key_starts_no_server() {
    let (server, [(name, secret), (other, other_secret)]) = with_two_keys().await;
    // Both keys: what the old one sealed is read, and what is new is sealed with the new one.
    let server = server.restart_with(with_keys(OTHER_KEY, Some(ENCRYPTION_KEY))).await;
    assert_eq!(reveal(&server, &name).await, (Code::Ok, secret.clone()));
    let key = a_key("k").permissions(&["*"]).build();
    let new = server.operator().create_key(ACME, key).await.unwrap();
    let (database, clock) = server.stop().await;

    for wrong in [Settings::default(), with_keys(OTHER_KEY, None), with_keys(ENCRYPTION_KEY, None)]
    {
        let error = start_error(&database, wrong).await;
        assert!(error.contains("CLAVIGER_SECRET_ENCRYPTION_KEY"), "{error}");
        assert!(!error.contains(OTHER_KEY) && !error.contains(ENCRYPTION_KEY), "{error}");
    }
    let rotate = || {
        let mut command = program();
        command
            .args(["encryption-key", "rotate"])
            .env("CLAVIGER_DATABASE_URL", &database.url)
            .env("CLAVIGER_SECRET_ENCRYPTION_KEY", OTHER_KEY)
            .env("CLAVIGER_SECRET_ENCRYPTION_KEY_PREVIOUS", ENCRYPTION_KEY);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(rotate(), "Encrypted 2 secrets with the current key.\n");
    assert_eq!(rotate(), "Encrypted 0 secrets with the current key.\n");
    // The old key is needed no more.
    let server = TestServer::start_on(database, clock, with_keys(OTHER_KEY, None)).await;
    for (name, secret) in
        [(name, secret), (other, other_secret), (new.key.unwrap().name, new.secret)]
    {
        assert_eq!(reveal(&server, &name).await, (Code::Ok, secret));
    }
}

#[tokio::test]
async fn without_an_encryption_key_nothing_becomes_revealable() {
    let server = TestServer::with_acme().await;
    let missing = (Code::FailedPrecondition, "ENCRYPTION_KEY_MISSING".to_owned());
    let operator = server.operator();
    assert_eq!(refusal(operator.set_policy(ACME, revealable()).await), missing);
    let created = operator.create_workspace("new", "catalogs/small", revealable()).await;
    assert_eq!(refusal(created), missing);

    // A workspace from when there was one: no key is made whose secret would be lost.
    let server = server.restart_with(products::settings()).await;
    server.operator().set_policy(ACME, revealable()).await.unwrap();
    let server = server.restart().await;
    let key = || a_key("k").permissions(&["*"]).build();
    assert_eq!(refusal(server.operator().create_key(ACME, key()).await), missing);
    assert_eq!(server.operator().list_keys(ACME).await.unwrap(), []);
    server.operator().set_policy(ACME, Policy::default()).await.unwrap();
    server.operator().create_key(ACME, key()).await.unwrap();
}
