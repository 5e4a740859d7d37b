//! What is known of the database itself.

use uuid::Uuid;

use super::builders::{a_catalog, a_key, a_workspace, at, digest_of};
use super::database::{Database, Failure};

conformance! {
    a_database_is_initialized_once,
    an_initialization_that_fails_is_none,
    everything_is_there_after_reopening,
}

async fn initialize(database: &Database, epoch: u128, then: Result<(), ()>) -> Result<(), Failure> {
    let initialize = database.transact((epoch, then), |(epoch, then), tx| {
        Box::pin(async move {
            tx.metadata().initialize(Uuid::from_u128(*epoch), at(0)).await?;
            then.map_err(|()| Failure::Refused)
        })
    });
    initialize.await
}

async fn a_database_is_initialized_once(database: Database) {
    assert!(!database.store.metadata().is_initialized().await.unwrap());
    initialize(&database, 1, Ok(())).await.unwrap();
    assert!(database.store.metadata().is_initialized().await.unwrap());
    for epoch in [1, 2] {
        let refused = initialize(&database, epoch, Ok(())).await.unwrap_err();
        assert!(refused.is_of_database(), "{refused:?}");
    }
    assert!(database.store.metadata().is_initialized().await.unwrap());
}

async fn an_initialization_that_fails_is_none(database: Database) {
    let refused = initialize(&database, 1, Err(())).await.unwrap_err();
    assert!(matches!(refused, Failure::Refused), "{refused:?}");
    assert!(!database.store.metadata().is_initialized().await.unwrap());
    initialize(&database, 1, Ok(())).await.unwrap();
    assert!(database.store.metadata().is_initialized().await.unwrap());
}

async fn everything_is_there_after_reopening(database: Database) {
    let (catalog, workspace) = (a_catalog("small", 5, Vec::new()), a_workspace("acme").build());
    let key = a_key(1).created_by("Zoë").expire_time(at(1)).build();
    database.add_catalog(&catalog).await;
    database.add_workspace(&workspace).await;
    database.add_keys(std::slice::from_ref(&key)).await;
    initialize(&database, 1, Ok(())).await.unwrap();

    // Once more for the tables, which are brought up to date at each start.
    let database = database.reopen().await.reopen().await;
    let store = &database.store;
    assert!(store.metadata().is_initialized().await.unwrap());
    assert_eq!(store.workspaces().find(&workspace.id).await.unwrap(), Some(workspace));
    let stored = store.keys().find_by_digest(&digest_of(&key)).await.unwrap().unwrap();
    assert_eq!((stored.key, stored.tenant.catalog), (key, catalog.id));
    assert_eq!(stored.tenant.catalog_revision, Some(catalog.revision));
    // And it can be written.
    database.add_keys(&[a_key(2).build()]).await;
}
