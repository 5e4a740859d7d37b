//! Reads while changes arrive.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use claviger::config::Settings;
use claviger::domain::Secret;
use prost::Message;
use sea_orm::{ConnectionTrait, TransactionTrait};
use tokio::runtime::{Builder, Runtime};

use crate::load::{self, Length, Pick, Plan, grpc_frame};
use crate::median;
use crate::support::builders::{a_key, a_question};
use crate::support::database::{Engine, TestDatabase};
use crate::support::server::TestServer;

/// The core of the server, and the one of the load and of whoever changes something.
const CORES: [usize; 2] = [0, 1];
const KEYS: usize = 100;
/// So many changes come at once, so often: a thousand a second.
const AT_ONCE: usize = 10;
const EVERY: Duration = Duration::from_millis(10);

/// Compares the rate of reads alone with that of reads while a thousand changes a second arrive through the
/// feed: of keys that nobody has, because those that are read would be looked up anew.
pub(crate) fn measure(rounds: usize, length: Duration) -> Result<(), Box<dyn Error>> {
    load::pin_to(CORES[0])?;
    let runtime = Runtime::new()?;
    let (server, secrets) = runtime.block_on(async {
        let database = TestDatabase::create(Engine::Postgres).await;
        let server = TestServer::start_on(database, Arc::default(), Settings::default()).await;
        server.add_acme().await;
        let mut secrets = Vec::new();
        for _ in 0..KEYS {
            let key = a_key("some key").permissions(&["users.track"]).build();
            let created = server.operator().create_key("workspaces/acme", key).await;
            secrets.push(created.expect("it is created").secret);
        }
        (server, secrets)
    });
    load::pin_to(CORES[1])?;
    let reads = || read(&server, &secrets, length);
    reads()?;
    let (mut ratios, mut changes) = (Vec::new(), 0.0);
    for _ in 0..rounds {
        let alone = reads()?;
        let changing = Changing::begin(&server);
        ratios.push(reads()? / alone);
        changes = changing.end();
    }
    let ratio = median(ratios);
    println!("\nReads while {changes:.0} changes a second arrive: {ratio:.2} of reads alone");
    Ok(())
}

/// How many reads a second there are.
fn read(server: &TestServer, secrets: &[String], length: Duration) -> Result<f64, Box<dyn Error>> {
    let questions = secrets.iter().map(|secret| {
        grpc_frame(&a_question(secret).permission("users.track").build().encode_to_vec())
    });
    let path = "/claviger.v1.AuthorizationService/Authorize";
    let mut plan = Plan::new(server.address, path, questions.collect());
    let bearer = format!("Bearer {}", Secret::expose(&server.operator_key));
    plan.headers = vec![("authorization".to_owned(), bearer)];
    (plan.connections, plan.in_flight) = (8, 32);
    plan.pick = Pick::Random { seed: 7 };
    plan.length = Length::For(length);
    plan.check = Box::new(|_, message| message.starts_with(&[0x08, 0x01]));
    let outcome = load::unary(&plan)?;
    if outcome.wrong > 0 || outcome.lost_connections > 0 {
        return Err(format!("not every answer was right: {outcome:?}").into());
    }
    Ok(outcome.rate())
}

/// Somebody who writes changes as servers do.
struct Changing {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<f64>,
}

impl Changing {
    fn begin(server: &TestServer) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, url) = (Arc::clone(&stop), server.database_url_text());
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("it starts");
            runtime.block_on(change(&TestDatabase::at(Engine::Postgres, url), &stopped))
        });
        Self { stop, thread }
    }

    /// Stops, and says how many changes a second there were.
    fn end(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it changed something")
    }
}

#[allow(clippy::cast_precision_loss, reason = "no count here is that large")]
async fn change(database: &TestDatabase, stopped: &AtomicBool) -> f64 {
    let intruder = database.intruder().await;
    let write = format!(
        "INSERT INTO changes (revision, position, kind, subject) \
         SELECT revision, position, 'key', encode(sha256((revision * 100 + position)::text::bytea), 'hex') \
         FROM metadata, generate_series(1, {AT_ONCE}) AS position"
    );
    let mut tick = tokio::time::interval(EVERY);
    let (began, mut written) = (Instant::now(), 0_usize);
    while !stopped.load(Ordering::Relaxed) {
        tick.tick().await;
        let transaction = intruder.begin().await.expect("it begins");
        for statement in
            ["UPDATE metadata SET revision = revision + 1", &write, "NOTIFY claviger_changes"]
        {
            transaction.execute_unprepared(statement).await.expect("it is written");
        }
        transaction.commit().await.expect("it is committed");
        written += AT_ONCE;
    }
    written as f64 / began.elapsed().as_secs_f64()
}
