//! Identifiers: create, list, delete.

use std::sync::Arc;

use super::cut_page;
use super::entropy::new_id;
use super::error::{Error, Resource};
use super::workspaces::refuse_reserved;
use crate::clock::Clock;
use crate::domain::{
    Caller, DisplayName, Identifier, IdentifierFilter, IdentifierId, IdentifierKind,
    IdentifierName, WorkspaceId,
};
use crate::store::{Committed, Store, Transaction, UnitOfWork};

/// The identifiers of all workspaces.
#[derive(Clone, Debug)]
pub struct Identifiers {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
}

/// What a caller asks of a new identifier.
#[derive(Clone, Debug)]
pub struct IdentifierDraft {
    /// The workspace that owns it.
    pub workspace: WorkspaceId,
    /// Its id; `None`: a new one.
    pub id: Option<IdentifierId>,
    /// What kind of thing it identifies.
    pub kind: IdentifierKind,
    /// What people will call it.
    pub display_name: DisplayName,
}

impl Identifiers {
    /// Identifiers in this store, by this clock.
    #[must_use]
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Creates an identifier.
    ///
    /// # Errors
    /// See `WorkspaceService.CreateIdentifier` in the contract.
    pub async fn create(
        &self,
        caller: &Caller,
        draft: IdentifierDraft,
    ) -> Result<Committed<Identifier>, Error> {
        let IdentifierDraft { workspace, id, kind, display_name } = draft;
        refuse_reserved(&workspace)?;
        let create_time = self.clock.now();
        let id = match id {
            Some(id) => id,
            None => new_id(create_time)?.into(),
        };
        let name = IdentifierName { workspace, id };
        let identifier = Identifier { name, kind, display_name, create_time };
        let created = self.store.transact(CreateIdentifier(identifier.clone())).await?;
        tracing::info!(identifier = %identifier.name, by = %caller, "identifier created");
        Ok(created.map(|()| identifier))
    }

    /// At most `page_size` identifiers of a workspace behind this one, and whether there are more.
    ///
    /// # Errors
    /// If there is no such workspace, or the database fails.
    pub async fn list(
        &self,
        workspace: &WorkspaceId,
        filter: &IdentifierFilter,
        after: Option<&IdentifierId>,
        page_size: usize,
    ) -> Result<(Vec<Identifier>, bool), Error> {
        if self.store.workspaces().find(workspace).await?.is_none() {
            return Err(Error::NotFound(Resource::Workspace));
        }
        let identifiers = self.store.identifiers();
        let read = identifiers.list(workspace, filter, after, page_size as u64 + 1).await?;
        Ok(cut_page(read, page_size))
    }

    /// Deletes an identifier.
    ///
    /// # Errors
    /// See `WorkspaceService.DeleteIdentifier` in the contract.
    pub async fn delete(
        &self,
        caller: &Caller,
        name: IdentifierName,
    ) -> Result<Committed<()>, Error> {
        let deleted = self.store.transact(DeleteIdentifier(name.clone())).await?;
        tracing::info!(identifier = %name, by = %caller, "identifier deleted");
        Ok(deleted)
    }
}

struct CreateIdentifier(Identifier);

impl UnitOfWork for CreateIdentifier {
    type Output = ();
    type Error = Error;

    async fn run(&self, tx: &Transaction) -> Result<(), Error> {
        let Self(identifier) = self;
        let IdentifierName { workspace, id } = &identifier.name;
        if tx.workspaces().lock(workspace).await?.is_none() {
            return Err(Error::NotFound(Resource::Workspace));
        }
        if tx.identifiers().owned(workspace, std::slice::from_ref(id)).await?.contains(id) {
            return Err(Error::IdentifierExists);
        }
        tx.identifiers().insert(identifier).await?;
        Ok(())
    }
}

struct DeleteIdentifier(IdentifierName);

impl UnitOfWork for DeleteIdentifier {
    type Output = ();
    type Error = Error;

    async fn run(&self, tx: &Transaction) -> Result<(), Error> {
        let deleted = tx.identifiers().delete(&self.0).await?;
        if deleted { Ok(()) } else { Err(Error::NotFound(Resource::Identifier)) }
    }
}
