//! Rate limits.

use std::num::NonZeroU64;

use super::name::WorkspaceId;
use super::permission::PermissionName;
use super::timestamp::Timestamp;

/// How many requests may be made in a window of one hour.
pub type RequestsPerHour = NonZeroU64;

/// Requests that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Counter {
    /// The workspace whose keys make them.
    pub workspace: WorkspaceId,
    /// Whether they come with its public key, which is in everybody's hands and must not use up what
    /// the private keys have.
    pub public: bool,
    /// The permission, if it has a limit of its own.
    pub permission: Option<PermissionName>,
}

/// The state of a limit after it counted a request, or refused to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests per window.
    pub limit: RequestsPerHour,
    /// Requests left in this window.
    pub remaining: u64,
    /// When the window ends.
    pub reset_time: Timestamp,
}
