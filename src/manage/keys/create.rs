//! `CreateKey`.

use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::super::error::{Error, Resource, Violation};
use super::issue::{Issue, Request};
use crate::domain::{
    Catalog, DisplayName, Grant, Key, NetworkSetId, Networks, Secret, Timestamp, Workspace,
    WorkspaceId, WorkspaceScope, control_catalog,
};
use crate::store::{StoreError, Transaction, UnitOfWork};

/// What a caller asks of a new key.
#[derive(Clone, Debug)]
pub struct KeyDraft {
    /// What people will call it.
    pub display_name: DisplayName,
    /// What it will be allowed; empty: the workspace's default.
    pub permissions: Vec<Grant>,
    /// Where it may be used from.
    pub allowed_ips: Networks,
    /// The network sets that it may be used from too.
    pub network_sets: Vec<NetworkSetId>,
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
    pub(super) workspace: WorkspaceId,
    pub(super) draft: KeyDraft,
    pub(super) issue: Issue,
}

/// What makes a call repeatable.
pub(super) fn request(id: Option<Uuid>, draft: &KeyDraft) -> Option<Request> {
    id.map(|id| (id, fingerprint(draft)))
}

impl CreateKey {
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
            tx.catalogs().keep(&workspace.catalog).await?;
            let catalog = tx.catalogs().find(&workspace.catalog).await?;
            let catalog = catalog.ok_or(StoreError::Corrupt("workspaces.catalog_id"))?.catalog;
            check_known("key.permissions", &self.draft.permissions, &catalog)?;
        }
        Ok(self.draft.permissions.clone())
    }

    /// Checks that there are the network sets that are asked for, and keeps them from going.
    async fn check_network_sets(&self, tx: &Transaction) -> Result<(), Error> {
        let asked = &self.draft.network_sets;
        let there = tx.network_sets().keep(asked).await?;
        let violations: Vec<Violation> = asked
            .iter()
            .enumerate()
            .filter(|(_, set)| !there.contains(set))
            .take(MAX_UNKNOWN)
            .map(|(index, set)| {
                let wrong = format_args!("names `{set}`, which does not exist");
                Violation::new(format!("key.network_sets[{index}]"), wrong)
            })
            .collect();
        if violations.is_empty() { Ok(()) } else { Err(Error::Invalid(violations)) }
    }
}

impl UnitOfWork for CreateKey {
    type Output = CreatedKey;
    type Error = Error;

    fn group(&self) -> Option<&str> {
        Some(self.workspace.as_str())
    }

    async fn run(&self, tx: &Transaction) -> Result<CreatedKey, Error> {
        let workspace = tx.workspaces().lock(&self.workspace).await?;
        let workspace = workspace.ok_or(Error::NotFound(Resource::Workspace))?;
        if let Some(repeated) = self.issue.repeated(tx, &workspace.id).await? {
            return Ok(repeated);
        }
        if self.draft.expire_time.is_some_and(|expire_time| expire_time <= self.issue.now) {
            return Err(Violation::new("key.expire_time", "must lie in the future").into());
        }
        let permissions = self.grants(tx, &workspace).await?;
        self.check_network_sets(tx).await?;
        let draft = KeyDraft { permissions, ..self.draft.clone() };
        self.issue.issue(tx, &workspace, draft).await
    }
}

/// How many unknown names an error collects: more than can be told at once.
const MAX_UNKNOWN: usize = 100;

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
        .take(MAX_UNKNOWN)
        .map(|(index, grant)| {
            Violation::new(
                format!("{field}[{index}]"),
                format_args!("names `{grant}`, which matches no permission of the catalogue"),
            )
        })
        .collect();
    if violations.is_empty() { Ok(()) } else { Err(Error::Invalid(violations)) }
}

/// SHA-256 of what is asked for, as it was understood: two spellings of one network are the same.
fn fingerprint(draft: &KeyDraft) -> [u8; 32] {
    #[derive(Serialize)]
    struct Canonical<'a> {
        display_name: &'a str,
        permissions: &'a [Grant],
        allowed_ips: &'a Networks,
        /// Left out where there are none, as before there were any.
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        network_sets: &'a [NetworkSetId],
        expire_time: Option<i64>,
        workspace_scope: &'a WorkspaceScope,
    }
    let KeyDraft {
        display_name,
        permissions,
        allowed_ips,
        network_sets,
        expire_time,
        workspace_scope,
    } = draft;
    let canonical = Canonical {
        display_name: display_name.as_str(),
        permissions,
        allowed_ips,
        network_sets,
        expire_time: expire_time.map(Timestamp::as_micros),
        workspace_scope,
    };
    let bytes = serde_json::to_vec(&canonical).expect("lists and texts are always JSON");
    Sha256::digest(bytes).into()
}
