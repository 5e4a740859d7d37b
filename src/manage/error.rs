//! Why a change, or a look, is refused.

use std::fmt;

use super::entropy::EntropyError;
use crate::domain::{BeyondCeiling, EncryptionKeyId, KeyName, PermissionName, Refusal, Unreadable};
use crate::store::{AsStoreError, StoreError};

/// Why the control plane did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller may not do it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The caller's control key was deleted since the call came.
    #[error("the control key was deleted meanwhile")]
    CallerGone,
    /// A control key would be wider than the caller's own.
    #[error("a control key is never wider than the one that creates it: {0}")]
    BeyondCeiling(#[from] BeyondCeiling),
    /// The reserved workspace and the built-in catalogue are closed to change.
    #[error("{0} `claviger` is Claviger's own and cannot be created, changed or deleted")]
    Reserved(Resource),
    /// Fields that do not hold; at least one.
    #[error("a field does not hold")]
    Invalid(Vec<Violation>),
    /// There is no such thing. Says nothing else, so that nobody learns what exists elsewhere.
    #[error("there is no such {0}")]
    NotFound(Resource),
    /// There is such a workspace already.
    #[error("there is such a workspace already")]
    WorkspaceExists,
    /// The workspace has a member of this address.
    #[error("the workspace has a member of this e-mail address already")]
    MemberExists,
    /// The workspace has such an identifier.
    #[error("the workspace has such an identifier already")]
    IdentifierExists,
    /// The `request_id` was used for something else.
    #[error(
        "this `request_id` was used for a different request in the last 24 hours: use a new one"
    )]
    RequestIdReused,
    /// The state of things does not admit it.
    #[error(transparent)]
    Precondition(#[from] Precondition),
    /// A sealed secret cannot be opened.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// A field that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field in the request, as in `key.allowed_ips[2]`.
    pub field: String,
    /// What is wrong with it, to follow the path in a sentence. Holds no secret.
    pub description: String,
}

impl Violation {
    /// A field that does not hold, and what is wrong with it.
    pub fn new(field: impl Into<String>, description: impl fmt::Display) -> Self {
        Self { field: field.into(), description: description.to_string() }
    }
}

/// A sentence.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.field, self.description)
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Invalid(vec![violation])
    }
}

/// A kind of thing that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A key.
    Key,
    /// A workspace.
    Workspace,
    /// A catalogue.
    Catalog,
    /// A member.
    Member,
    /// A network set.
    NetworkSet,
    /// An identifier.
    Identifier,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Workspace => "workspace",
            Self::Catalog => "catalogue",
            Self::Member => "member",
            Self::NetworkSet => "network set",
            Self::Identifier => "identifier",
        })
    }
}

/// A state of things that does not admit a change, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Precondition {
    /// The workspace has as many keys as it may have.
    #[error("the workspace has its maximum of {max_keys} keys: delete one first")]
    MaxKeysReached {
        /// The maximum.
        max_keys: u32,
    },
    /// The workspace keeps its last key.
    #[error("this is the last key of the workspace: create another first")]
    LastKey,
    /// No unrestricted control key would be left.
    #[error("this is the last control key that may do everything: create another first")]
    LastOperatorKey,
    /// The key's secret is nowhere any more.
    #[error(
        "the secret was shown once, when the key was created: create or clone a key to get a new one"
    )]
    SecretShownOnce,
    /// The server cannot seal secrets.
    #[error(
        "secrets can be revealable only where the server has an encryption key: set CLAVIGER_SECRET_ENCRYPTION_KEY"
    )]
    EncryptionKeyMissing,
    /// Secrets are sealed with a key that the server does not have.
    #[error(
        "there are revealable secrets under the encryption key {}, which is neither \
         CLAVIGER_SECRET_ENCRYPTION_KEY nor CLAVIGER_SECRET_ENCRYPTION_KEY_PREVIOUS: set it or, if \
         it is lost, erase them with `claviger encryption-key forget`",
        .0.as_str()
    )]
    EncryptionKeyUnknown(EncryptionKeyId),
    /// A key cannot be cloned any more.
    #[error("the key has expired, and its clone would be dead at birth: create a key instead")]
    KeyExpired,
    /// The key that this `request_id` created is gone.
    #[error("the key that this `request_id` created was deleted: use a new one to create another")]
    RequestKeyDeleted,
    /// The workspace has keys.
    #[error("the workspace has keys: delete them first, or set `force`")]
    WorkspaceNotEmpty,
    /// The catalogue that the workspace names does not exist.
    #[error("there is no such catalogue: apply it first")]
    CatalogNotFound,
    /// Workspaces use the catalogue.
    #[error("the catalogue is used by a workspace: delete that first")]
    CatalogInUse,
    /// A key refers to the network set.
    #[error("the network set is used by `{key}`: delete that key first")]
    NetworkSetInUse {
        /// One key that refers to it.
        key: KeyName,
    },
    /// A permission would go that a key holds.
    #[error("`{permission}` is held by `{key}`: delete that key, or keep the permission")]
    PermissionHeld {
        /// The permission that would go.
        permission: PermissionName,
        /// One key that holds it.
        key: KeyName,
    },
    /// A permission would go that a policy gives to new keys.
    #[error(
        "`{permission}` is one of the default permissions of `{workspace}`: change that policy, or keep the permission"
    )]
    PermissionIsDefault {
        /// The permission that would go.
        permission: PermissionName,
        /// One workspace whose policy names it.
        workspace: crate::domain::WorkspaceId,
    },
}

impl AsStoreError for Error {
    fn as_store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}
