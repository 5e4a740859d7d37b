//! How long after a delete on one server the key is denied on another one, on each engine that several
//! servers share; and what it costs a server that much changes elsewhere. Needs the databases of the tests: `scripts/with-databases cargo bench --bench replicas`.

#[path = "../wire/load/mod.rs"]
#[allow(dead_code, unreachable_pub, unused_imports, reason = "its tests are run by tests/load.rs")]
mod load;
mod reads;
#[path = "../../tests/support/mod.rs"]
#[allow(unused_imports, reason = "the tests need more of it")]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use claviger::config::Settings;
use sea_orm::ConnectionTrait;
use support::builders::{a_key, a_question};
use support::database::{Engine, TestDatabase};
use support::server::TestServer;

/// Ends the connections on which servers wait for a hint.
const END_LISTENERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                             WHERE datname = current_database() AND query LIKE 'LISTEN%'";

fn main() {
    let short = std::env::args().any(|argument| argument == "--short");
    let trials = if short { 20 } else { 1_000 };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    println!("| {trials} deletes, until denied on another server | p50 ms | p99 ms | max ms |");
    println!("|---|--:|--:|--:|");
    for (name, engine, hint) in [
        ("PostgreSQL, with NOTIFY", Engine::Postgres, true),
        ("PostgreSQL, its listeners ended all the time", Engine::Postgres, false),
        ("MariaDB", Engine::MariaDb, true),
    ] {
        let mut times = runtime.block_on(measure(engine, hint, trials));
        times.sort_unstable();
        let at = |percent: usize| {
            let index = (times.len() - 1) * percent / 100;
            times[index].as_secs_f64() * 1_000.0
        };
        println!("| {name} | {:.1} | {:.1} | {:.1} |", at(50), at(99), at(100));
    }
    drop(runtime);
    let (rounds, length) = if short { (1, 200) } else { (5, 2_000) };
    reads::measure(rounds, Duration::from_millis(length)).expect("it can be measured");
}

async fn measure(engine: Engine, hint: bool, trials: usize) -> Vec<Duration> {
    let database = TestDatabase::create(engine).await;
    let one = TestServer::start_on(database, Arc::default(), Settings::default()).await;
    one.add_acme().await;
    let other = TestServer::beside(&one).await;
    let intruder = one.intruder().await;
    let mut times = Vec::with_capacity(trials);
    for _ in 0..trials {
        let key = a_key("k").permissions(&["users.track"]).build();
        let created =
            one.operator().create_key("workspaces/acme", key).await.expect("it is created");
        let question = || a_question(&created.secret).permission("users.track").build();
        let ask = || async { other.operator().authorize(question()).await.expect("it answers") };
        assert!(ask().await.allowed);
        if !hint {
            intruder.execute_unprepared(END_LISTENERS).await.expect("they are ended");
        }
        let name = created.key.map(|key| key.name).unwrap_or_default();
        one.operator().delete_key(&name).await.expect("it is deleted");
        let deleted = Instant::now();
        while ask().await.allowed {}
        times.push(deleted.elapsed());
    }
    times
}
