//! Workspaces: create, get, list, update, delete.

use std::sync::Arc;

use super::entropy::random;
use super::error::{Error, Precondition, Resource, Violation};
use super::keys::{CreatedKey, Issue, KeyDraft, check_known};
use crate::clock::Clock;
use crate::domain::{
    Caller, CatalogId, DisplayName, Grant, InstanceId, Instances, KeyPrefix, Networks, Policy,
    PublicKey, RequestsPerHour, Role, SecretVisibility, Timestamp, Vault, Workspace, WorkspaceId,
    WorkspaceScope,
};
use crate::store::{Committed, Store, Transaction, UnitOfWork};

/// How many workspaces are read at once.
const BATCH: usize = 50;
/// How large a page becomes, roughly, in bytes: gRPC clients read 4 MiB unless told otherwise.
const MAX_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// All workspaces.
#[derive(Clone, Debug)]
pub struct Workspaces {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    instances: Arc<Instances>,
    vault: Arc<Vault>,
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
    /// The instance that it will live on.
    pub instance: Option<InstanceId>,
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
    /// The instance.
    pub instance: Option<Option<InstanceId>>,
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
    /// See [`Policy::secret_visibility`].
    pub secret_visibility: Option<SecretVisibility>,
    /// See [`Policy::key_manager_roles`].
    pub key_manager_roles: Option<Vec<Role>>,
    /// See [`Policy::provision_first_key`].
    pub provision_first_key: Option<bool>,
    /// See [`Policy::default_permissions`].
    pub default_permissions: Option<Vec<Grant>>,
    /// See [`Policy::requests_per_hour`].
    pub requests_per_hour: Option<Option<RequestsPerHour>>,
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
            secret_visibility,
            key_manager_roles,
            provision_first_key,
            default_permissions,
            requests_per_hour,
            key_prefix,
        } = self.clone();
        Policy {
            max_keys: max_keys.unwrap_or(policy.max_keys),
            keep_last_key: keep_last_key.unwrap_or(policy.keep_last_key),
            secret_visibility: secret_visibility.unwrap_or(policy.secret_visibility),
            key_manager_roles: key_manager_roles.unwrap_or(policy.key_manager_roles),
            provision_first_key: provision_first_key.unwrap_or(policy.provision_first_key),
            default_permissions: default_permissions.unwrap_or(policy.default_permissions),
            requests_per_hour: requests_per_hour.unwrap_or(policy.requests_per_hour),
            key_prefix: key_prefix.unwrap_or(policy.key_prefix),
        }
    }
}

impl Workspaces {
    /// Workspaces in this store, by this clock, on these instances, with the secrets that can be revealed
    /// in this vault.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        instances: Arc<Instances>,
        vault: Arc<Vault>,
    ) -> Self {
        Self { store, clock, instances, vault }
    }

    /// Creates a workspace and, if its policy says so, a first key.
    ///
    /// # Errors
    /// See `WorkspaceService.CreateWorkspace` in the contract.
    pub async fn create(
        &self,
        caller: &Caller,
        draft: WorkspaceDraft,
    ) -> Result<Committed<CreatedWorkspace>, Error> {
        refuse_reserved(&draft.id)?;
        self.check_instance(draft.instance.as_ref())?;
        self.check_visibility(draft.policy.secret_visibility)?;
        let now = self.clock.now();
        let work =
            CreateWorkspace { draft, first_key: Issue::new(caller, None, &self.vault, now)?, now };
        let created = self.store.transact(work).await?;
        tracing::info!(workspace = %created.output.workspace.id, by = %caller, "workspace created");
        Ok(created)
    }

    /// The workspace of this id.
    ///
    /// # Errors
    /// If there is none, or the database fails.
    pub async fn get(&self, id: &WorkspaceId) -> Result<Workspace, Error> {
        self.store.workspaces().find(id).await?.ok_or(Error::NotFound(Resource::Workspace))
    }

    /// At most `page_size` workspaces of the caller's scope behind this one, fewer if they are large, and
    /// whether there are more.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list(
        &self,
        caller: &Caller,
        after: Option<&WorkspaceId>,
        page_size: usize,
    ) -> Result<(Vec<Workspace>, bool), Error> {
        let workspaces = self.store.workspaces();
        let (mut page, mut bytes) = (Vec::new(), 0);
        // A few at a time: a policy may be large, and most are small.
        loop {
            let last = page.last().map(|last: &Workspace| last.id.clone());
            let batch =
                workspaces.list(caller.scope(), last.as_ref().or(after), BATCH as u64).await?;
            let is_last = batch.len() < BATCH;
            for workspace in batch {
                if page.len() == page_size || bytes >= MAX_PAGE_BYTES {
                    return Ok((page, true));
                }
                bytes += size(&workspace);
                page.push(workspace);
            }
            if is_last {
                return Ok((page, false));
            }
        }
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
    ) -> Result<Committed<Workspace>, Error> {
        refuse_reserved(&id)?;
        self.check_instance(patch.instance.as_ref().and_then(Option::as_ref))?;
        self.check_visibility(patch.policy.secret_visibility.unwrap_or_default())?;
        let work = UpdateWorkspace { id, patch, now: self.clock.now() };
        let updated = self.store.transact(work).await?;
        tracing::info!(workspace = %updated.output.id, by = %caller, "workspace updated");
        Ok(updated)
    }

    /// Deletes a workspace; with `force`, its keys too.
    ///
    /// # Errors
    /// See `WorkspaceService.DeleteWorkspace` in the contract.
    pub async fn delete(
        &self,
        caller: &Caller,
        id: WorkspaceId,
        force: bool,
    ) -> Result<Committed<()>, Error> {
        refuse_reserved(&id)?;
        let deleted = self.store.transact(DeleteWorkspace { id: id.clone(), force }).await?;
        tracing::info!(workspace = %id, force, by = %caller, "workspace deleted");
        Ok(deleted)
    }

    /// Checks that what would be revealable can be sealed.
    fn check_visibility(&self, visibility: SecretVisibility) -> Result<(), Precondition> {
        if visibility == SecretVisibility::Revealable && self.vault.current().is_none() {
            return Err(Precondition::EncryptionKeyMissing);
        }
        Ok(())
    }

    /// Checks that there is such an instance: a typing error must not pass.
    fn check_instance(&self, instance: Option<&InstanceId>) -> Result<(), Violation> {
        if instance.is_none_or(|instance| self.instances.know(instance)) {
            return Ok(());
        }
        let wrong =
            "must be one of the instances that the server was told of (--instance-endpoints)";
        Err(Violation::new("workspace.instance", wrong))
    }
}

/// How large a workspace is, roughly, in bytes on the wire.
fn size(workspace: &Workspace) -> usize {
    const FIXED: usize = 512;
    let grants = workspace.policy.default_permissions.iter();
    FIXED + grants.map(|grant| grant.to_string().len() + 2).sum::<usize>()
}

pub(super) fn refuse_reserved(id: &WorkspaceId) -> Result<(), Error> {
    if id.is_reserved() { Err(Error::Reserved(Resource::Workspace)) } else { Ok(()) }
}

/// Checks that the catalogue knows what a policy gives to new keys, and keeps it from changing. Like every
/// transaction that locks a workspace before: of two neither waits for the other.
async fn check_defaults(
    tx: &Transaction,
    catalog: &CatalogId,
    policy: &Policy,
) -> Result<(), Error> {
    tx.catalogs().keep(catalog).await?;
    let catalog = tx.catalogs().find(catalog).await?.ok_or(Precondition::CatalogNotFound)?;
    check_known(
        "workspace.policy.default_permissions",
        &policy.default_permissions,
        &catalog.catalog,
    )
}

struct CreateWorkspace {
    draft: WorkspaceDraft,
    first_key: Issue,
    now: Timestamp,
}

fn first_key(policy: &Policy) -> KeyDraft {
    let default = &policy.default_permissions;
    KeyDraft {
        display_name: "First key".parse().expect("it is a display name"),
        permissions: if default.is_empty() { vec![Grant::All] } else { default.clone() },
        allowed_ips: Networks::default(),
        network_sets: Vec::new(),
        expire_time: None,
        workspace_scope: WorkspaceScope::default(),
    }
}

impl UnitOfWork for CreateWorkspace {
    type Output = CreatedWorkspace;
    type Error = Error;

    async fn run(&self, tx: &Transaction) -> Result<CreatedWorkspace, Error> {
        let WorkspaceDraft { id, display_name, catalog, instance, policy } = self.draft.clone();
        if tx.workspaces().find(&id).await?.is_some() {
            return Err(Error::WorkspaceExists);
        }
        check_defaults(tx, &catalog, &policy).await?;
        let workspace = Workspace {
            id,
            display_name,
            catalog,
            instance,
            policy,
            // Drawn anew each time that this is run: another workspace may have the same.
            public_key: Some(PublicKey::from_entropy(random()?)),
            create_time: self.now,
            update_time: self.now,
        };
        tx.workspaces().insert(&workspace).await?;
        let first_key = if workspace.policy.provision_first_key {
            let draft = first_key(&workspace.policy);
            Some(self.first_key.issue_first(tx, &workspace, draft).await?)
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
        let WorkspacePatch { display_name, catalog, instance, policy } = &self.patch;
        if catalog.as_ref().is_some_and(|catalog| *catalog != workspace.catalog) {
            return Err(Violation::new("workspace.catalog", "can never change").into());
        }
        if let Some(display_name) = display_name {
            workspace.display_name = display_name.clone();
        }
        if let Some(instance) = instance {
            workspace.instance = instance.clone();
        }
        let was_revealable = workspace.policy.secret_visibility == SecretVisibility::Revealable;
        workspace.policy = policy.apply(workspace.policy);
        if was_revealable && workspace.policy.secret_visibility == SecretVisibility::ShownOnce {
            tx.sealed_secrets().delete_all(&workspace.id).await?;
        }
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
        tx.identifiers().delete_all(&self.id).await?;
        tx.workspaces().delete(&self.id).await?;
        Ok(())
    }
}
