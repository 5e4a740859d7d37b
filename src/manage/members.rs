//! Members: add, list, remove.

use std::sync::Arc;

use super::cut_page;
use super::entropy::new_id;
use super::error::{Error, Resource};
use super::workspaces::refuse_reserved;
use crate::clock::Clock;
use crate::domain::{Caller, Email, Member, MemberName, Role, WorkspaceId};
use crate::store::{Committed, Store, Transaction, UnitOfWork};

/// The members of all workspaces.
#[derive(Clone, Debug)]
pub struct Members {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
}

impl Members {
    /// Members in this store, by this clock.
    #[must_use]
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Adds a member to a workspace.
    ///
    /// # Errors
    /// See `WorkspaceService.AddMember` in the contract.
    pub async fn add(
        &self,
        caller: &Caller,
        workspace: WorkspaceId,
        email: Email,
        role: Role,
    ) -> Result<Committed<Member>, Error> {
        refuse_reserved(&workspace)?;
        let create_time = self.clock.now();
        let name = MemberName { workspace, id: new_id(create_time)? };
        let member = Member { name, email, role, create_time };
        let added = self.store.transact(AddMember(member.clone())).await?;
        tracing::info!(member = %member.name, by = %caller, "member added");
        Ok(added.map(|()| member))
    }

    /// At most `page_size` members of a workspace behind this address, and whether there are more.
    ///
    /// # Errors
    /// If there is no such workspace, or the database fails.
    pub async fn list(
        &self,
        workspace: &WorkspaceId,
        after: Option<&Email>,
        page_size: usize,
    ) -> Result<(Vec<Member>, bool), Error> {
        if self.store.workspaces().find(workspace).await?.is_none() {
            return Err(Error::NotFound(Resource::Workspace));
        }
        let read = self.store.members().list(workspace, after, page_size as u64 + 1).await?;
        Ok(cut_page(read, page_size))
    }

    /// Removes a member; the keys that they created stay.
    ///
    /// # Errors
    /// See `WorkspaceService.RemoveMember` in the contract.
    pub async fn remove(&self, caller: &Caller, name: MemberName) -> Result<Committed<()>, Error> {
        let removed = self.store.transact(RemoveMember(name.clone())).await?;
        tracing::info!(member = %name, by = %caller, "member removed");
        Ok(removed)
    }
}

struct AddMember(Member);

impl UnitOfWork for AddMember {
    type Output = ();
    type Error = Error;

    async fn run(&self, tx: &Transaction) -> Result<(), Error> {
        let Self(member) = self;
        let workspace = &member.name.workspace;
        if tx.workspaces().lock(workspace).await?.is_none() {
            return Err(Error::NotFound(Resource::Workspace));
        }
        if tx.members().find_by_email(workspace, &member.email).await?.is_some() {
            return Err(Error::MemberExists);
        }
        tx.members().insert(member).await?;
        Ok(())
    }
}

struct RemoveMember(MemberName);

impl UnitOfWork for RemoveMember {
    type Output = ();
    type Error = Error;

    async fn run(&self, tx: &Transaction) -> Result<(), Error> {
        // What this member is creating keys for is done, or refused, once this is.
        if tx.workspaces().lock(&self.0.workspace).await?.is_none() {
            return Err(Error::NotFound(Resource::Member));
        }
        let removed = tx.members().delete(&self.0).await?;
        if removed { Ok(()) } else { Err(Error::NotFound(Resource::Member)) }
    }
}
