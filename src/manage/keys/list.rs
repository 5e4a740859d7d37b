//! `ListKeys`.

use super::super::error::{Error, Resource};
use crate::domain::{Catalog, Grant, Key, KeyFilter, PermissionName, WorkspaceId, control_catalog};
use crate::store::{Cursor, Store, StoreError};

/// How many keys a call looks at, at the most, to fill a page: filtering by permission is done
/// here, against the catalogue, and must not read a whole workspace for one key.
const MAX_LOOKED_AT: usize = 10_000;
/// How many keys are read at once. A key may be large, and most are small.
const BATCH: u64 = 200;
/// How large a page becomes, roughly, in bytes: gRPC clients read 4 MiB unless told otherwise.
const MAX_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// A page of keys.
#[derive(Debug)]
pub struct KeyPage {
    /// The keys, newest first.
    pub keys: Vec<Key>,
    /// Where the next page begins; `None`: there is none.
    pub next: Option<Cursor>,
}

pub(super) async fn list(
    store: &Store,
    workspace: &WorkspaceId,
    filter: &KeyFilter,
    after: Option<Cursor>,
    page_size: usize,
) -> Result<KeyPage, Error> {
    let holders = Holders::of(store, workspace, filter).await?;
    let mut page = KeyPage { keys: Vec::new(), next: after };
    let (mut looked_at, mut bytes) = (0, 0);
    loop {
        let batch = store.keys().list(workspace, filter, page.next, BATCH).await?;
        let is_last = (batch.len() as u64) < BATCH;
        for key in batch {
            // Only here, where one more key was seen, is it certain that there is a next page.
            if page.keys.len() == page_size || bytes >= MAX_PAGE_BYTES || looked_at >= MAX_LOOKED_AT
            {
                return Ok(page);
            }
            page.next = Some(Cursor { create_time: key.create_time, id: key.name.id });
            looked_at += 1;
            if holders.include(&key) {
                bytes += size(&key);
                page.keys.push(key);
            }
        }
        if is_last {
            return Ok(KeyPage { next: None, ..page });
        }
    }
}

/// The keys that hold the permission that a filter asks for.
enum Holders<'f> {
    /// It asks for none.
    All,
    Of(&'f PermissionName, Box<Catalog>),
}

impl<'f> Holders<'f> {
    async fn of(
        store: &Store,
        workspace: &WorkspaceId,
        filter: &'f KeyFilter,
    ) -> Result<Self, Error> {
        let found = store.workspaces().find(workspace).await?;
        let found = found.ok_or(Error::NotFound(Resource::Workspace))?;
        let Some(permission) = &filter.permission else { return Ok(Self::All) };
        if workspace.is_reserved() {
            return Ok(Self::Of(permission, Box::new(control_catalog().clone())));
        }
        let stored = store.catalogs().find(&found.catalog).await?;
        let stored = stored.ok_or(StoreError::Corrupt("workspaces.catalog_id"))?;
        Ok(Self::Of(permission, Box::new(stored.catalog)))
    }

    fn include(&self, key: &Key) -> bool {
        match self {
            Self::All => true,
            Self::Of(permission, catalog) => catalog.gives(&key.permissions, permission),
        }
    }
}

/// How large a key is, roughly, in bytes on the wire.
fn size(key: &Key) -> usize {
    const FIXED: usize = 256;
    const NETWORK: usize = 24;
    let grant = |grant: &Grant| match grant {
        Grant::All => 3,
        Grant::Below(prefix) => prefix.len() + 3,
        Grant::Exactly(name) => name.as_str().len() + 2,
    };
    FIXED
        + key.display_name.as_str().len()
        + key.permissions.iter().map(grant).sum::<usize>()
        + NETWORK * key.allowed_ips.iter().len()
        + key.network_sets.iter().map(|id| id.as_str().len() + 14).sum::<usize>()
        + key.workspace_scope.iter().map(|id| id.as_str().len() + 13).sum::<usize>()
}
