//! P5: `max_keys` and `keep_last_key` hold exactly under any concurrency, as the use cases enforce them: in a
//! transaction that has locked the workspace.

use claviger::domain::{Key, Policy};
use futures_util::future::join_all;

use super::builders::{a_key, a_workspace, at, digest_of, workspace_id};
use super::database::{Database, Failure};

conformance! {
    p5_max_keys_holds_exactly,
    p5_the_last_key_is_kept,
}

async fn create(database: &Database, key: Key) -> Result<(), Failure> {
    let create = database.transact(key, |key, tx| {
        Box::pin(async move {
            let workspace = tx.workspaces().lock(&key.name.workspace).await?.unwrap();
            let max_keys = workspace.policy.max_keys.unwrap();
            if tx.keys().count(&workspace.id).await? >= u64::from(max_keys) {
                return Err(Failure::Refused);
            }
            Ok(tx.keys().insert(key, &digest_of(key)).await?)
        })
    });
    create.await
}

async fn delete(database: &Database, key: &Key) -> Result<bool, Failure> {
    let delete = database.transact(key.name.clone(), |name, tx| {
        Box::pin(async move {
            tx.workspaces().lock(&name.workspace).await?;
            if !tx.keys().has_other_unexpired(name, at(0)).await? {
                return Err(Failure::Refused);
            }
            Ok(tx.keys().delete(name).await?)
        })
    });
    delete.await
}

/// How many were done. The others must have been refused, not have failed.
fn count_done<T>(outcomes: &[Result<T, Failure>]) -> usize {
    let refused = |outcome: &Result<T, Failure>| match outcome {
        Ok(_) => false,
        Err(Failure::Refused) => true,
        Err(Failure::Store(error)) => panic!("{error}"),
    };
    outcomes.iter().filter(|outcome| !refused(outcome)).count()
}

async fn p5_max_keys_holds_exactly(database: Database) {
    let policy = Policy { max_keys: Some(10), ..Policy::default() };
    database.add_workspace(&a_workspace("acme").policy(policy).build()).await;
    let outcomes = join_all((0..32).map(|number| create(&database, a_key(number).build()))).await;
    assert_eq!(count_done(&outcomes), 10);
    assert_eq!(database.store.keys().count(&workspace_id("acme")).await.unwrap(), 10);
}

async fn p5_the_last_key_is_kept(database: Database) {
    database.add_workspaces(&["acme"]).await;
    let keys: Vec<Key> = (0..16).map(|number| a_key(number).build()).collect();
    database.add_keys(&keys).await;
    // An expired one is no last key.
    database.add_keys(&[a_key(16).expire_time(at(0)).build()]).await;
    let outcomes = join_all(keys.iter().map(|key| delete(&database, key))).await;
    assert_eq!(count_done(&outcomes), 15);
    assert_eq!(database.store.keys().count(&workspace_id("acme")).await.unwrap(), 2);
}
