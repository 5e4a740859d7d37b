//! Where keys, workspaces and catalogues are kept. The only place that knows SQL.
//!
//! Reads and writes share one set of types: [`Store::keys`] reads from the pool,
//! [`Transaction::keys`] reads and writes within a transaction. What changes more than one row, or
//! depends on what it read, is a [`UnitOfWork`].

mod batch;
mod bounded;
mod catalogs;
mod changes;
mod copy;
mod engine;
mod entity;
mod error;
mod feed;
mod group;
mod identifiers;
mod keys;
mod lock;
mod members;
mod metadata;
mod migration;
mod network_sets;
mod requests;
mod sealed_secrets;
mod search;
mod select_one;
mod tenant;
mod transaction;
mod url;
mod workspaces;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use sea_orm::DatabaseConnection;

pub use bounded::Bounded;
pub use catalogs::{Catalogs, StoredCatalog};
pub use changes::{Change, Observer};
pub use copy::{Copied, CopyError};
pub use error::{OpenError, StoreError};
pub use feed::Feed;
use group::Lane;
pub use identifiers::Identifiers;
pub use keys::{Cursor, Keys, StoredKey};
pub use members::Members;
pub use metadata::Metadata;
pub use network_sets::{NetworkSets, StoredNetworkSet};
pub use requests::{KeyRequest, KeyRequests};
pub use sealed_secrets::SealedSecrets;
pub use tenant::StoredTenant;
pub use transaction::{AsStoreError, Committed, Transaction, UnitOfWork, Writer};
pub use url::{DatabaseUrl, InvalidDatabaseUrl, Remote};
pub use workspaces::Workspaces;

use crate::domain::Revision;

/// A database.
#[derive(Debug)]
pub struct Store {
    url: DatabaseUrl,
    /// Where single reads go.
    read: Bounded<DatabaseConnection>,
    /// Where transactions begin. On SQLite a pool of one connection, because there is one writer;
    /// on other engines the same pool.
    write: DatabaseConnection,
    /// How long a transaction may wait to begin.
    patience: Duration,
    /// Where small transactions wait for each other.
    lanes: Box<[Lane]>,
    /// The last revision that was seen.
    revision: Mutex<Option<Revision>>,
    /// Who is told what changed.
    observer: OnceLock<Arc<dyn Observer>>,
    /// Held as long as the store is open; `None` where several processes may share the database.
    _lock: Option<lock::FileLock>,
}

/// The tables as they are seen through `C`: a pool, or a transaction.
macro_rules! tables {
    ($type:ident, $connection:ty, $field:ident) => {
        impl $type {
            /// The API keys.
            #[must_use]
            pub fn keys(&self) -> Keys<'_, $connection> {
                Keys(&self.$field)
            }

            /// The workspaces.
            #[must_use]
            pub fn workspaces(&self) -> Workspaces<'_, $connection> {
                Workspaces(&self.$field)
            }

            /// The catalogues.
            #[must_use]
            pub fn catalogs(&self) -> Catalogs<'_, $connection> {
                Catalogs(&self.$field)
            }

            /// The network sets.
            #[must_use]
            pub fn network_sets(&self) -> NetworkSets<'_, $connection> {
                NetworkSets(&self.$field)
            }

            /// The secrets that can be revealed.
            #[must_use]
            pub fn sealed_secrets(&self) -> SealedSecrets<'_, $connection> {
                SealedSecrets(&self.$field)
            }

            /// The identifiers.
            #[must_use]
            pub fn identifiers(&self) -> Identifiers<'_, $connection> {
                Identifiers(&self.$field)
            }

            /// The members.
            #[must_use]
            pub fn members(&self) -> Members<'_, $connection> {
                Members(&self.$field)
            }

            /// What is known of the database itself.
            #[must_use]
            pub fn metadata(&self) -> Metadata<'_, $connection> {
                Metadata(&self.$field)
            }
        }
    };
}

tables!(Store, Bounded<DatabaseConnection>, read);
tables!(Transaction, Writer, inner);

impl Transaction {
    /// The calls of `CreateKey` that may be repeated.
    #[must_use]
    pub fn key_requests(&self) -> KeyRequests<'_> {
        KeyRequests(&self.inner)
    }
}
