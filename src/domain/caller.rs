//! Callers: the services that call Claviger, known by their control keys.

use super::control::{ControlPermission, WorkspaceScope};
use super::key::Key;
use super::name::WorkspaceId;

/// A service whose control key was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    key: Key,
}

/// Why a caller may not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its control key does not hold the permission.
    #[error("your control key does not hold `{}`", .0.as_str())]
    Permission(ControlPermission),
    /// The workspace is not in its control key's scope.
    #[error("your control key's `workspace_scope` does not include this workspace")]
    Scope,
    /// Only a control key without a scope may do this.
    #[error(
        "only a control key without a `workspace_scope` may do this, because it affects every workspace"
    )]
    ScopedKey,
}

/// Whether keys are looked at or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Looked at.
    Read,
    /// Changed.
    Write,
}

impl Caller {
    /// The caller that presented this control key, which was checked.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self { key }
    }

    /// The control key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The workspaces that the caller may act on.
    #[must_use]
    pub fn scope(&self) -> &WorkspaceScope {
        &self.key.workspace_scope
    }

    /// Checks that the caller holds this permission.
    ///
    /// # Errors
    /// If it does not.
    pub fn require(&self, permission: ControlPermission) -> Result<(), Refusal> {
        if permission.is_given_by(&self.key.permissions) {
            Ok(())
        } else {
            Err(Refusal::Permission(permission))
        }
    }

    /// Checks that the caller may act on this workspace.
    ///
    /// # Errors
    /// If it may not.
    pub fn require_scope(&self, workspace: &WorkspaceId) -> Result<(), Refusal> {
        if self.scope().admits(workspace) { Ok(()) } else { Err(Refusal::Scope) }
    }

    /// Checks that the caller may do what affects every workspace.
    ///
    /// # Errors
    /// If its control key has a scope.
    pub fn require_all_workspaces(&self) -> Result<(), Refusal> {
        if self.scope().is_all() { Ok(()) } else { Err(Refusal::ScopedKey) }
    }

    /// Checks that the caller may look at, or change, the keys of this workspace. The keys of the
    /// reserved workspace, the control keys, have permissions of their own. `None` is a
    /// workspace whose name did not parse.
    ///
    /// # Errors
    /// If it may not.
    pub fn require_keys(
        &self,
        access: Access,
        workspace: Option<&WorkspaceId>,
    ) -> Result<(), Refusal> {
        let reserved = workspace.is_some_and(WorkspaceId::is_reserved);
        self.require(match (reserved, access) {
            (false, Access::Read) => ControlPermission::KeysRead,
            (false, Access::Write) => ControlPermission::KeysWrite,
            (true, Access::Read) => ControlPermission::ControlKeysRead,
            (true, Access::Write) => ControlPermission::ControlKeysWrite,
        })?;
        workspace.map_or(Ok(()), |workspace| self.require_scope(workspace))
    }
}
