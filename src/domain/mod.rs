//! What a key, a permission, an address and a decision are. Pure and synchronous: nothing here does
//! I/O, waits, reads a clock or draws a random number, and nothing here knows of gRPC or SQL.

mod caller;
mod catalog;
mod control;
mod credential;
mod decision;
mod display_name;
mod key;
mod member;
mod name;
mod network;
mod permission;
mod route;
mod secret;
mod timestamp;
mod workspace;

pub use caller::{Access, Actor, Caller, Refusal};
pub use catalog::{Catalog, InvalidCatalog, MAX_PERMISSIONS, Permission};
pub use control::{
    BeyondCeiling, ControlPermission, WorkspaceScope, check_ceiling, control_catalog,
};
pub use credential::Credential;
pub use decision::{Action, Audience, Decision, Denial, Question, Subject, decide};
pub use display_name::{DisplayName, InvalidDisplayName, fold_case};
pub use key::{Key, KeyFilter, MAX_GRANTS, MAX_NETWORKS, MAX_SCOPE};
pub use member::{Email, InvalidEmail, Member, Role};
pub(crate) use name::parse_uuid;
pub use name::{CatalogId, InvalidName, KeyName, MemberName, WorkspaceId};
pub use network::{AllowedIps, Cidr, InvalidCidr};
pub use permission::{Grant, InvalidPermission, PermissionName};
pub use route::{InvalidRoute, Method, Route, RouteTable, RouteTemplate};
pub use secret::{ENTROPY_BYTES, InvalidKeyPrefix, InvalidSecret, KeyPrefix, Secret, SecretDigest};
pub use timestamp::Timestamp;
pub use workspace::{Policy, Workspace};
