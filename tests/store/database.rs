//! A database to test against.

use std::path::Path;
use std::sync::Arc;

use claviger::domain::{Key, KeyName, SecretDigest, Workspace};
use claviger::store::{
    AsStoreError, DatabaseUrl, Store, StoreError, StoredCatalog, Transaction, UnitOfWork,
};
use futures_util::future::BoxFuture;

use super::builders::{a_workspace, digest_of};
use crate::support::database::{Engine, TestDatabase};

/// An empty database of one case's own, open.
pub struct Database {
    pub store: Arc<Store>,
    database: TestDatabase,
}

impl Database {
    pub async fn create(engine: Engine) -> Self {
        let database = TestDatabase::create(engine).await;
        let store = open(&database).await;
        Self { store, database }
    }

    /// Closes the database and opens it again.
    pub async fn reopen(self) -> Self {
        let Self { store, database } = self;
        store.close().await;
        Arc::into_inner(store).expect("nobody else holds the store");
        let store = open(&database).await;
        Self { store, database }
    }

    pub fn url(&self) -> DatabaseUrl {
        self.database.database_url()
    }

    pub fn directory(&self) -> &Path {
        self.database.directory()
    }

    /// Does what `run` does, in one transaction. It borrows from `state`, because a unit of work may
    /// be run more than once.
    pub async fn transact<S, T, F>(&self, state: S, run: F) -> Result<T, Failure>
    where
        S: Send + Sync + 'static,
        T: Send + 'static,
        F: Run<S, T>,
    {
        self.transact_in(None, state, run).await
    }

    /// The same for a unit of work that may share its commit with others of its group, if it has one.
    pub async fn transact_in<S, T, F>(
        &self,
        group: Option<&'static str>,
        state: S,
        run: F,
    ) -> Result<T, Failure>
    where
        S: Send + Sync + 'static,
        T: Send + 'static,
        F: Run<S, T>,
    {
        let work = Work { group, state, run, output: std::marker::PhantomData };
        Ok(self.store.transact(work).await?.output)
    }

    pub async fn add_catalog(&self, catalog: &StoredCatalog) {
        self.transact(catalog.clone(), |catalog, tx| {
            Box::pin(async move { Ok(tx.catalogs().insert(catalog).await?) })
        })
        .await
        .unwrap();
    }

    pub async fn add_workspace(&self, workspace: &Workspace) {
        self.try_add_workspace(workspace).await.unwrap();
    }

    pub async fn try_add_workspace(&self, workspace: &Workspace) -> Result<(), Failure> {
        self.transact(workspace.clone(), |workspace, tx| {
            Box::pin(async move { Ok(tx.workspaces().insert(workspace).await?) })
        })
        .await
    }

    /// Adds workspaces of which nothing but the id matters.
    pub async fn add_workspaces(&self, ids: &[&str]) {
        for id in ids {
            self.add_workspace(&a_workspace(id).build()).await;
        }
    }

    pub async fn add_keys(&self, keys: &[Key]) {
        self.transact(keys.to_vec(), |keys, tx| {
            Box::pin(async move {
                for key in keys {
                    tx.keys().insert(key, &digest_of(key)).await?;
                }
                Ok(())
            })
        })
        .await
        .unwrap();
    }

    pub async fn try_add_key(&self, key: &Key, digest: SecretDigest) -> Result<(), Failure> {
        self.transact(key.clone(), move |key, tx| {
            Box::pin(async move { Ok(tx.keys().insert(key, &digest).await?) })
        })
        .await
    }

    /// Deletes a key, and says whether it was there.
    pub async fn delete_key(&self, name: &KeyName) -> bool {
        self.transact(name.clone(), |name, tx| {
            Box::pin(async move { Ok(tx.keys().delete(name).await?) })
        })
        .await
        .unwrap()
    }
}

async fn open(database: &TestDatabase) -> Arc<Store> {
    let store = Store::open(&database.database_url()).await.unwrap();
    store.migrate().await.unwrap();
    Arc::new(store)
}

/// Why a unit of work was not done.
#[derive(Debug)]
pub enum Failure {
    Store(StoreError),
    /// It did not want to be.
    Refused,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl AsStoreError for Failure {
    fn as_store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::Refused => None,
        }
    }
}

impl Failure {
    /// Whether the database refused something.
    pub fn is_of_database(&self) -> bool {
        matches!(self, Self::Store(StoreError::Database(_)))
    }
}

/// What is done within a transaction.
pub trait Run<S, T>:
    for<'a> Fn(&'a S, &'a Transaction) -> BoxFuture<'a, Result<T, Failure>> + Send + Sync + 'static
{
}

impl<S, T, F> Run<S, T> for F where
    F: for<'a> Fn(&'a S, &'a Transaction) -> BoxFuture<'a, Result<T, Failure>>
        + Send
        + Sync
        + 'static
{
}

struct Work<S, T, F> {
    group: Option<&'static str>,
    state: S,
    run: F,
    output: std::marker::PhantomData<fn() -> T>,
}

impl<S, T, F> UnitOfWork for Work<S, T, F>
where
    S: Send + Sync + 'static,
    T: Send + 'static,
    F: Run<S, T>,
{
    type Output = T;
    type Error = Failure;

    fn group(&self) -> Option<&str> {
        self.group
    }

    async fn run(&self, tx: &Transaction) -> Result<T, Failure> {
        (self.run)(&self.state, tx).await
    }
}
