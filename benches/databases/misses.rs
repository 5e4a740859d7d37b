//! What it takes to look up a key that is not remembered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use claviger::authorize::{Consistency, Engine, MemoryLimits};
use claviger::clock::SystemClock;
use claviger::config::Settings;
use claviger::domain::{Action, Audience, Credential, Question, SecretDigest, WorkspaceScope};
use claviger::store::Store;

use crate::median;
use crate::raw::Raw;
use crate::support::builders::a_key;
use crate::support::database::{self, TestDatabase};
use crate::support::server::TestServer;

/// Compares a look-up by the engine with the same `SELECT` by the driver alone, each so often a round, one after
/// the other: asked for where the connections to the database live, and from another thread, as connections
/// of clients ask.
pub(crate) async fn measure(rounds: usize, each: u32) {
    println!("| a miss | SELECT alone | ÷ SELECT | from another thread, ÷ SELECT |");
    println!("|---|--:|--:|--:|");
    for (name, engine) in
        [("PostgreSQL", database::Engine::Postgres), ("MariaDB", database::Engine::MariaDb)]
    {
        let database = TestDatabase::create(engine).await;
        let server = TestServer::start_on(database, Arc::default(), Settings::default()).await;
        server.add_acme().await;
        let key = a_key("some key").permissions(&["users.track"]).build();
        let created = server.operator().create_key("workspaces/acme", key).await;
        let secret = created.expect("it is created").secret;
        let digest = SecretDigest::of(secret.as_bytes());

        let store = Store::open(&server.database_url()).await.expect("the database is there");
        let memory = MemoryLimits { max_staleness: Duration::from_secs(2), max_keys: 10 };
        let engine = Arc::new(Engine::new(Arc::new(store), Arc::new(SystemClock), memory));
        let raw = Arc::new(Raw::connect(server.database_url_text()).await);
        // Each once before it is measured: they connect then.
        look_up(&engine, &secret, 1).await;
        select(&raw, digest, 1).await;

        let (mut alone, mut here, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            // A task runs where connections live; this function does not.
            let raw = Arc::clone(&raw);
            let selected = tokio::spawn(async move { select(&raw, digest, each).await });
            let selected = selected.await.expect("it ends");
            let (engine_there, secret_there) = (Arc::clone(&engine), secret.clone());
            let looked_up =
                tokio::spawn(async move { look_up(&engine_there, &secret_there, each).await });
            let looked_up = looked_up.await.expect("it ends");
            here.push(looked_up.div_duration_f64(selected));
            elsewhere.push(look_up(&engine, &secret, each).await.div_duration_f64(selected));
            alone.push(selected.as_secs_f64() * 1e6);
        }
        let [alone, here, elsewhere] = [alone, here, elsewhere].map(median);
        println!("| {name} | {alone:.0} µs | {here:.2} | {elsewhere:.2} |");
    }
}

/// How long a look-up takes.
async fn look_up(engine: &Engine, secret: &str, times: u32) -> Duration {
    let scope = WorkspaceScope::default();
    let question = Question {
        credential: Credential::from_api_key(secret),
        action: Action::Permission("users.track"),
        client_ip: None,
        workspace: None,
        instance: None,
        identifiers: &[],
        audience: Audience::Subjects(&scope),
    };
    let began = Instant::now();
    for _ in 0..times {
        engine.find(&question, Consistency::Full).await.expect("the database is read");
    }
    began.elapsed() / times
}

/// How long the `SELECT` takes.
async fn select(raw: &Raw, digest: SecretDigest, times: u32) -> Duration {
    let began = Instant::now();
    for _ in 0..times {
        raw.select(&digest).await;
    }
    began.elapsed() / times
}
