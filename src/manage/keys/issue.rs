//! What every call that issues a key has in common.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use zeroize::Zeroizing;

use super::super::entropy::{new_id, random};
use super::super::error::{Error, Precondition};
use super::{CreatedKey, KeyDraft};
use crate::domain::{
    Caller, ENTROPY_BYTES, Key, KeyName, NONCE_BYTES, Policy, Secret, SecretVisibility, Timestamp,
    Vault, Workspace, WorkspaceId, check_ceiling,
};
use crate::store::{KeyRequest, Transaction};

/// How long a `request_id` is remembered.
const REQUEST_TTL: Duration = Duration::from_hours(24);

/// A `request_id`, and SHA-256 of what is asked for under it.
pub(super) type Request = (Uuid, [u8; 32]);

/// Issues one key.
pub(in super::super) struct Issue {
    caller: Caller,
    request: Option<Request>,
    vault: Arc<Vault>,
    id: Uuid,
    /// What the secret is made of.
    entropy: Zeroizing<[u8; ENTROPY_BYTES]>,
    nonce: [u8; NONCE_BYTES],
    pub(super) now: Timestamp,
}

impl Issue {
    /// One key for this caller, whose secret goes into this vault if it may be revealed.
    pub(in super::super) fn new(
        caller: &Caller,
        request: Option<Request>,
        vault: &Arc<Vault>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        Ok(Self {
            caller: caller.clone(),
            request,
            vault: Arc::clone(vault),
            id: new_id(now)?,
            entropy: Zeroizing::new(random()?),
            nonce: random()?,
            now,
        })
    }

    /// The key that an earlier call with the same `request_id` created.
    pub(super) async fn repeated(
        &self,
        tx: &Transaction,
        workspace: &WorkspaceId,
    ) -> Result<Option<CreatedKey>, Error> {
        let Some((id, fingerprint)) = self.request else { return Ok(None) };
        let forgotten = self.now.saturating_sub(REQUEST_TTL);
        tx.key_requests().forget_before(workspace, forgotten).await?;
        let Some(earlier) = tx.key_requests().find(workspace, id).await? else {
            return Ok(None);
        };
        // Not all that is old may be forgotten yet.
        if earlier.create_time < forgotten {
            tx.key_requests().forget(workspace, id).await?;
            return Ok(None);
        }
        if earlier.fingerprint != fingerprint {
            return Err(Error::RequestIdReused);
        }
        let name = KeyName { workspace: workspace.clone(), id: earlier.key_id };
        let key = tx.keys().find(&name).await?.ok_or(Precondition::RequestKeyDeleted)?;
        Ok(Some(CreatedKey { key, secret: None }))
    }

    /// Issues the key, if there is room for it and the caller may. The workspace must be locked, and
    /// what the draft names known.
    pub(super) async fn issue(
        &self,
        tx: &Transaction,
        workspace: &Workspace,
        draft: KeyDraft,
    ) -> Result<CreatedKey, Error> {
        let (key, secret) = self.build(workspace, draft);
        if workspace.id.is_reserved() {
            check_ceiling(&key, self.caller.key())?;
        }
        self.check_caller(tx, workspace).await?;
        check_max_keys(tx, &workspace.id, &workspace.policy).await?;
        self.insert(tx, &workspace.policy, key, secret).await
    }

    /// Checks once more that the caller may create a key here, now that nobody can change that any more:
    /// whoever removes a member, or deletes a control key, and then looks sees all that the one created
    /// in that workspace, and all control keys that the other did.
    async fn check_caller(&self, tx: &Transaction, workspace: &Workspace) -> Result<(), Error> {
        if workspace.id.is_reserved() && tx.keys().find(&self.caller.key().name).await?.is_none() {
            return Err(Error::CallerGone);
        }
        let role = tx.members().role_of(&workspace.id, self.caller.actor()).await?;
        Ok(self.caller.require_actor(&workspace.policy.key_manager_roles, role)?)
    }

    /// Issues the first key of a workspace that is being created.
    pub(in super::super) async fn issue_first(
        &self,
        tx: &Transaction,
        workspace: &Workspace,
        draft: KeyDraft,
    ) -> Result<CreatedKey, Error> {
        let (key, secret) = self.build(workspace, draft);
        self.insert(tx, &workspace.policy, key, secret).await
    }

    fn build(&self, workspace: &Workspace, draft: KeyDraft) -> (Key, Secret) {
        let secret = Secret::from_entropy(&workspace.policy.key_prefix, *self.entropy);
        let key = Key {
            name: KeyName { workspace: workspace.id.clone(), id: self.id },
            display_name: draft.display_name,
            hint: secret.hint(),
            permissions: draft.permissions,
            allowed_ips: draft.allowed_ips,
            network_sets: draft.network_sets,
            created_by: Some(self.caller.created_by()),
            create_time: self.now,
            last_seen_time: None,
            expire_time: draft.expire_time,
            workspace_scope: draft.workspace_scope,
        };
        (key, secret)
    }

    async fn insert(
        &self,
        tx: &Transaction,
        policy: &Policy,
        key: Key,
        secret: Secret,
    ) -> Result<CreatedKey, Error> {
        tx.keys().insert(&key, &secret.digest()).await?;
        if policy.secret_visibility == SecretVisibility::Revealable {
            let sealed = self.vault.seal(&key.name, &secret, self.nonce);
            let sealed = sealed.ok_or(Precondition::EncryptionKeyMissing)?;
            tx.sealed_secrets().insert(&key.name, &sealed).await?;
        }
        if let Some((id, fingerprint)) = self.request {
            let request = KeyRequest { id, fingerprint, key_id: self.id, create_time: self.now };
            tx.key_requests().insert(&key.name.workspace, &request).await?;
        }
        Ok(CreatedKey { key, secret: Some(secret) })
    }
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
