//! The keys that are asked about.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use claviger::clock::{Clock, SystemClock};
use claviger::domain::{
    Catalog, CatalogId, Grant, Key, KeyName, KeyPrefix, Permission, Policy, RequestsPerHour,
    Secret, Timestamp, Workspace, WorkspaceId, WorkspaceScope,
};
use claviger::manage;
use claviger::store::{DatabaseUrl, Store, StoreError, StoredCatalog, Transaction, UnitOfWork};
use uuid::Uuid;

/// How many keys are written in one transaction.
const BATCH: usize = 5_000;

/// A database full of keys.
pub(crate) struct Data {
    pub(crate) directory: PathBuf,
    operator_key: String,
    specials: Vec<String>,
}

/// Keys that are special.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Special {
    ManyNetworks,
    AllPermissions,
    Denied,
    Unknown,
}

/// The secret of one of the many keys.
pub(crate) fn secret(number: usize) -> String {
    new_secret(number).expose().to_owned()
}

fn new_secret(number: usize) -> Secret {
    let mut entropy = [0x5A; 24];
    entropy[..8]
        .copy_from_slice(&(number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    entropy[8..16].copy_from_slice(&(number as u64).to_be_bytes());
    Secret::from_entropy(&KeyPrefix::default(), entropy)
}

fn workspace() -> WorkspaceId {
    WorkspaceId::from_id("bench").expect("it is an id")
}

impl Data {
    /// Makes the database, unless an earlier run did.
    pub(crate) fn prepare(keys: usize) -> Result<Self, Box<dyn Error>> {
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let directory = target.join(format!("bench-{keys}-keys"));
        let operator_key = new_secret(usize::MAX).expose().to_owned();
        let special = |index| secret(usize::MAX - 1 - index);
        let data = Self { directory, operator_key, specials: (0..4).map(special).collect() };
        if !data.directory.join("complete").exists() {
            println!("writing {keys} keys, once");
            // What a run left that was not completed.
            let _ = std::fs::remove_dir_all(&data.directory);
            std::fs::create_dir_all(&data.directory)?;
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(data.write(keys))?;
            std::fs::write(data.directory.join("operator.key"), &data.operator_key)?;
            std::fs::write(data.directory.join("complete"), "")?;
        }
        Ok(data)
    }

    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.operator_key)
    }

    pub(crate) fn special(&self, special: Special) -> &str {
        &self.specials[special as usize]
    }

    async fn write(&self, keys: usize) -> Result<(), Box<dyn Error>> {
        let url = DatabaseUrl::Sqlite(self.directory.join("claviger.db"));
        let store = Arc::new(Store::open(&url).await?);
        store.migrate().await?;
        manage::initialize(&store, &SystemClock, self.operator_key.parse()?).await?;
        let permissions = permissions()?;
        store.transact(WriteWorkspace(permissions.clone())).await?;
        let names: Vec<Grant> =
            permissions.iter().map(|permission| Grant::Exactly(permission.name.clone())).collect();
        let names = Arc::new(names);
        for first in (0..keys).step_by(BATCH) {
            let numbers = (first..keys.min(first + BATCH)).collect();
            store.transact(WriteKeys { numbers, names: Arc::clone(&names) }).await?;
        }
        let numbers = (0..3).map(|index| usize::MAX - 1 - index).collect();
        store.transact(WriteKeys { numbers, names }).await?;
        store.close().await;
        Ok(())
    }
}

/// Braze's 91 permissions.
fn permissions() -> Result<Vec<Permission>, Box<dyn Error>> {
    #[derive(serde::Deserialize)]
    struct File {
        permissions: Vec<Permission>,
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/catalogs/braze.yaml");
    let text = std::fs::read_to_string(path)?;
    let value: serde_json::Value = serde_saphyr::from_str(&text)?;
    let permissions = value.get("permissions").cloned().unwrap_or_default();
    Ok(serde_json::from_value::<File>(serde_json::json!({ "permissions": permissions }))?
        .permissions)
}

struct WriteWorkspace(Vec<Permission>);

impl UnitOfWork for WriteWorkspace {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &Transaction) -> Result<(), StoreError> {
        let now = SystemClock.now();
        let id = CatalogId::from_id("braze").expect("it is an id");
        let catalog = Catalog::new(self.0.clone()).expect("it is a catalogue");
        let revision = Uuid::from_u128(1);
        let stored =
            StoredCatalog { id: id.clone(), revision, catalog, create_time: now, update_time: now };
        tx.catalogs().insert(&stored).await?;
        let workspace = Workspace {
            id: workspace(),
            display_name: "Bench".parse().expect("it is a name"),
            catalog: id,
            instance: None,
            // So that every request is counted, and none refused.
            policy: Policy {
                requests_per_hour: RequestsPerHour::new(1 << 50),
                ..Policy::default()
            },
            public_key: None,
            create_time: now,
            update_time: now,
        };
        tx.workspaces().insert(&workspace).await
    }
}

struct WriteKeys {
    numbers: Vec<usize>,
    names: Arc<Vec<Grant>>,
}

impl UnitOfWork for WriteKeys {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &Transaction) -> Result<(), StoreError> {
        for number in &self.numbers {
            let secret = new_secret(*number);
            tx.keys().insert(&self.key(*number, &secret), &secret.digest()).await?;
        }
        Ok(())
    }
}

impl WriteKeys {
    fn key(&self, number: usize, secret: &Secret) -> Key {
        let track: Grant = "users.track".parse().expect("it is a grant");
        // Ten permissions, and not the same ones for each.
        let some = |count: usize| {
            let start = number.wrapping_mul(31) % self.names.len();
            let names = self.names.iter().cycle().skip(start).filter(|name| **name != track);
            names.take(count).cloned().collect::<Vec<_>>()
        };
        let networks = |count: usize| {
            let others = (1..count).map(|index| format!("10.{}.{}.0/25", index / 256, index % 256));
            others.chain(["203.0.113.0/24".to_owned()]).map(|it| it.parse().expect("a network"))
        };
        let special = usize::MAX - 1 - number;
        let (permissions, count) = match special {
            0 => ([some(9), vec![track]].concat(), 1_000),
            1 => (self.names.to_vec(), 2),
            2 => (some(10), 2),
            _ => ([some(9), vec![track]].concat(), 2),
        };
        Key {
            name: KeyName { workspace: workspace(), id: Uuid::from_u128(number as u128) },
            display_name: format!("key number {number:09}")[..20].parse().expect("it is a name"),
            hint: secret.hint(),
            permissions,
            allowed_ips: networks(count).collect(),
            network_sets: Vec::new(),
            created_by: None,
            create_time: Timestamp::MIN,
            last_seen_time: None,
            expire_time: None,
            workspace_scope: WorkspaceScope::default(),
        }
    }
}
