//! How much faster keys are created when many come at once, because they share commits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use claviger::config::Settings;
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use crate::median;
use crate::support::builders::a_key;
use crate::support::database::{Engine, TestDatabase};
use crate::support::server::{Client, TestServer};

/// How many come at once.
const AT_ONCE: usize = 64;

/// How much is done.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) rounds: usize,
    /// Keys that are created one by one in a round, and by each of those at once.
    pub(crate) one_by_one: usize,
    pub(crate) each: usize,
}

/// Prints how fast keys are created, on each engine.
pub(crate) async fn measure(scale: Scale) {
    println!(
        "\n| keys created a second | one by one | {AT_ONCE} at once | ratio | for each sync |"
    );
    println!("|---|--:|--:|--:|--:|");
    for (name, engine) in
        [("SQLite", Engine::Sqlite), ("PostgreSQL", Engine::Postgres), ("MariaDB", Engine::MariaDb)]
    {
        try_out(name, engine, scale).await;
    }
}

async fn try_out(name: &str, engine: Engine, scale: Scale) {
    let database = TestDatabase::create(engine).await;
    let server = TestServer::start_on(database, Arc::default(), Settings::default()).await;
    server.add_acme().await;
    let (operator, intruder) = (server.operator(), server.intruder().await);
    let at_once = || join_all((0..AT_ONCE).map(|_| create(&operator, scale.each)));
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for _ in 0..scale.rounds {
        alone.push(rate(scale.one_by_one, create(&operator, scale.one_by_one)).await);
        together.push(rate(AT_ONCE * scale.each, at_once()).await);
    }
    let (alone, together) = (median(alone), median(together));
    let before = count_syncs(engine, &intruder).await;
    at_once().await;
    let syncs =
        count_syncs(engine, &intruder).await.zip(before).map(|(after, before)| after - before);
    let created = i64::try_from(AT_ONCE * scale.each).unwrap_or(i64::MAX);
    let shared = syncs.and_then(|syncs| created.checked_div(syncs));
    let shared = shared.map_or_else(|| "?".to_owned(), |shared| shared.to_string());
    println!("| {name} | {alone:.0} | {together:.0} | {:.1} | {shared} |", together / alone);
}

async fn create(operator: &Client, count: usize) {
    for _ in 0..count {
        let key = a_key("some key").permissions(&["users.track"]).build();
        operator.create_key("workspaces/acme", key).await.expect("it is created");
    }
}

/// How many a second this work makes.
#[allow(clippy::cast_precision_loss, reason = "no count here is that large")]
async fn rate<T>(count: usize, work: impl Future<Output = T>) -> f64 {
    let began = Instant::now();
    work.await;
    count as f64 / began.elapsed().max(Duration::from_nanos(1)).as_secs_f64()
}

/// How often the database server has waited for its disk so far, or been asked to, if it says so.
async fn count_syncs(engine: Engine, intruder: &DatabaseConnection) -> Option<i64> {
    let query = match engine {
        Engine::Sqlite => return None,
        Engine::Postgres => "SELECT wal_sync FROM pg_stat_wal",
        // Each commit is one.
        Engine::MariaDb => {
            "SELECT CAST(VARIABLE_VALUE AS SIGNED) FROM information_schema.GLOBAL_STATUS \
             WHERE VARIABLE_NAME = 'COM_COMMIT'"
        }
    };
    if engine == Engine::Postgres {
        // Its processes tell what they did when they have been idle for so long.
        tokio::time::sleep(Duration::from_secs(11)).await;
    }
    let statement = Statement::from_string(intruder.get_database_backend(), query);
    let row = intruder.query_one_raw(statement).await.ok().flatten()?;
    row.try_get_by_index(0).ok()
}
