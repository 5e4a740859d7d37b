//! `CloneKey`.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::super::error::{Error, Precondition, Resource};
use super::issue::{Issue, Request};
use super::{CreatedKey, KeyDraft};
use crate::domain::KeyName;
use crate::store::{Transaction, UnitOfWork};

pub(super) struct CloneKey {
    pub(super) name: KeyName,
    pub(super) issue: Issue,
}

/// What makes a call repeatable.
pub(super) fn request(id: Option<Uuid>, name: &KeyName) -> Option<Request> {
    // No `CreateKey` is asked for by the name of a key.
    id.map(|id| (id, Sha256::digest(name.to_string()).into()))
}

impl UnitOfWork for CloneKey {
    type Output = CreatedKey;
    type Error = Error;

    fn group(&self) -> Option<&str> {
        Some(self.name.workspace.as_str())
    }

    async fn run(&self, tx: &Transaction) -> Result<CreatedKey, Error> {
        let not_found = || Error::NotFound(Resource::Key);
        let workspace = tx.workspaces().lock(&self.name.workspace).await?.ok_or_else(not_found)?;
        if let Some(repeated) = self.issue.repeated(tx, &workspace.id).await? {
            return Ok(repeated);
        }
        let key = tx.keys().find(&self.name).await?.ok_or_else(not_found)?;
        if key.is_expired(self.issue.now) {
            return Err(Precondition::KeyExpired.into());
        }
        // What the key is granted does not go while it is granted once more.
        tx.catalogs().keep(&workspace.catalog).await?;
        tx.network_sets().keep(&key.network_sets).await?;
        let draft = KeyDraft {
            display_name: key.display_name,
            permissions: key.permissions,
            allowed_ips: key.allowed_ips,
            network_sets: key.network_sets,
            expire_time: key.expire_time,
            workspace_scope: key.workspace_scope,
        };
        self.issue.issue(tx, &workspace, draft).await
    }
}
