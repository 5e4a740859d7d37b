//! How long after a delete on one server the key is denied on another one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use claviger::config::Settings;
use sea_orm::ConnectionTrait;

use crate::support::builders::{a_key, a_question};
use crate::support::database::{Engine, TestDatabase};
use crate::support::server::TestServer;

/// Ends the connections on which servers wait for a hint.
const END_LISTENERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                             WHERE datname = current_database() AND query LIKE 'LISTEN%'";

/// Prints how long it takes, on each engine that several servers share.
pub(crate) async fn measure(trials: usize) {
    println!("| {trials} deletes, until denied on another server | p50 ms | p99 ms | max ms |");
    println!("|---|--:|--:|--:|");
    for (name, engine, hint) in [
        ("PostgreSQL, with NOTIFY", Engine::Postgres, true),
        ("PostgreSQL, its listeners ended all the time", Engine::Postgres, false),
        ("MariaDB", Engine::MariaDb, true),
    ] {
        let mut times = try_out(engine, hint, trials).await;
        times.sort_unstable();
        let at = |percent: usize| {
            let index = (times.len() - 1) * percent / 100;
            times[index].as_secs_f64() * 1_000.0
        };
        println!("| {name} | {:.1} | {:.1} | {:.1} |", at(50), at(99), at(100));
    }
}

async fn try_out(engine: Engine, hint: bool, trials: usize) -> Vec<Duration> {
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
