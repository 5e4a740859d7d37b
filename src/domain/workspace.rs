//! Workspaces and their policies.

use serde::{Deserialize, Serialize};

use super::display_name::DisplayName;
use super::instance::InstanceId;
use super::member::Role;
use super::name::{CatalogId, WorkspaceId};
use super::permission::Grant;
use super::public_key::PublicKey;
use super::rate_limit::RequestsPerHour;
use super::secret::KeyPrefix;
use super::timestamp::Timestamp;

/// A tenant: keys, the catalogue that they are granted from, and the rules that they are managed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// The resource name.
    pub id: WorkspaceId,
    /// What people call it.
    pub display_name: DisplayName,
    /// The catalogue of its permissions. Never changes.
    pub catalog: CatalogId,
    /// The instance that it lives on; `None`: on all of them.
    pub instance: Option<InstanceId>,
    /// The rules that its keys are managed by.
    pub policy: Policy,
    /// What names it to whoever may know it. The reserved one has none.
    pub public_key: Option<PublicKey>,
    /// When it was created.
    pub create_time: Timestamp,
    /// When it was last changed.
    pub update_time: Timestamp,
}

/// The rules that the keys of a workspace are managed by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// The most keys, expired ones included; `None`: no limit.
    pub max_keys: Option<u32>,
    /// Whether the last key that has not expired is refused deletion.
    pub keep_last_key: bool,
    /// Whether a secret can be had again after its key was created.
    pub secret_visibility: SecretVisibility,
    /// The roles whose members may see and manage keys; empty: those of any member.
    pub key_manager_roles: Vec<Role>,
    /// Whether a first key is created together with the workspace.
    pub provision_first_key: bool,
    /// What a key that is created without permissions gets.
    pub default_permissions: Vec<Grant>,
    /// How many requests its keys may make, all of them together; `None`: no limit.
    pub requests_per_hour: Option<RequestsPerHour>,
    /// What the secrets of new keys begin with.
    pub key_prefix: KeyPrefix,
}

/// Whether a secret can be had again after its key was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretVisibility {
    /// It cannot.
    #[default]
    ShownOnce,
    /// It is kept sealed, and can be revealed.
    Revealable,
}
