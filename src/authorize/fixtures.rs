//! What the tests of this module have in common.

use std::sync::Arc;

use uuid::Uuid;

use super::entry::{CacheKey, Entry};
use crate::domain::{
    AddressSet, Bearer, Catalog, Key, KeyFacts, KeyName, NetworkSetId, Networks, SecretDigest,
    Shared, Subject, Tenant, Timestamp, Windows, WorkspaceId, WorkspaceScope,
};

/// One of many keys, as it is looked up.
pub(super) fn cache_key(number: usize) -> CacheKey {
    SecretDigest::of(&number.to_le_bytes()).into()
}

pub(super) fn workspace() -> WorkspaceId {
    WorkspaceId::from_id("acme").unwrap()
}

pub(super) fn network_set() -> NetworkSetId {
    NetworkSetId::from_id("office").unwrap()
}

pub(super) fn an_empty_catalog() -> Arc<Shared<Catalog>> {
    Arc::new(Shared::new(Catalog::new(Vec::new()).unwrap()))
}

/// `workspaces/acme` with this catalogue.
pub(super) fn a_tenant(catalog: &Arc<Shared<Catalog>>) -> Tenant {
    Tenant {
        workspace: workspace(),
        catalog: Arc::clone(catalog),
        instance: None,
        requests_per_hour: None,
        windows: Arc::new(Windows::default()),
    }
}

/// What is remembered of one of many keys of this workspace.
pub(super) fn an_entry(number: usize, tenant: &Arc<Shared<Tenant>>) -> Arc<Entry> {
    an_entry_within(number, tenant, Vec::new())
}

/// The same of one that may be used from these networks, if there are any.
pub(super) fn an_entry_within(
    number: usize,
    tenant: &Arc<Shared<Tenant>>,
    sets: Vec<Arc<Shared<AddressSet>>>,
) -> Arc<Entry> {
    let key = Key {
        name: KeyName { workspace: workspace(), id: Uuid::from_u128(number as u128) },
        display_name: "some key".parse().unwrap(),
        hint: String::new(),
        permissions: Vec::new(),
        allowed_ips: Networks::default(),
        network_sets: sets.iter().map(|_| network_set()).collect(),
        created_by: None,
        create_time: Timestamp::MIN,
        last_seen_time: None,
        expire_time: None,
        workspace_scope: WorkspaceScope::default(),
    };
    let subject = Subject {
        tenant: Arc::clone(tenant),
        bearer: Bearer::Private(KeyFacts::new(&key, &tenant.catalog, sets)),
        control_key: None,
    };
    Entry::new(cache_key(number), subject)
}
