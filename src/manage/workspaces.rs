//! Workspaces: create, get, list, update, delete.

use std::sync::Arc;

use uuid::Uuid;

use super::entropy::{new_id, random};
use super::error::{Error, Precondition, Resource, Violation};
use super::keys::{CreatedKey, KeyDraft, build_key, check_known};
use crate::clock::Clock;
use crate::domain::{
    AllowedIps, Caller, CatalogId, DisplayName, ENTROPY_BYTES, Grant, KeyPrefix, Policy, Role,
    Timestamp, Workspace, WorkspaceId, WorkspaceScope,
};
use crate::store::{Store, Transaction, UnitOfWork};

/// All workspaces.
#[derive(Clone, Debug)]
pub struct Workspaces {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
}

/// What a caller asks of a new workspace.
#[derive(Clone, Debug)]
pub struct WorkspaceDraft {
    /// Its id.
    pub id: WorkspaceId,
    /// What people will call it.
    pub display_name: DisplayName,
    /// The catalogue of its permissions.
    pub catalog: CatalogId,
    /// The rules that its keys will be managed by.
    pub policy: Policy,
}

/// A workspace that was created.
#[derive(Debug)]
pub struct CreatedWorkspace {
    /// The workspace.
    pub workspace: Workspace,
    /// Its first key, if its policy provisions one.
    pub first_key: Option<CreatedKey>,
}

/// What to change of a workspace; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct WorkspacePatch {
    /// The display name.
    pub display_name: Option<DisplayName>,
    /// The catalogue, which may only be the one that it is.
    pub catalog: Option<CatalogId>,
    /// The policy.
    pub policy: PolicyPatch,
}

/// What to change of a policy; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct PolicyPatch {
    /// See [`Policy::max_keys`].
    pub max_keys: Option<Option<u32>>,
    /// See [`Policy::keep_last_key`].
    pub keep_last_key: Option<bool>,
    /// See [`Policy::key_manager_roles`].
    pub key_manager_roles: Option<Vec<Role>>,
    /// See [`Policy::provision_first_key`].
    pub provision_first_key: Option<bool>,
    /// See [`Policy::default_permissions`].
    pub default_permissions: Option<Vec<Grant>>,
    /// See [`Policy::key_prefix`].
    pub key_prefix: Option<KeyPrefix>,
}

impl PolicyPatch {
    /// The policy of a new workspace: what is not set has its default.
    #[must_use]
    pub fn into_policy(self) -> Policy {
        self.apply(Policy::default())
    }

    fn apply(&self, policy: Policy) -> Policy {
        let Self {
            max_keys,
            keep_last_key,
            key_manager_roles,
            provision_first_key,
            default_permissions,
            key_prefix,
        } = self.clone();
        Policy {
            max_keys: max_keys.unwrap_or(policy.max_keys),
            keep_last_key: keep_last_key.unwrap_or(policy.keep_last_key),
            key_manager_roles: key_manager_roles.unwrap_or(policy.key_manager_roles),
            provision_first_key: provision_first_key.unwrap_or(policy.provision_first_key),
            default_permissions: default_permissions.unwrap_or(policy.default_permissions),
            key_prefix: key_prefix.unwrap_or(policy.key_prefix),
        }
    }
}

impl Workspaces {
    /// Workspaces in this store, by this clock.
    #[must_use]
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Creates a workspace and, if its policy says so, a first key.
    ///
    /// # Errors
    /// See `WorkspaceService.CreateWorkspace` in the contract.
    pub async fn create(
        &self,
        caller: &Caller,
        draft: WorkspaceDraft,
    ) -> Result<CreatedWorkspace, Error> {
        refuse_reserved(&draft.id)?;
        let now = self.clock.now();
        let created_by = caller.created_by();
        let work =
            CreateWorkspace { draft, created_by, key_id: new_id(now)?, entropy: random()?, now };
        let created = self.store.transact(work).await?;
        tracing::info!(workspace = %created.workspace.id, by = %caller, "workspace created");
        Ok(created)
    }

    /// The workspace of this id.
    ///
    /// # Errors
    /// If there is none, or the database fails.
    pub async fn get(&self, id: &WorkspaceId) -> Result<Workspace, Error> {
        self.store.workspaces().find(id).await?.ok_or(Error::NotFound(Resource::Workspace))
    }

    /// At most `page_size` workspaces of the caller's scope behind this one, and whether there are
    /// more.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list(
        &self,
        caller: &Caller,
        after: Option<&WorkspaceId>,
        page_size: usize,
    ) -> Result<(Vec<Workspace>, bool), Error> {
        let mut page =
            self.store.workspaces().list(caller.scope(), after, page_size as u64 + 1).await?;
        let more = page.len() > page_size;
        page.truncate(page_size);
        Ok((page, more))
    }

    /// Changes a workspace.
    ///
    /// # Errors
    /// See `WorkspaceService.UpdateWorkspace` in the contract.
    pub async fn update(
        &self,
        caller: &Caller,
        id: WorkspaceId,
        patch: WorkspacePatch,
    ) -> Result<Workspace, Error> {
        refuse_reserved(&id)?;
        let work = UpdateWorkspace { id, patch, now: self.clock.now() };
        let workspace = self.store.transact(work).await?;
        tracing::info!(workspace = %workspace.id, by = %caller, "workspace updated");
        Ok(workspace)
    }

    /// Deletes a workspace; with `force`, its keys too.
    ///
    /// # Errors
    /// See `WorkspaceService.DeleteWorkspace` in the contract.
    pub async fn delete(&self, caller: &Caller, id: WorkspaceId, force: bool) -> Result<(), Error> {
        refuse_reserved(&id)?;
        self.store.transact(DeleteWorkspace { id: id.clone(), force }).await?;
        tracing::info!(workspace = %id, force, by = %caller, "workspace deleted");
        Ok(())
    }
}

pub(super) fn refuse_reserved(id: &WorkspaceId) -> Result<(), Error> {
    if id.is_reserved() { Err(Error::Reserved(Resource::Workspace)) } else { Ok(()) }
}

/// Checks that the catalogue knows what a policy gives to new keys. Locks the catalogue.
async fn check_defaults(
    tx: &Transaction,
    catalog: &CatalogId,
    policy: &Policy,
) -> Result<(), Error> {
    let catalog = tx.catalogs().lock(catalog).await?.ok_or(Precondition::CatalogNotFound)?;
    check_known(
        "workspace.policy.default_permissions",
        &policy.default_permissions,
        &catalog.catalog,
    )
}

struct CreateWorkspace {
    draft: WorkspaceDraft,
    created_by: String,
    key_id: Uuid,
    entropy: [u8; ENTROPY_BYTES],
    now: Timestamp,
}

impl CreateWorkspace {
    fn first_key(&self) -> KeyDraft {
        let default = &self.draft.policy.default_permissions;
        KeyDraft {
            display_name: "First key".parse().expect("it is a display name"),
            permissions: if default.is_empty() { vec![Grant::All] } else { default.clone() },
            allowed_ips: AllowedIps::default(),
            expire_time: None,
            workspace_scope: WorkspaceScope::default(),
        }
    }
}

impl UnitOfWork for CreateWorkspace {
    type Output = CreatedWorkspace;
    type Error = Error;

    async fn run(&self, tx: &Transaction) -> Result<CreatedWorkspace, Error> {
        let WorkspaceDraft { id, display_name, catalog, policy } = self.draft.clone();
        if tx.workspaces().find(&id).await?.is_some() {
            return Err(Error::WorkspaceExists);
        }
        check_defaults(tx, &catalog, &policy).await?;
        let (create_time, update_time) = (self.now, self.now);
        let workspace = Workspace { id, display_name, catalog, policy, create_time, update_time };
        tx.workspaces().insert(&workspace).await?;
        let first_key = if workspace.policy.provision_first_key {
            let by = Some(self.created_by.clone());
            let (key, secret) =
                build_key(&workspace, self.first_key(), by, self.key_id, self.entropy, self.now);
            tx.keys().insert(&key, &secret.digest()).await?;
            Some(CreatedKey { key, secret: Some(secret) })
        } else {
            None
        };
        Ok(CreatedWorkspace { workspace, first_key })
    }
}

struct UpdateWorkspace {
    id: WorkspaceId,
    patch: WorkspacePatch,
    now: Timestamp,
}

impl UnitOfWork for UpdateWorkspace {
    type Output = Workspace;
    type Error = Error;

    async fn run(&self, tx: &Transaction) -> Result<Workspace, Error> {
        let workspace = tx.workspaces().lock(&self.id).await?;
        let mut workspace = workspace.ok_or(Error::NotFound(Resource::Workspace))?;
        let WorkspacePatch { display_name, catalog, policy } = &self.patch;
        if catalog.as_ref().is_some_and(|catalog| *catalog != workspace.catalog) {
            return Err(Violation::new("workspace.catalog", "can never change").into());
        }
        if let Some(display_name) = display_name {
            workspace.display_name = display_name.clone();
        }
        workspace.policy = policy.apply(workspace.policy);
        if policy.default_permissions.is_some() {
            check_defaults(tx, &workspace.catalog, &workspace.policy).await?;
        }
        workspace.update_time = self.now;
        tx.workspaces().update(&workspace).await?;
        Ok(workspace)
    }
}

struct DeleteWorkspace {
    id: WorkspaceId,
    force: bool,
}

impl UnitOfWork for DeleteWorkspace {
    type Output = ();
    type Error = Error;

    async fn run(&self, tx: &Transaction) -> Result<(), Error> {
        if tx.workspaces().lock(&self.id).await?.is_none() {
            return Err(Error::NotFound(Resource::Workspace));
        }
        if !self.force && tx.keys().count(&self.id).await? > 0 {
            return Err(Precondition::WorkspaceNotEmpty.into());
        }
        tx.keys().delete_all(&self.id).await?;
        tx.key_requests().forget_all(&self.id).await?;
        tx.members().delete_all(&self.id).await?;
        tx.workspaces().delete(&self.id).await?;
        Ok(())
    }
}
