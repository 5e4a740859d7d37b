//! Callers: the services that call Claviger, known by their control keys, and the people that they act
//! for.

use std::fmt;
use std::sync::Arc;

use super::control::{ControlPermission, WorkspaceScope, control_catalog};
use super::key::Key;
use super::member::{Email, Role};
use super::name::WorkspaceId;
use super::permission_set::PermissionSet;

/// A service whose control key was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    key: Arc<ControlKey>,
    actor: Actor,
}

/// A control key, ready to be asked.
#[derive(Debug, PartialEq, Eq)]
pub struct ControlKey {
    key: Key,
    permissions: PermissionSet,
}

impl ControlKey {
    /// This key of the reserved workspace.
    #[must_use]
    pub fn new(key: Key) -> Self {
        let permissions = control_catalog().held_by(&key.permissions);
        Self { key, permissions }
    }
}

/// The person that a caller says it acts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// It names nobody.
    Nobody,
    /// This one.
    Person(Email),
    /// What it names is the address of nobody, or of two.
    Malformed,
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
    /// The workspace wants to know for whom its keys are managed.
    #[error(
        "name the person that you act for in `claviger-actor`: the workspace's policy lists \
         `key_manager_roles`"
    )]
    ActorMissing,
    /// The person is no member of the workspace.
    #[error("the person in `claviger-actor` is not a member of this workspace")]
    ActorUnknown,
    /// The person is a member, and may not manage keys.
    #[error(
        "the person in `claviger-actor` has none of the roles in the policy's `key_manager_roles`"
    )]
    ActorRole,
    /// The call acts on no one workspace, whose members could be asked.
    #[error(
        "leave `claviger-actor` out: this call acts on no one workspace, whose members could be asked"
    )]
    ActorNotApplicable,
}

/// What is done to keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Looked at.
    Read,
    /// Changed.
    Write,
    /// Their secrets are revealed.
    Reveal,
}

impl Caller {
    /// The caller that presented this control key, which was checked, and acts for this person, who
    /// was not.
    #[must_use]
    pub fn new(key: Arc<ControlKey>, actor: Actor) -> Self {
        Self { key, actor }
    }

    /// The control key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key.key
    }

    /// The person that the caller acts for.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Who is said to have created what the caller creates.
    #[must_use]
    pub fn created_by(&self) -> String {
        match &self.actor {
            Actor::Person(email) => email.to_string(),
            Actor::Nobody | Actor::Malformed => self.key().display_name.as_str().to_owned(),
        }
    }

    /// The workspaces that the caller may act on.
    #[must_use]
    pub fn scope(&self) -> &WorkspaceScope {
        &self.key().workspace_scope
    }

    /// Checks that the caller holds this permission.
    ///
    /// # Errors
    /// If it does not.
    pub fn require(&self, permission: ControlPermission) -> Result<(), Refusal> {
        if self.key.permissions.contains(permission as usize) {
            Ok(())
        } else {
            Err(Refusal::Permission(permission))
        }
    }

    /// Checks that the caller may act on the workspace of this id.
    ///
    /// # Errors
    /// If it may not.
    pub fn require_scope(&self, workspace: &str) -> Result<(), Refusal> {
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
            (false, Access::Reveal) => ControlPermission::KeysReveal,
            // No secret of these is ever kept: there is nothing to see but that.
            (true, Access::Read | Access::Reveal) => ControlPermission::ControlKeysRead,
            (true, Access::Write) => ControlPermission::ControlKeysWrite,
        })?;
        workspace.map_or(Ok(()), |workspace| self.require_scope(workspace.as_str()))
    }

    /// Checks that the person that the caller acts for, if it names one, may manage the keys of a
    /// workspace: its policy lists these roles, and the person has this one there.
    ///
    /// # Errors
    /// If they may not.
    pub fn check_actor(&self, managers: &[Role], role: Option<Role>) -> Result<(), Refusal> {
        match (&self.actor, role) {
            (Actor::Nobody, _) => Ok(()),
            (Actor::Malformed, _) | (Actor::Person(_), None) => Err(Refusal::ActorUnknown),
            (Actor::Person(_), Some(role)) => {
                let may = managers.is_empty() || managers.contains(&role);
                if may { Ok(()) } else { Err(Refusal::ActorRole) }
            }
        }
    }

    /// The same, for calls that must name a person where roles are listed.
    ///
    /// # Errors
    /// If they may not, or if nobody is named.
    pub fn require_actor(&self, managers: &[Role], role: Option<Role>) -> Result<(), Refusal> {
        if self.actor == Actor::Nobody && !managers.is_empty() {
            let without = self.require(ControlPermission::KeysWithoutActor);
            return without.map_err(|_| Refusal::ActorMissing);
        }
        self.check_actor(managers, role)
    }

    /// Checks that the caller names nobody, because nobody could tell who that is.
    ///
    /// # Errors
    /// If it does.
    pub fn refuse_actor(&self) -> Result<(), Refusal> {
        if self.actor == Actor::Nobody { Ok(()) } else { Err(Refusal::ActorNotApplicable) }
    }
}

/// For the log: who did something.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key().name.fmt(f)?;
        match &self.actor {
            Actor::Person(email) => write!(f, " for {email}"),
            Actor::Nobody | Actor::Malformed => Ok(()),
        }
    }
}
