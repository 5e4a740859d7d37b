//! The operator key: the control key that a database starts with, and that may do everything.

use std::sync::Arc;

use uuid::Uuid;

use super::entropy::new_id;
use super::error::Error;
use crate::clock::Clock;
use crate::domain::{
    CatalogId, Grant, Key, KeyName, KeyPrefix, Networks, Policy, Secret, Timestamp, Workspace,
    WorkspaceId, WorkspaceScope,
};
use crate::store::{Store, StoreError, Transaction, UnitOfWork};

/// Whether the database has been started on before.
///
/// # Errors
/// If it cannot be read.
pub async fn is_initialized(store: &Store) -> Result<bool, StoreError> {
    store.metadata().is_initialized().await
}

/// Makes an empty database ready: the reserved workspace, and the operator key with this secret. Does
/// nothing, and returns `false`, if another start did it meanwhile.
///
/// # Errors
/// If the database cannot be written.
pub async fn initialize(
    store: &Arc<Store>,
    clock: &dyn Clock,
    secret: Secret,
) -> Result<bool, Error> {
    let now = clock.now();
    let (epoch, key_id) = (new_id(now)?, new_id(now)?);
    Ok(store.transact(Initialize { epoch, key_id, secret, now }).await?.output)
}

/// Deletes every operator key that a start or a reset made, and makes a new one with this secret.
/// Control keys that callers created stay.
///
/// # Errors
/// If the database cannot be written.
pub async fn reset_operator_key(
    store: &Arc<Store>,
    clock: &dyn Clock,
    secret: Secret,
) -> Result<(), Error> {
    let now = clock.now();
    store.transact(ResetOperatorKey { key_id: new_id(now)?, secret, now }).await?;
    Ok(())
}

struct Initialize {
    epoch: Uuid,
    key_id: Uuid,
    secret: Secret,
    now: Timestamp,
}

impl UnitOfWork for Initialize {
    type Output = bool;
    type Error = Error;

    async fn run(&self, tx: &Transaction) -> Result<bool, Error> {
        if tx.metadata().is_initialized().await? {
            return Ok(false);
        }
        let workspace = Workspace {
            id: WorkspaceId::reserved(),
            display_name: "Claviger".parse().expect("it is a display name"),
            catalog: CatalogId::reserved(),
            instance: None,
            public_key: None,
            policy: Policy { key_prefix: KeyPrefix::control(), ..Policy::default() },
            create_time: self.now,
            update_time: self.now,
        };
        tx.workspaces().insert(&workspace).await?;
        tx.keys()
            .import(&operator_key(self.key_id, &self.secret, self.now), &self.secret.digest())
            .await?;
        tx.metadata().initialize(self.epoch, self.now).await?;
        Ok(true)
    }
}

struct ResetOperatorKey {
    key_id: Uuid,
    secret: Secret,
    now: Timestamp,
}

impl UnitOfWork for ResetOperatorKey {
    type Output = ();
    type Error = Error;

    async fn run(&self, tx: &Transaction) -> Result<(), Error> {
        tx.workspaces().lock(&WorkspaceId::reserved()).await?;
        for key in tx.keys().operator_keys().await? {
            if key.created_by.is_none() {
                tx.keys().delete(&key.name).await?;
            }
        }
        tx.keys()
            .import(&operator_key(self.key_id, &self.secret, self.now), &self.secret.digest())
            .await?;
        Ok(())
    }
}

fn operator_key(id: Uuid, secret: &Secret, now: Timestamp) -> Key {
    Key {
        name: KeyName { workspace: WorkspaceId::reserved(), id },
        display_name: "Operator key".parse().expect("it is a display name"),
        hint: secret.hint(),
        permissions: vec![Grant::All],
        allowed_ips: Networks::default(),
        network_sets: Vec::new(),
        created_by: None,
        create_time: now,
        last_seen_time: None,
        expire_time: None,
        workspace_scope: WorkspaceScope::default(),
    }
}
