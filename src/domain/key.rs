//! Keys.

use super::control::WorkspaceScope;
use super::display_name::DisplayName;
use super::name::{KeyName, NetworkSetId};
use super::network::Networks;
use super::permission::{Grant, PermissionName};
use super::timestamp::Timestamp;

/// The most grants that a key, or a policy's default, holds.
pub const MAX_GRANTS: usize = 1_000;
/// The most networks that a key is restricted to.
pub const MAX_NETWORKS: usize = 1_000;
/// The most network sets that a key refers to.
pub const MAX_NETWORK_SETS: usize = 100;
/// The most workspaces that a control key is restricted to.
pub const MAX_SCOPE: usize = 1_000;

/// A key without its secret. What it may do is fixed when it is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The resource name.
    pub name: KeyName,
    /// What people call it.
    pub display_name: DisplayName,
    /// Enough of the secret to recognise it by.
    pub hint: String,
    /// What it may do.
    pub permissions: Vec<Grant>,
    /// Where it may be used from.
    pub allowed_ips: Networks,
    /// The network sets that it may be used from too.
    pub network_sets: Vec<NetworkSetId>,
    /// Who created it, if a call did.
    pub created_by: Option<String>,
    /// When it was created.
    pub create_time: Timestamp,
    /// When it was last presented.
    pub last_seen_time: Option<Timestamp>,
    /// From when on it is denied.
    pub expire_time: Option<Timestamp>,
    /// For control keys: the workspaces that it may act on.
    pub workspace_scope: WorkspaceScope,
}

impl Key {
    /// Whether the key is no longer good. It is not at the very instant of its expiry.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expire_time.is_some_and(|expire_time| expire_time <= now)
    }

    /// Whether the key may be used from every address, an unknown one included. A network set that
    /// is empty restricts it nevertheless.
    #[must_use]
    pub fn is_good_anywhere(&self) -> bool {
        self.allowed_ips.is_empty() && self.network_sets.is_empty()
    }

    /// Whether this control key can do everything, from everywhere, for ever: one of these must
    /// always be left.
    #[must_use]
    pub fn is_operator_key(&self) -> bool {
        self.name.workspace.is_reserved()
            && self.permissions.contains(&Grant::All)
            && self.expire_time.is_none()
            && self.is_good_anywhere()
            && self.workspace_scope.is_all()
    }
}

/// Narrows a list of keys; what is set must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFilter {
    /// The display name holds this text, ignoring case.
    pub display_name_contains: Option<String>,
    /// Created by exactly this creator.
    pub created_by: Option<String>,
    /// The key holds this permission, by name or through a pattern.
    pub permission: Option<PermissionName>,
    /// The key expires before this instant.
    pub expire_time_before: Option<Timestamp>,
    /// Last seen before this instant, or never.
    pub not_seen_since: Option<Timestamp>,
}
