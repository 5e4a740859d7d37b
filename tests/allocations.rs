//! What a decision allocates, and what a key takes that is remembered.

#[path = "../benches/wire/data.rs"]
#[allow(dead_code, reason = "the benchmarks need more of it")]
mod data;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use claviger::authorize::{Consistency, Engine, MemoryLimits};
use claviger::clock::SystemClock;
use claviger::domain::{Action, Audience, Credential, Denial, Question, WorkspaceScope};
use claviger::store::{DatabaseUrl, Store};
use data::{Data, Special, secret};
use tokio::runtime::{Builder, Runtime};

const KEYS: usize = 5_000;

struct Fixture {
    /// Everything happens on one thread: that is whose allocations are counted.
    runtime: Runtime,
    engine: Engine,
    data: Data,
    scope: WorkspaceScope,
}

impl Fixture {
    fn new() -> Self {
        let data = Data::prepare(KEYS).unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let url = DatabaseUrl::Sqlite(data.directory.join("claviger.db"));
        let memory = MemoryLimits { max_staleness: Duration::from_secs(2), max_keys: 10 * KEYS };
        let engine = runtime.block_on(async {
            let store = Arc::new(Store::open(&url).await.unwrap());
            Engine::new(store, Arc::new(SystemClock), memory)
        });
        Self { runtime, engine, data, scope: WorkspaceScope::default() }
    }

    fn question<'a>(&'a self, credential: Credential, action: Action<'a>) -> Question<'a> {
        Question {
            credential,
            action,
            client_ip: Some(IpAddr::from([203, 0, 113, 9])),
            workspace: Some("bench"),
            instance: None,
            identifiers: &[],
            audience: Audience::Subjects(&self.scope),
        }
    }

    /// Has a key looked up, so that it is remembered.
    fn look_up(&self, secret: &str) {
        let question = self.question(Credential::from_api_key(secret), Action::None);
        self.runtime.block_on(self.engine.find(&question, Consistency::Bounded)).unwrap();
    }

    fn verdict(&self, secret: &str, action: Action<'_>) -> Result<(), Denial> {
        let question = self.question(Credential::from_api_key(secret), action);
        let at = self.engine.moment();
        let found = self.engine.recall(&question, Consistency::Bounded, at.uptime).unwrap();
        self.engine.decide(&question, &found, at.now).verdict
    }
}

/// One after the other: the database serves one at a time.
#[test]
fn a_decision_allocates_nothing_and_a_key_takes_at_most_250_bytes() {
    let fixture = Fixture::new();
    let track = Action::HttpRequest { method: "POST", path: "/users/track" };
    let named = Action::Permission("users.track");
    let special = |special| fixture.data.special(special);
    for (secret, action, verdict) in [
        (secret(0).as_str(), track, Ok(())),
        (secret(0).as_str(), named, Ok(())),
        (special(Special::ManyNetworks), track, Ok(())),
        (special(Special::AllPermissions), track, Ok(())),
        (special(Special::Denied), track, Err(Denial::PermissionDenied)),
        (special(Special::Unknown), track, Err(Denial::KeyUnknown)),
    ] {
        fixture.look_up(secret);
        // The first time it is listed as seen.
        assert_eq!(fixture.verdict(secret, action), verdict);
        let counted = measure(|| {
            for _ in 0..1_000 {
                assert_eq!(fixture.verdict(secret, action), verdict);
            }
        });
        assert_eq!(counted.count_total, 0, "{verdict:?}");
    }
    drop(fixture);

    let held = held_by_one_that_remembers(KEYS) - held_by_one_that_remembers(0);
    let bytes = held / i64::try_from(KEYS).unwrap();
    println!("{bytes} bytes for each key that is remembered");
    assert!((100..=250).contains(&bytes), "{bytes}");
}

/// How much an engine frees when it goes that remembers so many keys. What it takes in meanwhile cannot be
/// counted: rows are made on one thread, and dropped on another.
fn held_by_one_that_remembers(keys: usize) -> i64 {
    let fixture = Fixture::new();
    (0..keys).map(secret).for_each(|secret| fixture.look_up(&secret));
    let Fixture { runtime, engine, .. } = fixture;
    let counted = measure(|| drop(engine));
    drop(runtime);
    -counted.bytes_current
}
