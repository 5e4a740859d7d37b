//! What it takes to look up a key that is not remembered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use claviger::authorize::{Consistency, Engine, MemoryLimits};
use claviger::clock::SystemClock;
use claviger::config::Settings;
use claviger::domain::{Action, Audience, Credential, Question, WorkspaceScope};
use claviger::store::Store;

use crate::raw::Raw;
use crate::support::builders::a_key;
use crate::support::database::{self, TestDatabase};
use crate::support::server::TestServer;

/// Compares a look-up by the engine with the same `SELECT` by the driver alone, each so often a round, one after
/// the other.
pub(crate) async fn measure(rounds: usize, each: u32) {
    for (name, engine) in
        [("PostgreSQL", database::Engine::Postgres), ("MariaDB", database::Engine::MariaDb)]
    {
        let database = TestDatabase::create(engine).await;
        let server = TestServer::start_on(database, Arc::default(), Settings::default()).await;
        server.add_acme().await;
        let key = a_key("some key").permissions(&["users.track"]).build();
        let created = server.operator().create_key("workspaces/acme", key).await;
        let credential = Credential::from_api_key(&created.expect("it is created").secret);
        let Credential::Presented(digest) = credential else { panic!("it is a secret") };

        let store = Store::open(&server.database_url()).await.expect("the database is there");
        let memory = MemoryLimits { max_staleness: Duration::from_secs(2), max_keys: 10 };
        let engine = Engine::new(Arc::new(store), Arc::new(SystemClock), memory);
        let scope = WorkspaceScope::default();
        let question = Question {
            credential,
            action: Action::Permission("users.track"),
            client_ip: None,
            workspace: None,
            instance: None,
            identifiers: &[],
            audience: Audience::Subjects(&scope),
        };
        let raw = Raw::connect(server.database_url_text()).await;
        let mut ratios = Vec::new();
        let mut times = (Duration::ZERO, Duration::ZERO);
        for _ in 0..rounds {
            let began = Instant::now();
            for _ in 0..each {
                engine.find(&question, Consistency::Full).await.expect("the database is read");
            }
            let looked_up = began.elapsed();
            let began = Instant::now();
            for _ in 0..each {
                raw.select(&digest).await;
            }
            times = (looked_up / each, began.elapsed() / each);
            ratios.push(times.0.as_secs_f64() / times.1.as_secs_f64());
        }
        ratios.sort_by(f64::total_cmp);
        let ratio = ratios[ratios.len() / 2];
        let (looked_up, selected) = (times.0.as_micros(), times.1.as_micros());
        println!("{name}: a miss takes {ratio:.2} of its SELECT ({looked_up} and {selected} us)");
    }
}
