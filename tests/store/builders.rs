//! What is kept in the database.

use claviger::domain::{
    Catalog, CatalogId, Grant, Key, KeyName, NetworkSetId, Permission, PermissionName, Policy,
    SecretDigest, Timestamp, Workspace, WorkspaceId,
};
use claviger::store::StoredCatalog;
use uuid::Uuid;

/// So many microseconds after 2026-01-01T00:00:00Z.
pub fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_000 + micros).unwrap()
}

pub fn workspace_id(id: &str) -> WorkspaceId {
    WorkspaceId::from_id(id).unwrap()
}

pub fn catalog_id(id: &str) -> CatalogId {
    CatalogId::from_id(id).unwrap()
}

pub fn permission_name(name: &str) -> PermissionName {
    name.parse().unwrap()
}

pub fn grants(grants: &[&str]) -> Vec<Grant> {
    grants.iter().map(|grant| grant.parse().unwrap()).collect()
}

/// `count` different names of permissions of 128 characters each, the longest that there are.
pub fn longest_names(count: usize) -> Vec<PermissionName> {
    (0..count).map(|index| permission_name(&format!("{}{index:05}", "x".repeat(123)))).collect()
}

/// The digest that [`super::database::Database::add_keys`] gives a key.
pub fn digest_of(key: &Key) -> SecretDigest {
    SecretDigest::of(key.name.id.as_bytes())
}

/// What keys are told apart by in tests.
pub fn numbers(keys: &[Key]) -> Vec<u128> {
    keys.iter().map(|key| key.name.id.as_u128()).collect()
}

pub struct KeyBuilder(Key);

/// A key of `workspaces/acme` with this number as its id, created so many microseconds after the start of
/// 2026.
pub fn a_key(number: u128) -> KeyBuilder {
    KeyBuilder(Key {
        name: KeyName { workspace: workspace_id("acme"), id: Uuid::from_u128(number) },
        display_name: "key".parse().unwrap(),
        hint: "key_...abcd".to_owned(),
        permissions: grants(&["users.track"]),
        allowed_ips: [].into_iter().collect(),
        network_sets: Vec::new(),
        created_by: None,
        create_time: at(i64::try_from(number).unwrap_or(0)),
        last_seen_time: None,
        expire_time: None,
        workspace_scope: [].into_iter().collect(),
    })
}

impl KeyBuilder {
    pub fn workspace(mut self, id: &str) -> Self {
        self.0.name.workspace = workspace_id(id);
        self
    }

    pub fn display_name(mut self, name: &str) -> Self {
        self.0.display_name = name.parse().unwrap();
        self
    }

    pub fn hint(mut self, hint: &str) -> Self {
        self.0.hint = hint.into();
        self
    }

    pub fn permissions(mut self, permissions: Vec<Grant>) -> Self {
        self.0.permissions = permissions;
        self
    }

    pub fn allowed_ips<S: AsRef<str>>(mut self, networks: &[S]) -> Self {
        self.0.allowed_ips =
            networks.iter().map(|network| network.as_ref().parse().unwrap()).collect();
        self
    }

    pub fn network_sets(mut self, ids: &[&str]) -> Self {
        self.0.network_sets = ids.iter().map(|id| NetworkSetId::from_id(id).unwrap()).collect();
        self
    }

    pub fn created_by(mut self, creator: &str) -> Self {
        self.0.created_by = Some(creator.to_owned());
        self
    }

    pub fn create_time(mut self, time: Timestamp) -> Self {
        self.0.create_time = time;
        self
    }

    pub fn last_seen_time(mut self, time: Timestamp) -> Self {
        self.0.last_seen_time = Some(time);
        self
    }

    pub fn expire_time(mut self, time: Timestamp) -> Self {
        self.0.expire_time = Some(time);
        self
    }

    pub fn workspace_scope<S: AsRef<str>>(mut self, ids: &[S]) -> Self {
        self.0.workspace_scope = ids.iter().map(|id| workspace_id(id.as_ref())).collect();
        self
    }

    pub fn build(self) -> Key {
        self.0
    }
}

pub struct WorkspaceBuilder(Workspace);

/// A workspace of `catalogs/small`.
pub fn a_workspace(id: &str) -> WorkspaceBuilder {
    WorkspaceBuilder(Workspace {
        id: workspace_id(id),
        display_name: id.parse().unwrap(),
        catalog: catalog_id("small"),
        instance: None,
        policy: Policy::default(),
        public_key: None,
        create_time: at(0),
        update_time: at(0),
    })
}

impl WorkspaceBuilder {
    pub fn display_name(mut self, name: &str) -> Self {
        self.0.display_name = name.parse().unwrap();
        self
    }

    pub fn catalog(mut self, id: &str) -> Self {
        self.0.catalog = catalog_id(id);
        self
    }

    pub fn policy(mut self, policy: Policy) -> Self {
        self.0.policy = policy;
        self
    }

    pub fn times(mut self, create_time: Timestamp, update_time: Timestamp) -> Self {
        (self.0.create_time, self.0.update_time) = (create_time, update_time);
        self
    }

    pub fn build(self) -> Workspace {
        self.0
    }
}

/// A permission with nothing but a name.
pub fn a_permission(name: &PermissionName) -> Permission {
    Permission {
        name: name.clone(),
        group: String::new(),
        description: String::new(),
        http_routes: Vec::new(),
        implies: Vec::new(),
        public: false,
        requests_per_hour: None,
    }
}

/// A catalogue of these permissions; its revision is its number.
pub fn a_catalog(id: &str, revision: u128, permissions: Vec<Permission>) -> StoredCatalog {
    StoredCatalog {
        id: catalog_id(id),
        revision: Uuid::from_u128(revision),
        catalog: Catalog::new(permissions).unwrap(),
        create_time: at(0),
        update_time: at(0),
    }
}
