//! Control keys: the keys that Claviger's own callers present, what they may be granted, and how
//! far they reach.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::catalog::{Catalog, Permission};
use super::key::Key;
use super::name::WorkspaceId;
use super::permission::{Grant, PermissionName};

/// Claviger's own permissions, those of the catalogue `catalogs/claviger`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlPermission {
    /// Ask whether a key may do something.
    Authorize,
    /// See keys.
    KeysRead,
    /// Create and delete keys.
    KeysWrite,
    /// Reveal secrets.
    KeysReveal,
    /// Manage keys for nobody in particular where a policy lists roles.
    KeysWithoutActor,
    /// See workspaces.
    WorkspacesRead,
    /// Create, change and delete workspaces.
    WorkspacesWrite,
    /// See members.
    MembersRead,
    /// Add and remove members.
    MembersWrite,
    /// See identifiers.
    IdentifiersRead,
    /// Create and delete identifiers.
    IdentifiersWrite,
    /// See catalogues.
    CatalogsRead,
    /// Apply and delete catalogues.
    CatalogsWrite,
    /// See network sets.
    NetworkSetsRead,
    /// Apply and delete network sets.
    NetworkSetsWrite,
    /// See control keys.
    ControlKeysRead,
    /// Create and delete control keys.
    ControlKeysWrite,
}

impl ControlPermission {
    /// All of them, in the order in which they are declared, and in which the catalogue holds them: as
    /// a number each is its own place there.
    pub const ALL: [Self; 17] = [
        Self::Authorize,
        Self::KeysRead,
        Self::KeysWrite,
        Self::KeysReveal,
        Self::KeysWithoutActor,
        Self::WorkspacesRead,
        Self::WorkspacesWrite,
        Self::MembersRead,
        Self::MembersWrite,
        Self::IdentifiersRead,
        Self::IdentifiersWrite,
        Self::CatalogsRead,
        Self::CatalogsWrite,
        Self::NetworkSetsRead,
        Self::NetworkSetsWrite,
        Self::ControlKeysRead,
        Self::ControlKeysWrite,
    ];

    /// The name under which it is granted.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorize => "claviger.authorize",
            Self::KeysRead => "claviger.keys.read",
            Self::KeysWrite => "claviger.keys.write",
            Self::KeysReveal => "claviger.keys.reveal",
            Self::KeysWithoutActor => "claviger.keys.without_actor",
            Self::WorkspacesRead => "claviger.workspaces.read",
            Self::WorkspacesWrite => "claviger.workspaces.write",
            Self::MembersRead => "claviger.members.read",
            Self::MembersWrite => "claviger.members.write",
            Self::IdentifiersRead => "claviger.identifiers.read",
            Self::IdentifiersWrite => "claviger.identifiers.write",
            Self::CatalogsRead => "claviger.catalogs.read",
            Self::CatalogsWrite => "claviger.catalogs.write",
            Self::NetworkSetsRead => "claviger.network_sets.read",
            Self::NetworkSetsWrite => "claviger.network_sets.write",
            Self::ControlKeysRead => "claviger.control_keys.read",
            Self::ControlKeysWrite => "claviger.control_keys.write",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::Authorize => "Ask whether a key may do something.",
            Self::KeysRead => "Get and list keys.",
            Self::KeysWrite => "Create, clone and delete keys.",
            Self::KeysReveal => "Reveal secrets where the policy allows it.",
            Self::KeysWithoutActor => {
                "Manage keys without naming a person where the policy lists roles."
            }
            Self::WorkspacesRead => "Get and list workspaces.",
            Self::WorkspacesWrite => "Create, update and delete workspaces.",
            Self::MembersRead => "List members.",
            Self::MembersWrite => "Add and remove members.",
            Self::IdentifiersRead => "List identifiers.",
            Self::IdentifiersWrite => "Create and delete identifiers.",
            Self::CatalogsRead => "Get and list catalogues.",
            Self::CatalogsWrite => "Apply and delete catalogues.",
            Self::NetworkSetsRead => "Get and list network sets.",
            Self::NetworkSetsWrite => "Apply and delete network sets.",
            Self::ControlKeysRead => "Get and list control keys.",
            Self::ControlKeysWrite => {
                "Create, clone and delete control keys, no wider than one's own."
            }
        }
    }

    fn name(self) -> PermissionName {
        self.as_str().parse().expect("the names above are names of permissions")
    }
}

/// The built-in catalogue, `catalogs/claviger`.
#[must_use]
pub fn control_catalog() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
        let permission = |permission: ControlPermission| Permission {
            name: permission.name(),
            group: "Claviger".to_owned(),
            description: permission.description().to_owned(),
            http_routes: Vec::new(),
            implies: Vec::new(),
            public: false,
            requests_per_hour: None,
        };
        Catalog::new(ControlPermission::ALL.into_iter().map(permission).collect())
            .expect("the names above are distinct")
    });
    &CATALOG
}

/// The workspaces that a control key may act on. Empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkspaceScope(Vec<WorkspaceId>);

impl WorkspaceScope {
    /// Whether it is not limited.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the workspace of this id may be acted on.
    #[must_use]
    pub fn admits(&self, workspace: &str) -> bool {
        self.is_all() || self.0.iter().any(|admitted| admitted.as_str() == workspace)
    }

    /// Whether everything that the other admits is admitted here too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.is_all()
            || (!other.is_all() && other.0.iter().all(|workspace| self.admits(workspace.as_str())))
    }

    /// The workspaces, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &WorkspaceId> {
        self.0.iter()
    }
}

impl FromIterator<WorkspaceId> for WorkspaceScope {
    fn from_iter<I: IntoIterator<Item = WorkspaceId>>(workspaces: I) -> Self {
        Self(workspaces.into_iter().collect())
    }
}

/// In what a control key would be wider than the one that creates it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeyondCeiling {
    /// A grant that the creator does not hold.
    #[error("you do not hold `{0}` yourself")]
    Permission(Grant),
    /// A workspace that the creator may not act on.
    #[error("`workspace_scope` must lie within your own")]
    Scope,
    /// A later end than the creator's.
    #[error("`expire_time` must not be later than your own")]
    Expiry,
    /// An address that the creator may not call from.
    #[error("`allowed_ips` and `network_sets` must lie within your own")]
    Addresses,
}

/// Checks that a control key is no wider than the one that creates it: in permissions, now and after
/// any change of the catalogue, in workspaces, in time and in addresses.
///
/// # Errors
/// What would be wider.
pub fn check_ceiling(created: &Key, creator: &Key) -> Result<(), BeyondCeiling> {
    let held = |grant: &Grant| {
        creator.permissions.iter().any(|own| own.covers_grant(grant))
            || matches!(grant, Grant::Exactly(name) if control_catalog().gives(&creator.permissions, name))
    };
    if let Some(grant) = created.permissions.iter().find(|grant| !held(grant)) {
        return Err(BeyondCeiling::Permission(grant.clone()));
    }
    if !creator.workspace_scope.covers(&created.workspace_scope) {
        return Err(BeyondCeiling::Scope);
    }
    let outlives = match (created.expire_time, creator.expire_time) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(created), Some(creator)) => created > creator,
    };
    if outlives {
        return Err(BeyondCeiling::Expiry);
    }
    // Set by set, whatever they hold: the operator may change that.
    let within = !created.is_good_anywhere()
        && creator.allowed_ips.cover(&created.allowed_ips)
        && created.network_sets.iter().all(|set| creator.network_sets.contains(set));
    if !creator.is_good_anywhere() && !within {
        return Err(BeyondCeiling::Addresses);
    }
    Ok(())
}
