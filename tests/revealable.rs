//! Secrets that can be revealed: what is in the database, and what becomes of it.

mod support;

use std::sync::Arc;

use claviger::config::Settings;
use claviger::operator_key::Handover;
use claviger::proto::{Policy, SecretVisibility};
use claviger::server::Server;
use sea_orm::{ConnectionTrait, Statement};
use support::builders::{a_key, a_question};
use support::database::Engine;
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

/// The whole database, as its own tools dump it; of SQLite, its files.
async fn dump(server: &TestServer) -> Vec<u8> {
    let url = server.database_url_text();
    let (tool, arguments) = match Engine::of_this_run() {
        Engine::Sqlite => {
            let file = std::path::PathBuf::from(url.strip_prefix("sqlite:").unwrap());
            let files = std::fs::read_dir(file.parent().unwrap()).unwrap();
            let files = files.map(|entry| entry.unwrap().path());
            let database = files.filter(|path| path.to_string_lossy().contains("claviger.db"));
            return database.flat_map(|path| std::fs::read(path).unwrap()).collect();
        }
        Engine::Postgres => ("pg_dump", vec![url.replace("postgres://", "postgresql://")]),
        Engine::MariaDb => {
            // mysql://user:password@host:port/database
            let (user, rest) = url.strip_prefix("mysql://").unwrap().split_once(':').unwrap();
            let (password, rest) = rest.split_once('@').unwrap();
            let (host, rest) = rest.split_once(':').unwrap();
            let (port, database) = rest.split_once('/').unwrap();
            let arguments = [
                format!("--user={user}"),
                format!("--password={password}"),
                format!("--host={host}"),
                format!("--port={port}"),
                "--skip-lock-tables".to_owned(),
                "--hex-blob".to_owned(),
                database.to_owned(),
            ];
            ("mariadb-dump", arguments.into())
        }
    };
    let mut command = std::process::Command::new(tool);
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Whether a dump holds these bytes: as they are, or in hexadecimal digits of either case.
fn holds(dump: &[u8], part: &[u8]) -> bool {
    let hex = part.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    [part, hex.as_bytes(), hex.to_uppercase().as_bytes()]
        .iter()
        .any(|form| dump.windows(form.len()).any(|window| window == *form))
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
    // The dump is one, and the search finds what is there: text, and bytes.
    let digest = claviger::domain::SecretDigest::of(one.as_bytes());
    for there in [&b"revealable"[..], b"key_...", b"sealed_secrets", digest.as_bytes()] {
        assert!(holds(&dump, there), "{there:?}");
    }
    for secret in [&one, &two] {
        let random = secret.strip_prefix("key_").unwrap();
        // Not even a part of it.
        for part in random.as_bytes().windows(8) {
            assert!(!holds(&dump, part));
        }
    }
    let key = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, ENCRYPTION_KEY).unwrap();
    assert!(!holds(&dump, &key) && !holds(&dump, ENCRYPTION_KEY.as_bytes()));
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

/// How many sealed secrets there are.
async fn sealed(server: &TestServer) -> i64 {
    let database = server.intruder().await;
    let backend = database.get_database_backend();
    let sql = Statement::from_string(backend, "SELECT COUNT(*) FROM sealed_secrets");
    let row = database.query_one_raw(sql).await.unwrap().unwrap();
    row.try_get_by_index::<i64>(0).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_kept_that_was_on_its_way_when_the_policy_changed() {
    let (server, _) = with_two_keys().await;
    for _ in 0..5 {
        server.operator().set_policy(ACME, revealable()).await.unwrap();
        let creates = (0..16).map(|_| {
            let operator = server.operator();
            let key = a_key("k").permissions(&["*"]).build();
            async move { operator.create_key(ACME, key).await.map(drop) }
        });
        let operator = server.operator();
        let change = operator.set_policy(ACME, Policy::default());
        let (outcomes, changed) = tokio::join!(futures_util::future::join_all(creates), change);
        changed.unwrap();
        for outcome in outcomes {
            outcome.unwrap();
        }
        assert_eq!(sealed(&server).await, 0);
    }
}

#[tokio::test]
async fn from_revealable_to_shown_once_erases_and_back_reveals_nothing_old() {
    let (server, [(name, secret), _]) = with_two_keys().await;
    let operator = server.operator();
    let count = async || sealed(&server).await;
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

/// What `claviger encryption-key` says with these keys, and whether it did what it was asked.
fn encryption_key(
    database: &str,
    command: &str,
    current: &str,
    previous: Option<&str>,
) -> (String, bool) {
    let output = program()
        .args(["encryption-key", command])
        .env("CLAVIGER_DATABASE_URL", database)
        .env("CLAVIGER_SECRET_ENCRYPTION_KEY", current)
        .envs(previous.map(|key| ("CLAVIGER_SECRET_ENCRYPTION_KEY_PREVIOUS", key)))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(!said.contains(current) && !previous.is_some_and(|key| said.contains(key)), "{said}");
    (said, output.status.success())
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_a_lost_key_is_not_the_end() {
    let (server, [(one, _), (two, secret)]) = with_two_keys().await;
    // More than one batch.
    for _ in 0..250 {
        let key = a_key("k").permissions(&["*"]).build();
        server.operator().create_key(ACME, key).await.unwrap();
    }
    let id = one.rsplit('/').next().unwrap().replace('-', "");
    let id = match Engine::of_this_run() {
        Engine::Postgres => format!("'{id}'"),
        _ => format!("x'{id}'"),
    };
    let sql = format!("UPDATE sealed_secrets SET nonce = ciphertext WHERE key_id = {id}");
    let sql = match Engine::of_this_run() {
        // A nonce is 24 bytes long.
        Engine::Postgres => sql.replace("= ciphertext", "= substring(ciphertext from 1 for 24)"),
        _ => sql.replace("= ciphertext", "= substr(ciphertext, 1, 24)"),
    };
    execute(&server, &sql).await;
    assert_eq!(reveal(&server, &one).await, unreadable());
    let (database, clock) = server.stop().await;

    let (said, done) = encryption_key(&database.url, "rotate", OTHER_KEY, Some(ENCRYPTION_KEY));
    assert!(!done && said.contains(&format!("Not readable: {one}")), "{said}");
    assert!(said.contains("Encrypted 251 secrets"), "{said}");
    // The one that is left keeps a server without the old key from starting, until it is forgotten.
    let error = start_error(&database, with_keys(OTHER_KEY, None)).await;
    assert!(error.contains("claviger encryption-key forget"), "{error}");
    // Without a key, everything is under another one: that is not done by mistake.
    let careless = program()
        .args(["encryption-key", "forget"])
        .env("CLAVIGER_DATABASE_URL", &database.url)
        .output()
        .unwrap();
    let said = String::from_utf8(careless.stderr).unwrap();
    assert!(!careless.status.success() && said.contains("say --all"), "{said}");
    let (said, done) = encryption_key(&database.url, "forget", OTHER_KEY, None);
    assert!(done && said.contains("Erased 1 secret "), "{said}");
    let server = TestServer::start_on(database, clock, with_keys(OTHER_KEY, None)).await;
    let shown_once = (Code::FailedPrecondition, "SECRET_SHOWN_ONCE".to_owned());
    assert_eq!(reveal(&server, &one).await, shown_once);
    assert_eq!(reveal(&server, &two).await, (Code::Ok, secret.clone()));
    assert!(server.operator().authorize(a_question(&secret).build()).await.unwrap().allowed);
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
    let command = |name, current, previous| encryption_key(&database.url, name, current, previous);
    let (said, done) = command("rotate", OTHER_KEY, Some(ENCRYPTION_KEY));
    assert!(done && said.contains("Encrypted 2 secrets with the current key."), "{said}");
    let (said, done) = command("rotate", OTHER_KEY, Some(ENCRYPTION_KEY));
    assert!(done && said.contains("Encrypted 0 secrets with the current key."), "{said}");
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
