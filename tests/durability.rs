//! What was acknowledged stays (P3), and one database has one server.

mod support;

use std::collections::HashSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use claviger::proto::{ApplyCatalogRequest, DeleteKeyRequest, ListKeysRequest, Policy, Reason};
use support::builders::{a_key, a_question, small_catalog};
use support::database::{Engine, TestDatabase};
use support::process::{Process, program};
use support::server::Client;
use tokio::sync::Mutex;

/// What the server acknowledged.
#[derive(Default)]
struct Acknowledged {
    /// Name and secret of each key that was created and not asked to be deleted.
    created: Vec<(String, String)>,
    /// The same of each key that was deleted.
    deleted: Vec<(String, String)>,
}

/// Creates and deletes keys until the server is gone.
async fn make_changes(operator: Client, state: Arc<Mutex<Acknowledged>>, done: Arc<AtomicU64>) {
    loop {
        let key = a_key("k").permissions(&["*"]).build();
        let Ok(created) = operator.create_key("workspaces/acme", key).await else { return };
        done.fetch_add(1, Ordering::SeqCst);
        state.lock().await.created.push((created.key.unwrap().name, created.secret));
        // Every other time, one is deleted: the oldest that nobody else is deleting.
        if !done.load(Ordering::SeqCst).is_multiple_of(2) {
            continue;
        }
        // Until that is acknowledged it may be there or not.
        let (name, secret) = state.lock().await.created.remove(0);
        let request = DeleteKeyRequest { name: name.clone() };
        let Ok(_deleted) = operator.keys.clone().delete_key(request).await else { return };
        done.fetch_add(1, Ordering::SeqCst);
        state.lock().await.deleted.push((name, secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_what_was_acknowledged_survives_kill_9() {
    let database = TestDatabase::create(Engine::of_this_run()).await;
    let arguments = ["--database-url", &database.url];
    let state = Arc::new(Mutex::new(Acknowledged::default()));
    let mut process = Process::start(database.directory(), &arguments).await;
    let operator = process.operator();
    let catalog = Some(small_catalog());
    operator.catalogs.clone().apply_catalog(ApplyCatalogRequest { catalog }).await.unwrap();
    operator.create_workspace("acme", "catalogs/small", Policy::default()).await.unwrap();

    let mut changes = 0;
    // Four deaths, each after some fifty changes, at whatever the server is doing just then.
    for _ in 0..4 {
        let done = Arc::new(AtomicU64::new(0));
        let workers: Vec<_> = (0..8)
            .map(|_| {
                let (operator, state, done) =
                    (process.operator(), Arc::clone(&state), Arc::clone(&done));
                tokio::spawn(make_changes(operator, state, done))
            })
            .collect();
        support::eventually("fifty changes are made", || async {
            (done.load(Ordering::SeqCst) >= 50).then_some(())
        })
        .await;
        process.kill();
        for worker in workers {
            worker.await.unwrap();
        }
        changes += done.load(Ordering::SeqCst);
        process = Process::start(database.directory(), &arguments).await;
        check(&process.operator(), &*state.lock().await).await;
    }
    assert!(changes >= 200, "{changes}");
}

async fn check(operator: &Client, state: &Acknowledged) {
    for (reason, keys) in [(Reason::Allowed, &state.created), (Reason::KeyUnknown, &state.deleted)]
    {
        for (name, secret) in keys {
            let question = a_question(secret).permission("users.track").build();
            let response = operator.authorize(question).await.unwrap();
            assert_eq!(response.reason(), reason, "{name}");
        }
    }
    let listed = list_all(operator).await;
    for (name, _) in &state.created {
        assert!(listed.contains(name), "{name} was acknowledged and is gone");
    }
    for (name, _) in &state.deleted {
        assert!(!listed.contains(name), "{name} was deleted and is back");
    }
}

async fn list_all(operator: &Client) -> HashSet<String> {
    let mut names = HashSet::new();
    let mut request = ListKeysRequest {
        parent: "workspaces/acme".to_owned(),
        page_size: 1_000,
        ..ListKeysRequest::default()
    };
    loop {
        let page = operator.keys.clone().list_keys(request.clone()).await.unwrap().into_inner();
        names.extend(page.keys.into_iter().map(|key| key.name));
        if page.next_page_token.is_empty() {
            return names;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn a_second_server_on_the_same_data_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let first = Process::start(directory.path(), &[]).await;
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["operator-key", "reset"]] {
        // If it were not refused, it would run until somebody stops it.
        let second = Command::new("timeout")
            .arg("10")
            .arg(program().get_program())
            .args(arguments)
            .arg("--data-dir")
            .arg(directory.path())
            .output()
            .unwrap();
        let said = String::from_utf8(second.stderr).unwrap();
        assert_eq!(second.status.code(), Some(1));
        assert!(said.contains("claviger.db is in use by another process"), "{said}");
    }
    // The first one never noticed.
    let question = a_question("some-key").build();
    assert!(first.operator().authorize(question).await.is_ok());
    assert_eq!(first.end("TERM").await, Some(0));
    let third = Process::start(directory.path(), &[]).await;
    assert_eq!(third.end("INT").await, Some(0));
}
