//! `claviger migrate-store`: from any engine to any other.

mod support;

use std::process::Output;

use claviger::proto::{
    CreateKeyRequest, DeleteNetworkSetRequest, Key, ListKeysRequest, Policy, Role, SecretVisibility,
};
use support::builders::{a_key, a_question};
use support::clock::FakeClock;
use support::database::{Engine, TestDatabase};
use support::process::program;
use support::products;
use support::server::TestServer;
use support::status::refusal;

fn migrate(from: &str, to: &str) -> Output {
    // Not as arguments: they hold passwords.
    let environment = [("CLAVIGER_MIGRATE_FROM", from), ("CLAVIGER_MIGRATE_TO", to)];
    program().arg("migrate-store").envs(environment).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap() + std::str::from_utf8(&output.stderr).unwrap()
}

async fn list(server: &TestServer, secret: &str) -> Vec<Key> {
    let parent = "workspaces/acme".to_owned();
    let request = ListKeysRequest { parent, page_size: 1_000, ..ListKeysRequest::default() };
    server.caller(secret).keys.list_keys(request).await.unwrap().into_inner().keys
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_on_the_other_engine() {
    for (from, to) in [
        (Engine::Sqlite, Engine::Postgres),
        (Engine::Postgres, Engine::MariaDb),
        (Engine::MariaDb, Engine::Sqlite),
    ] {
        let source = TestDatabase::create(from).await;
        let server =
            TestServer::start_on(source, std::sync::Arc::default(), products::settings()).await;
        server.add_acme().await;
        let operator = server.operator();
        let policy = Policy {
            max_keys: 7,
            key_prefix: "x".to_owned(),
            secret_visibility: SecretVisibility::Revealable.into(),
            ..Policy::default()
        };
        operator.create_workspace("empty", "catalogs/small", policy).await.unwrap();
        // One of everything else that there is.
        operator.add_member("workspaces/empty", "jane@example.com", Role::Owner).await.unwrap();
        operator.create_identifier("workspaces/empty", "app-1", "app", "Été 🔑").await.unwrap();
        operator.apply_network_set("networkSets/platform", &["203.0.113.0/24"]).await.unwrap();
        let revealable = a_key("r").permissions(&["*"]).network_sets(&["networkSets/platform"]);
        let revealable = operator.create_key("workspaces/empty", revealable.build()).await.unwrap();
        let mut secret = String::new();
        // More than one batch.
        for number in 0..600 {
            let key = a_key(&format!("Schlüssel {number} 🔑"))
                .permissions(&["users.*", "items.get"])
                .allowed_ips(&["203.0.113.0/24", "2001:db8::/32"])
                .expire_time(FakeClock::at(1_000_000 + number))
                .build();
            let request = CreateKeyRequest {
                parent: "workspaces/acme".to_owned(),
                key: Some(key),
                request_id: format!("6b1f2a3c-1111-4222-8333-{number:012}"),
            };
            let created = operator.keys.clone().create_key(request).await.unwrap().into_inner();
            secret = created.secret;
        }
        let question = || a_question(&secret).permission("users.track").from("203.0.113.9").build();
        assert!(operator.authorize(question()).await.unwrap().allowed);
        let operator_key = server.operator_key.clone();
        let (source, clock) = server.stop().await;

        let target = TestDatabase::create(to).await;
        let output = migrate(&source.url, &target.url);
        assert!(output.status.success(), "{from:?} {to:?}: {}", said(&output));
        assert!(
            said(&output).contains("3 workspaces, 1 catalogues, 602 keys"),
            "{}",
            said(&output)
        );
        assert!(!said(&output).contains("claviger:claviger"), "no password: {}", said(&output));
        // Not twice.
        let again = migrate(&source.url, &target.url);
        assert!(said(&again).contains("the database to copy to is not empty"), "{}", said(&again));

        let before = TestServer::start_on(source, clock.clone(), products::settings()).await;
        let after = TestServer::start_on(target, clock, products::settings()).await;
        let key = operator_key.expose();
        assert_eq!(list(&after, key).await, list(&before, key).await, "{from:?} {to:?}");
        let operator = after.caller(key);
        assert!(operator.authorize(question()).await.unwrap().allowed);
        let name = revealable.key.unwrap().name;
        assert_eq!(operator.reveal_key(&name).await.unwrap().secret, revealable.secret);
        after.dashboard(key, "jane@example.com").list_keys("workspaces/empty").await.unwrap();
        let question = a_question(&revealable.secret).from("203.0.113.9").identifiers(&["app-1"]);
        assert!(operator.authorize(question.build()).await.unwrap().allowed);
        let name = "networkSets/platform".to_owned();
        let delete = DeleteNetworkSetRequest { name };
        let refused = refusal(operator.catalogs.clone().delete_network_set(delete).await);
        assert_eq!(refused.1, "NETWORK_SET_IN_USE");
    }
}

#[tokio::test]
async fn what_cannot_be_copied_is_said() {
    let empty = TestDatabase::create(Engine::Sqlite).await;
    let target = TestDatabase::create(Engine::Sqlite).await;
    for (from, to, part) in [
        (
            empty.url.as_str(),
            target.url.as_str(),
            "no server was ever started on the database to copy",
        ),
        ("nowhere", &target.url, "--from must begin with"),
        (
            &empty.url,
            "postgres://u:hunter2@db.example.com/d",
            "--to is of the server `db.example.com`",
        ),
    ] {
        let output = migrate(from, to);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(part), "{}", said(&output));
        assert!(!said(&output).contains("hunter2"));
    }
}
