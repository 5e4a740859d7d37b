//! What decisions know of a key.

use std::net::IpAddr;
use std::sync::Arc;

use compact_str::CompactString;
use uuid::Uuid;

use super::address_set::AddressSet;
use super::caller::ControlKey;
use super::catalog::Catalog;
use super::instance::InstanceId;
use super::key::Key;
use super::name::WorkspaceId;
use super::permission_set::PermissionSet;
use super::rate_limit::{RequestsPerHour, Windows};
use super::shared::Shared;
use super::timestamp::Timestamp;

/// What was found behind a credential. Small, because a server remembers very many, and never changed:
/// what is newer is another.
#[derive(Debug)]
pub struct Subject {
    /// The workspace that it belongs to.
    pub tenant: Arc<Shared<Tenant>>,
    /// The key.
    pub bearer: Bearer,
    /// For control keys: all that callers may need to know of their own.
    pub control_key: Option<Arc<ControlKey>>,
}

/// A workspace, and all that it and the operator say of its keys.
#[derive(Debug)]
pub struct Tenant {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its catalogue.
    pub catalog: Arc<Shared<Catalog>>,
    /// The instance that it lives on; `None`: on all of them.
    pub instance: Option<InstanceId>,
    /// Its rate limit.
    pub requests_per_hour: Option<RequestsPerHour>,
    /// Where its requests are counted.
    pub windows: Arc<Windows>,
}

/// What a client that is known came with.
#[derive(Debug)]
pub enum Bearer {
    /// A private key.
    Private(KeyFacts),
    /// The public key of the workspace.
    Public,
}

/// Of a private key, what decisions need.
#[derive(Debug)]
pub struct KeyFacts {
    /// The last part of its name.
    pub id: Uuid,
    /// What people call it.
    pub display_name: CompactString,
    /// From when on it is denied; [`Timestamp::MAX`]: never.
    pub expire_time: Timestamp,
    /// Every permission that it holds, by the catalogue of its workspace.
    pub permissions: PermissionSet,
    /// Where it may be used from; `None`: anywhere.
    pub origins: Option<Origins>,
}

/// Where a key may be used from.
#[derive(Debug)]
pub struct Origins {
    /// Its own networks.
    own: AddressSet,
    /// The network sets that it refers to, as they stand. Apart, because most keys refer to none.
    sets: Option<Box<NetworkSets>>,
}

#[derive(Debug)]
struct NetworkSets(Box<[Arc<Shared<AddressSet>>]>);

impl Origins {
    /// Whether this address is one of them.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        self.own.contains(address) || self.sets().any(|set| set.contains(address))
    }

    fn sets(&self) -> impl Iterator<Item = &Shared<AddressSet>> {
        self.sets.iter().flat_map(|sets| sets.0.iter().map(|set| &**set))
    }
}

impl Subject {
    /// Whether something that this refers to has changed.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        let origins = self.key().and_then(|key| key.origins.as_ref());
        self.tenant.is_outdated()
            || self.tenant.catalog.is_outdated()
            || origins.is_some_and(|origins| origins.sets().any(Shared::is_outdated))
    }

    /// The private key, if it is one.
    #[must_use]
    pub fn key(&self) -> Option<&KeyFacts> {
        match &self.bearer {
            Bearer::Private(key) => Some(key),
            Bearer::Public => None,
        }
    }
}

impl KeyFacts {
    /// What decisions need of this key, by this catalogue and these network sets: those that it refers
    /// to.
    #[must_use]
    pub fn new(key: &Key, catalog: &Catalog, network_sets: Vec<Arc<Shared<AddressSet>>>) -> Self {
        let origins = (!key.is_good_anywhere()).then(|| Origins {
            own: AddressSet::from(&key.allowed_ips),
            sets: (!network_sets.is_empty()).then(|| Box::new(NetworkSets(network_sets.into()))),
        });
        Self {
            id: key.name.id,
            display_name: key.display_name.as_str().into(),
            expire_time: key.expire_time.unwrap_or(Timestamp::MAX),
            permissions: catalog.held_by(&key.permissions),
            origins,
        }
    }

    /// Whether the key is no longer good. It is not at the very instant of its expiry.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expire_time <= now
    }
}
