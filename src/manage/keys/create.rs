//! `CreateKey`.

use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::super::entropy::{new_id, random};
use super::super::error::{Error, Precondition, Resource, Violation};
use crate::domain::{
    AllowedIps, Caller, Catalog, DisplayName, ENTROPY_BYTES, Grant, Key, KeyName, Policy, Secret,
    Timestamp, Workspace, WorkspaceId, WorkspaceScope, check_ceiling, control_catalog,
};
use crate::store::{KeyRequest, StoreError, Transaction, UnitOfWork};

/// How long a `request_id` is remembered.
const REQUEST_TTL: Duration = Duration::from_hours(24);

/// What a caller asks of a new key.
#[derive(Clone, Debug)]
pub struct KeyDraft {
    /// What people will call it.
    pub display_name: DisplayName,
    /// What it will be allowed; empty: the workspace's default.
    pub permissions: Vec<Grant>,
    /// Where it may be used from.
    pub allowed_ips: AllowedIps,
    /// When it will expire.
    pub expire_time: Option<Timestamp>,
    /// For control keys: the workspaces that it may act on.
    pub workspace_scope: WorkspaceScope,
}

/// A key that was created.
#[derive(Debug)]
pub struct CreatedKey {
    /// The key.
    pub key: Key,
    /// Its secret; `None` if the call repeated an earlier one.
    pub secret: Option<Secret>,
}

pub(super) struct CreateKey {
    caller: Caller,
    workspace: WorkspaceId,
    draft: KeyDraft,
    request: Option<(Uuid, [u8; 32])>,
    id: Uuid,
    entropy: [u8; ENTROPY_BYTES],
    now: Timestamp,
}

impl CreateKey {
    pub(super) fn new(
        caller: &Caller,
        workspace: WorkspaceId,
        draft: KeyDraft,
        request_id: Option<Uuid>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let request = request_id.map(|id| (id, fingerprint(&draft)));
        Ok(Self {
            caller: caller.clone(),
            workspace,
            draft,
            request,
            id: new_id(now)?,
            entropy: random()?,
            now,
        })
    }

    /// The key that an earlier call with the same `request_id` created.
    async fn repeated(&self, tx: &Transaction) -> Result<Option<Key>, Error> {
        let Some((id, fingerprint)) = self.request else { return Ok(None) };
        tx.key_requests()
            .forget_before(&self.workspace, self.now.saturating_sub(REQUEST_TTL))
            .await?;
        let Some(earlier) = tx.key_requests().find(&self.workspace, id).await? else {
            return Ok(None);
        };
        if earlier.fingerprint != fingerprint {
            return Err(Error::RequestIdReused);
        }
        let name = KeyName { workspace: self.workspace.clone(), id: earlier.key_id };
        let key = tx.keys().find(&name).await?.ok_or(Precondition::RequestKeyDeleted)?;
        Ok(Some(key))
    }

    /// What the key is granted: what was asked for, if the catalogue knows it, or the default.
    async fn grants(&self, tx: &Transaction, workspace: &Workspace) -> Result<Vec<Grant>, Error> {
        if self.draft.permissions.is_empty() {
            let default = workspace.policy.default_permissions.clone();
            return if default.is_empty() {
                let missing = "must name at least one permission: the workspace has no default";
                Err(Violation::new("key.permissions", missing).into())
            } else {
                Ok(default)
            };
        }
        if workspace.id.is_reserved() {
            check_known("key.permissions", &self.draft.permissions, control_catalog())?;
        } else {
            let catalog = tx.catalogs().lock(&workspace.catalog).await?;
            let catalog = catalog.ok_or(StoreError::Corrupt("workspaces.catalog_id"))?.catalog;
            check_known("key.permissions", &self.draft.permissions, &catalog)?;
        }
        Ok(self.draft.permissions.clone())
    }
}

impl UnitOfWork for CreateKey {
    type Output = CreatedKey;
    type Error = Error;

    async fn run(&self, tx: &Transaction) -> Result<CreatedKey, Error> {
        let workspace = tx.workspaces().lock(&self.workspace).await?;
        let workspace = workspace.ok_or(Error::NotFound(Resource::Workspace))?;
        if let Some(key) = self.repeated(tx).await? {
            return Ok(CreatedKey { key, secret: None });
        }
        if self.draft.expire_time.is_some_and(|expire_time| expire_time <= self.now) {
            return Err(Violation::new("key.expire_time", "must lie in the future").into());
        }
        let grants = self.grants(tx, &workspace).await?;
        let draft = KeyDraft { permissions: grants, ..self.draft.clone() };
        let created_by = self.caller.created_by();
        let (key, secret) =
            build_key(&workspace, draft, Some(created_by), self.id, self.entropy, self.now);
        if workspace.id.is_reserved() {
            check_ceiling(&key, self.caller.key())?;
        }
        check_max_keys(tx, &workspace.id, &workspace.policy).await?;
        tx.keys().insert(&key, &secret.digest()).await?;
        if let Some((id, fingerprint)) = self.request {
            let request = KeyRequest { id, fingerprint, key_id: self.id, create_time: self.now };
            tx.key_requests().insert(&workspace.id, &request).await?;
        }
        Ok(CreatedKey { key, secret: Some(secret) })
    }
}

/// A new key of a workspace, and its secret.
pub(in super::super) fn build_key(
    workspace: &Workspace,
    draft: KeyDraft,
    created_by: Option<String>,
    id: Uuid,
    entropy: [u8; ENTROPY_BYTES],
    now: Timestamp,
) -> (Key, Secret) {
    let secret = Secret::from_entropy(&workspace.policy.key_prefix, entropy);
    let key = Key {
        name: KeyName { workspace: workspace.id.clone(), id },
        display_name: draft.display_name,
        hint: secret.hint(),
        permissions: draft.permissions,
        allowed_ips: draft.allowed_ips,
        created_by,
        create_time: now,
        last_seen_time: None,
        expire_time: draft.expire_time,
        workspace_scope: draft.workspace_scope,
    };
    (key, secret)
}

/// How many unknown grants an error names: enough to see what went wrong.
const MAX_UNKNOWN_TOLD: usize = 16;

/// Checks that a catalogue knows every one of these grants: a typing error must not pass.
pub(in super::super) fn check_known(
    field: &str,
    grants: &[Grant],
    catalog: &Catalog,
) -> Result<(), Error> {
    let violations: Vec<Violation> = grants
        .iter()
        .enumerate()
        .filter(|(_, grant)| !catalog.knows(grant))
        .take(MAX_UNKNOWN_TOLD)
        .map(|(index, grant)| {
            Violation::new(
                format!("{field}[{index}]"),
                format_args!("names `{grant}`, which matches no permission of the catalogue"),
            )
        })
        .collect();
    if violations.is_empty() { Ok(()) } else { Err(Error::Invalid(violations)) }
}

/// Checks that one more key may be created. The workspace must be locked.
async fn check_max_keys(
    tx: &Transaction,
    workspace: &WorkspaceId,
    policy: &Policy,
) -> Result<(), Error> {
    if let Some(max_keys) = policy.max_keys
        && tx.keys().count(workspace).await? >= u64::from(max_keys)
    {
        return Err(Precondition::MaxKeysReached { max_keys }.into());
    }
    Ok(())
}

/// SHA-256 of what is asked for, as it was understood: two spellings of one network are the same.
fn fingerprint(draft: &KeyDraft) -> [u8; 32] {
    #[derive(Serialize)]
    struct Canonical<'a> {
        display_name: &'a str,
        permissions: &'a [Grant],
        allowed_ips: &'a AllowedIps,
        expire_time: Option<i64>,
        workspace_scope: &'a WorkspaceScope,
    }
    let KeyDraft { display_name, permissions, allowed_ips, expire_time, workspace_scope } = draft;
    let canonical = Canonical {
        display_name: display_name.as_str(),
        permissions,
        allowed_ips,
        expire_time: expire_time.map(Timestamp::as_micros),
        workspace_scope,
    };
    let bytes = serde_json::to_vec(&canonical).expect("lists and texts are always JSON");
    Sha256::digest(bytes).into()
}
