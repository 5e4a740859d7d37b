//! What a key, a permission, an address and a decision are. Pure and synchronous: nothing here does
//! I/O, waits, reads a clock or draws a random number, and nothing here knows of gRPC or SQL.

mod address_set;
mod caller;
mod catalog;
mod control;
mod credential;
mod decision;
mod display_name;
mod identifier;
mod instance;
mod key;
mod member;
mod name;
mod network;
mod permission;
mod permission_set;
mod public_key;
mod rate_limit;
mod revision;
mod route;
mod secret;
mod shared;
mod subject;
mod timestamp;
mod vault;
mod workspace;

pub use address_set::AddressSet;
pub use caller::{Access, Actor, Caller, ControlKey, Refusal};
pub use catalog::{Catalog, InvalidCatalog, MAX_PERMISSIONS, Permission};
pub use control::{
    BeyondCeiling, ControlPermission, WorkspaceScope, check_ceiling, control_catalog,
};
pub use credential::Credential;
pub use decision::{Action, Audience, Decision, Denial, Question, decide};
pub use display_name::{DisplayName, InvalidDisplayName, fold_case};
pub use identifier::{Identifier, IdentifierFilter, IdentifierId, IdentifierKind};
pub use instance::{InstanceId, Instances, parse_endpoints};
pub use key::{Key, KeyFilter, MAX_GRANTS, MAX_NETWORK_SETS, MAX_NETWORKS, MAX_SCOPE};
pub use member::{Email, InvalidEmail, Member, Role};
pub(crate) use name::parse_uuid;
pub use name::{
    CatalogId, IdentifierName, InvalidName, KeyName, MemberName, NetworkSetId, WorkspaceId,
};
pub use network::{Cidr, InvalidCidr, NetworkSet, Networks};
pub use permission::{Grant, InvalidPermission, PermissionName};
pub use permission_set::PermissionSet;
pub use public_key::PublicKey;
pub use rate_limit::{Counter, RateLimit, RequestsPerHour, Windows};
pub use revision::{InvalidRevision, Revision};
pub use route::{InvalidRoute, Method, Route, RouteTable, RouteTemplate};
pub use secret::{ENTROPY_BYTES, InvalidKeyPrefix, InvalidSecret, KeyPrefix, Secret, SecretDigest};
pub use shared::Shared;
pub use subject::{Bearer, KeyFacts, Origins, Subject, Tenant};
pub use timestamp::Timestamp;
pub use vault::{
    EncryptionKey, EncryptionKeyId, InvalidEncryptionKey, NONCE_BYTES, SealedSecret, Unreadable,
    Vault,
};
pub use workspace::{Policy, SecretVisibility, Workspace};
