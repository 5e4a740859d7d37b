//! The people that callers act for.

use std::sync::Arc;

use super::error::Error;
use crate::domain::{Actor, Caller, Role, WorkspaceId};
use crate::store::{Store, StoreError};

/// Checks the people that callers act for.
#[derive(Clone, Debug)]
pub struct Actors {
    store: Arc<Store>,
}

impl Actors {
    /// People in this store.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    /// Checks that the person that a caller acts for, if it names one, may manage the keys of this
    /// workspace.
    ///
    /// # Errors
    /// [`Error::Refused`] if they may not, or if the database fails.
    pub async fn check(&self, caller: &Caller, workspace: &WorkspaceId) -> Result<(), Error> {
        if *caller.actor() == Actor::Nobody {
            return Ok(());
        }
        let (managers, role) = self.look_up(caller, workspace).await?;
        Ok(caller.check_actor(&managers, role)?)
    }

    /// The same, for calls that must name a person where the workspace's policy lists roles.
    ///
    /// # Errors
    /// [`Error::Refused`] if they may not or nobody is named, or if the database fails.
    pub async fn require(&self, caller: &Caller, workspace: &WorkspaceId) -> Result<(), Error> {
        let (managers, role) = self.look_up(caller, workspace).await?;
        Ok(caller.require_actor(&managers, role)?)
    }

    /// The roles that a workspace's policy lists, and the one that the person has. A workspace that
    /// does not exist has neither: nobody is a member of it.
    async fn look_up(
        &self,
        caller: &Caller,
        workspace: &WorkspaceId,
    ) -> Result<(Vec<Role>, Option<Role>), StoreError> {
        let Some(found) = self.store.workspaces().find(workspace).await? else {
            return Ok((Vec::new(), None));
        };
        let role = self.store.members().role_of(workspace, caller.actor()).await?;
        Ok((found.policy.key_manager_roles, role))
    }
}
