//! `ListKeys`.

use super::super::error::{Error, Resource};
use crate::domain::{Catalog, Key, KeyFilter, WorkspaceId, control_catalog};
use crate::store::{Cursor, Store, StoreError};

/// How many keys a call looks at, at the most, to fill a page: filtering by permission is done
/// here, against the catalogue, and must not read a whole workspace for one key.
const MAX_LOOKED_AT: usize = 10_000;

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
    let found = store.workspaces().find(workspace).await?;
    let found = found.ok_or(Error::NotFound(Resource::Workspace))?;
    let stored;
    let catalog: &Catalog = if workspace.is_reserved() {
        control_catalog()
    } else {
        stored = store.catalogs().find(&found.catalog).await?;
        &stored.as_ref().ok_or(StoreError::Corrupt("workspaces.catalog_id"))?.catalog
    };
    let wanted = |key: &Key| {
        filter.permission.as_ref().is_none_or(|name| catalog.gives(&key.permissions, name))
    };

    let mut page = KeyPage { keys: Vec::new(), next: after };
    let mut looked_at = 0;
    loop {
        let batch = store.keys().list(workspace, filter, page.next, page_size as u64 + 1).await?;
        let is_last = batch.len() <= page_size;
        for key in batch.into_iter().take(page_size) {
            if page.keys.len() == page_size {
                return Ok(page);
            }
            page.next = Some(Cursor { create_time: key.create_time, id: key.name.id });
            looked_at += 1;
            if wanted(&key) {
                page.keys.push(key);
            }
        }
        if is_last {
            return Ok(KeyPage { next: None, ..page });
        }
        if page.keys.len() == page_size || looked_at >= MAX_LOOKED_AT {
            return Ok(page);
        }
    }
}
