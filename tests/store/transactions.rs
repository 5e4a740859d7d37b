//! Units of work: all or nothing, and to the end.

use std::sync::Arc;

use claviger::domain::Key;
use claviger::store::{StoreError, Transaction};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};

use super::builders::{a_catalog, a_key, a_workspace, digest_of, workspace_id};
use super::database::{Database, Failure};
use super::gate::Gate;

conformance! {
    a_unit_of_work_sees_what_it_wrote,
    a_unit_of_work_that_fails_leaves_nothing,
    a_unit_of_work_that_fails_on_the_database_leaves_nothing,
    a_unit_of_work_that_panics_leaves_nothing,
    what_is_not_committed_is_seen_by_nobody,
    a_caller_that_hangs_up_does_not_tear_a_unit_of_work,
    a_caller_that_hangs_up_at_once_does_not_either,
    a_caller_that_hangs_up_does_not_keep_what_failed,
    no_update_of_a_locked_workspace_is_lost,
    no_update_of_a_locked_catalogue_is_lost,
}

/// Everything that can be written, as one change.
async fn write_everything(tx: &Transaction) -> Result<Key, Failure> {
    let key = a_key(1).build();
    tx.workspaces().update(&a_workspace("acme").display_name("changed").build()).await?;
    tx.workspaces().insert(&a_workspace("new").build()).await?;
    tx.catalogs().insert(&a_catalog("new", 1, Vec::new())).await?;
    tx.keys().insert(&key, &digest_of(&key)).await?;
    tx.workspaces().delete(&workspace_id("doomed")).await?;
    Ok(key)
}

/// A database on which [`write_everything`] was not done yet.
async fn prepared(database: Database) -> Database {
    database.add_workspaces(&["acme", "doomed"]).await;
    database
}

/// Whether everything was written; `None`: a part of it.
async fn is_written(database: &Database) -> Option<bool> {
    let store = &database.store;
    let acme = store.workspaces().find(&workspace_id("acme")).await.unwrap().unwrap();
    let new = a_catalog("new", 1, Vec::new()).id;
    let written = [
        acme.display_name.as_str() == "changed",
        store.workspaces().find(&workspace_id("new")).await.unwrap().is_some(),
        store.catalogs().find(&new).await.unwrap().is_some(),
        store.keys().find(&a_key(1).build().name).await.unwrap().is_some(),
        store.workspaces().find(&workspace_id("doomed")).await.unwrap().is_none(),
    ];
    match written {
        [true, true, true, true, true] => Some(true),
        [false, false, false, false, false] => Some(false),
        _ => None,
    }
}

/// The next unit of work: it begins when those before it, on the same workspace, have ended.
async fn next_unit_of_work(database: &Database) {
    let next = database.transact(workspace_id("acme"), |acme, tx| {
        Box::pin(async move { Ok(tx.workspaces().lock(acme).await?.is_some()) })
    });
    assert!(next.await.unwrap());
}

async fn a_unit_of_work_sees_what_it_wrote(database: Database) {
    let database = prepared(database).await;
    let seen = database.transact((), |(), tx| {
        Box::pin(async move {
            let key = write_everything(tx).await?;
            let found = tx.keys().find_by_digest(&digest_of(&key)).await?.unwrap();
            assert_eq!(found.key, key);
            assert_eq!(tx.keys().count(&key.name.workspace).await?, 1);
            assert_eq!(tx.workspaces().find(&workspace_id("doomed")).await?, None);
            Ok(tx.workspaces().lock(&workspace_id("acme")).await?.unwrap().display_name)
        })
    });
    assert_eq!(seen.await.unwrap().as_str(), "changed");
    assert_eq!(is_written(&database).await, Some(true));
}

async fn a_unit_of_work_that_fails_leaves_nothing(database: Database) {
    let database = prepared(database).await;
    let failing = database.transact((), |(), tx| {
        Box::pin(async move {
            write_everything(tx).await?;
            Err::<(), _>(Failure::Refused)
        })
    });
    let error = failing.await.unwrap_err();
    assert!(matches!(error, Failure::Refused), "{error:?}");
    assert_eq!(is_written(&database).await, Some(false));
    next_unit_of_work(&database).await;
}

async fn a_unit_of_work_that_fails_on_the_database_leaves_nothing(database: Database) {
    let database = prepared(database).await;
    let failing = database.transact((), |(), tx| {
        Box::pin(async move {
            let key = write_everything(tx).await?;
            // The same digest again.
            Ok(tx.keys().insert(&a_key(2).build(), &digest_of(&key)).await?)
        })
    });
    let error = failing.await.unwrap_err();
    assert!(error.is_of_database(), "{error:?}");
    assert_eq!(is_written(&database).await, Some(false));
    next_unit_of_work(&database).await;
}

async fn a_unit_of_work_that_panics_leaves_nothing(database: Database) {
    let database = prepared(database).await;
    // More often than there are connections: none is lost.
    for _ in 0..20 {
        let panicking = database.transact((), |(), tx| {
            Box::pin(async move {
                write_everything(tx).await?;
                panic!("on purpose: this belongs to the test")
            })
        });
        let outcome: Result<(), Failure> = panicking.await;
        let error = outcome.unwrap_err();
        assert!(matches!(error, Failure::Store(StoreError::Interrupted)), "{error:?}");
        assert_eq!(is_written(&database).await, Some(false));
    }
    let writing = database.transact((), |(), tx| Box::pin(write_everything(tx)));
    writing.await.unwrap();
    assert_eq!(is_written(&database).await, Some(true));
}

/// Writes everything, waits at the gate, and then comes to this end.
async fn write_and_wait(
    database: &Database,
    gate: &Arc<Gate>,
    end: fn() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let write = database.transact((Arc::clone(gate), end), |(gate, end), tx| {
        Box::pin(async move {
            write_everything(tx).await?;
            gate.pass().await;
            end()
        })
    });
    write.await
}

/// And it keeps nobody from reading.
async fn what_is_not_committed_is_seen_by_nobody(database: Database) {
    let database = prepared(database).await;
    let gate = Arc::default();
    let look = async {
        Gate::reached(&gate).await;
        let before = is_written(&database).await;
        gate.open.notify_one();
        before
    };
    let (written, before) = tokio::join!(write_and_wait(&database, &gate, || Ok(())), look);
    written.unwrap();
    assert_eq!(before, Some(false));
    assert_eq!(is_written(&database).await, Some(true));
}

async fn a_caller_that_hangs_up_does_not_tear_a_unit_of_work(database: Database) {
    let database = prepared(database).await;
    let gate = Arc::default();
    tokio::select! {
        outcome = write_and_wait(&database, &gate, || Ok(())) => unreachable!("{outcome:?}"),
        // The call above is dropped in the middle of its transaction.
        () = Gate::reached(&gate) => {}
    }
    assert_eq!(is_written(&database).await, Some(false));
    gate.open.notify_one();
    next_unit_of_work(&database).await;
    assert_eq!(is_written(&database).await, Some(true));
}

async fn a_caller_that_hangs_up_at_once_does_not_either(database: Database) {
    let database = prepared(database).await;
    let gate = Arc::default();
    // Polled once, then dropped.
    assert!(write_and_wait(&database, &gate, || Ok(())).now_or_never().is_none());
    gate.reached().await;
    gate.open.notify_one();
    next_unit_of_work(&database).await;
    assert_eq!(is_written(&database).await, Some(true));
}

async fn a_caller_that_hangs_up_does_not_keep_what_failed(database: Database) {
    let database = prepared(database).await;
    let gate = Arc::default();
    let refusing = write_and_wait(&database, &gate, || Err(Failure::Refused));
    assert!(refusing.now_or_never().is_none());
    gate.reached().await;
    gate.open.notify_one();
    next_unit_of_work(&database).await;
    assert_eq!(is_written(&database).await, Some(false));
}

/// As many units of work at a time as it takes to lose an update without a lock.
const AT_ONCE: u32 = 32;

async fn no_update_of_a_locked_workspace_is_lost(database: Database) {
    fn increment<'a>((): &'a (), tx: &'a Transaction) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let mut acme = tx.workspaces().lock(&workspace_id("acme")).await?.unwrap();
            acme.policy.max_keys = Some(acme.policy.max_keys.unwrap_or(0) + 1);
            Ok(tx.workspaces().update(&acme).await?)
        })
    }
    database.add_workspaces(&["acme"]).await;
    for outcome in join_all((0..AT_ONCE).map(|_| database.transact((), increment))).await {
        outcome.unwrap();
    }
    let acme = database.store.workspaces().find(&workspace_id("acme")).await.unwrap().unwrap();
    assert_eq!(acme.policy.max_keys, Some(AT_ONCE));
}

async fn no_update_of_a_locked_catalogue_is_lost(database: Database) {
    fn increment<'a>((): &'a (), tx: &'a Transaction) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let id = a_catalog("small", 0, Vec::new()).id;
            let mut small = tx.catalogs().lock(&id).await?.unwrap();
            small.revision = uuid::Uuid::from_u128(small.revision.as_u128() + 1);
            Ok(tx.catalogs().update(&small).await?)
        })
    }
    let small = a_catalog("small", 0, Vec::new());
    database.add_catalog(&small).await;
    for outcome in join_all((0..AT_ONCE).map(|_| database.transact((), increment))).await {
        outcome.unwrap();
    }
    let found = database.store.catalogs().find(&small.id).await.unwrap().unwrap();
    assert_eq!(found.revision.as_u128(), u128::from(AT_ONCE));
}
