//! What a decision costs inside the server: remembered, and read from the database.

#[path = "../wire/data.rs"]
#[allow(dead_code, reason = "the other benchmark needs more of it")]
mod data;
mod raw;

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use claviger::authorize::{Consistency, Engine, MemoryLimits};
use claviger::clock::SystemClock;
use claviger::domain::{Action, Audience, Credential, Question, SecretDigest, WorkspaceScope};
use claviger::store::{DatabaseUrl, Store};
use criterion::{Criterion, criterion_group, criterion_main};
use data::{Data, secret};
use raw::Raw;
use tokio::runtime::Builder;

/// Keys in the database, and how many of them are asked about in turn.
const KEYS: usize = 2_000;

/// A question in which everything is checked.
fn question(credential: Credential, scope: &WorkspaceScope) -> Question<'_> {
    Question {
        credential,
        action: Action::HttpRequest { method: "POST", path: "/users/track" },
        client_ip: Some(IpAddr::from([203, 0, 113, 9])),
        workspace: Some("bench"),
        instance: None,
        identifiers: &[],
        audience: Audience::Subjects(scope),
    }
}

fn decisions(criterion: &mut Criterion) {
    let data = Data::prepare(KEYS).expect("the keys are written");
    // Of one thread, like those that serve requests.
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let path = data.directory.join("claviger.db");
    let url = DatabaseUrl::Sqlite(path.clone());
    let memory = MemoryLimits { max_staleness: Duration::from_secs(2), max_keys: KEYS };
    let engine = runtime.block_on(async {
        let store = Arc::new(Store::open(&url).await.expect("the database opens"));
        Engine::new(store, Arc::new(SystemClock), memory)
    });
    let secrets: Vec<String> = (0..KEYS).map(secret).collect();
    let credentials: Vec<Credential> =
        secrets.iter().map(|secret| Credential::from_api_key(secret)).collect();
    let scope = WorkspaceScope::default();
    for credential in &credentials {
        let question = question(*credential, &scope);
        runtime
            .block_on(engine.find(&question, Consistency::Bounded))
            .expect("the database is read");
    }

    let mut numbers = (0..KEYS).cycle();
    let mut next = || numbers.next().unwrap_or_default();
    criterion.bench_function("decision, remembered", |bencher| {
        bencher.iter(|| {
            let question = question(credentials[next()], &scope);
            let at = engine.moment();
            let found = engine.recall(&question, Consistency::Bounded, at.uptime);
            let found = found.expect("it is remembered");
            let verdict = engine.decide(&question, &found, at.now).verdict;
            assert_eq!(black_box(verdict), Ok(()));
        });
    });
    criterion.bench_function("parse the key, CRC-32, SHA-256", |bencher| {
        bencher.iter(|| black_box(Credential::from_api_key(&secrets[next()])));
    });

    let mut group = criterion.benchmark_group("a key that is not remembered");
    group.bench_function("by the engine", |bencher| {
        bencher.iter(|| {
            let question = question(credentials[next()], &scope);
            let found = engine.find(&question, Consistency::Full);
            let found = runtime.block_on(found).expect("the database is read");
            let now = engine.moment().now;
            assert_eq!(engine.decide(&question, &found, now).verdict, Ok(()));
        });
    });
    let raw = runtime.block_on(Raw::connect(format!("sqlite:{}", path.display())));
    let digests: Vec<_> =
        secrets.iter().map(|secret| SecretDigest::of(secret.as_bytes())).collect();
    group.bench_function("the same SELECT by raw sqlx", |bencher| {
        bencher.iter(|| runtime.block_on(raw.select(&digests[next()])));
    });
}

criterion_group!(benches, decisions);
criterion_main!(benches);
