//! Many clients, two servers on one database, and faults at random: whatever happens, no key is allowed
//! that was deleted longer ago than the bound.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use claviger::config::Settings;
use claviger::proto::Reason;
use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use support::builders::{a_key, a_question};
use support::database::{Engine, TestDatabase};
use support::database_server::{DatabaseServer, Proxy};
use support::eventually;
use support::server::TestServer;
use tonic::Code;

/// The bound that the servers are started with.
const MAX_STALENESS: Duration = Duration::from_millis(500);
const CLIENTS: usize = 8;
/// How many steps each client makes.
const STEPS: usize = 250;

/// What a client does next. Numbers choose among what there is, whatever that is by then.
#[derive(Clone, Debug)]
enum Step {
    Create {
        server: usize,
    },
    Delete {
        server: usize,
        key: usize,
    },
    Ask {
        server: usize,
        key: usize,
    },
    /// Cuts a server off from the database, until so many steps later.
    CutOff {
        server: usize,
        steps: usize,
    },
}

fn a_step() -> impl Strategy<Value = Step> {
    let server = 0..2_usize;
    prop_oneof![
        10 => server.clone().prop_map(|server| Step::Create { server }),
        5 => (server.clone(), any::<usize>()).prop_map(|(server, key)| Step::Delete { server, key }),
        84 => (server.clone(), any::<usize>()).prop_map(|(server, key)| Step::Ask { server, key }),
        1 => (server, 8..40_usize).prop_map(|(server, steps)| Step::CutOff { server, steps }),
    ]
}

/// What is known of a key.
#[derive(Clone, Debug)]
struct KnownKey {
    name: String,
    secret: String,
    /// Whether somebody has begun to delete it.
    doomed: bool,
    /// When, and by which server, it was said to be deleted.
    deleted: Option<(Instant, usize)>,
}

struct World {
    servers: [TestServer; 2],
    proxies: [Proxy; 2],
    keys: Mutex<Vec<KnownKey>>,
    steps: AtomicUsize,
    /// Up to which step each server is cut off.
    cut_off: [AtomicUsize; 2],
    allowed: AtomicUsize,
    denied: AtomicUsize,
    unavailable: AtomicUsize,
}

impl World {
    async fn new(database: &DatabaseServer, engine: Engine) -> Self {
        let proxies = [Proxy::to(database.port()).await, Proxy::to(database.port()).await];
        let settings = || Settings {
            max_staleness_milliseconds: Some(u64::try_from(MAX_STALENESS.as_millis()).unwrap()),
            ..Settings::default()
        };
        let at = TestDatabase::at(engine, database.url(proxies[0].port));
        let one = TestServer::start_on(at, Arc::default(), settings()).await;
        one.add_acme().await;
        let url = database.url(proxies[1].port);
        let other = TestServer::beside_by(&one, url, settings()).await;
        Self {
            servers: [one, other],
            proxies,
            keys: Mutex::default(),
            steps: AtomicUsize::new(0),
            cut_off: [AtomicUsize::new(0), AtomicUsize::new(0)],
            allowed: AtomicUsize::new(0),
            denied: AtomicUsize::new(0),
            unavailable: AtomicUsize::new(0),
        }
    }

    async fn make(&self, step: Step) {
        let count = self.steps.fetch_add(1, Ordering::SeqCst);
        for (server, until) in self.cut_off.iter().enumerate() {
            let until = until.load(Ordering::SeqCst);
            if until > 0 && count >= until {
                self.cut_off[server].store(0, Ordering::SeqCst);
                self.proxies[server].set_silent(false);
            }
        }
        match step {
            Step::Create { server } => self.create(server).await,
            Step::Delete { server, key } => self.delete(server, key).await,
            Step::Ask { server, key } => self.ask(server, key).await,
            Step::CutOff { server, steps } => {
                self.cut_off[server].store(count + steps, Ordering::SeqCst);
                self.proxies[server].set_silent(true);
            }
        }
    }

    async fn create(&self, server: usize) {
        let key = a_key("k").permissions(&["users.track"]).build();
        if let Ok(created) =
            self.servers[server].operator().create_key("workspaces/acme", key).await
        {
            let (name, secret) = (created.key.unwrap().name, created.secret);
            let key = KnownKey { name, secret, doomed: false, deleted: None };
            self.keys.lock().unwrap().push(key);
        }
    }

    async fn delete(&self, server: usize, key: usize) {
        let (index, name) = {
            let mut keys = self.keys.lock().unwrap();
            let index = key % keys.len().max(1);
            match keys.get_mut(index).filter(|key| !key.doomed) {
                Some(key) => {
                    key.doomed = true;
                    (index, key.name.clone())
                }
                None => return,
            }
        };
        if self.servers[server].operator().delete_key(&name).await.is_ok() {
            self.keys.lock().unwrap()[index].deleted = Some((Instant::now(), server));
        }
    }

    async fn ask(&self, server: usize, key: usize) {
        let known = {
            let keys = self.keys.lock().unwrap();
            let count = keys.len().max(1);
            keys.get(key % count).cloned()
        };
        let Some(known) = known else { return };
        let began = Instant::now();
        let question = a_question(&known.secret).permission("users.track").build();
        match self.servers[server].operator().authorize(question).await {
            Ok(answer) if answer.allowed => {
                self.allowed.fetch_add(1, Ordering::SeqCst);
                if let Some((deleted, by)) = known.deleted {
                    let bound = if by == server { Duration::ZERO } else { MAX_STALENESS };
                    let late = began.saturating_duration_since(deleted);
                    assert!(late < bound, "allowed {late:?} after it was deleted: {known:?}");
                }
            }
            Ok(answer) => {
                self.denied.fetch_add(1, Ordering::SeqCst);
                assert_eq!(answer.reason(), Reason::KeyUnknown, "{known:?}");
                assert!(known.doomed || self.is_doomed(&known), "a good key is unknown: {known:?}");
            }
            Err(status) => {
                self.unavailable.fetch_add(1, Ordering::SeqCst);
                assert_eq!(status.code(), Code::Unavailable, "{status}");
            }
        }
    }

    fn is_doomed(&self, known: &KnownKey) -> bool {
        self.keys.lock().unwrap().iter().any(|key| key.name == known.name && key.doomed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_p4_no_history_shows_an_allow_after_a_delete_and_the_bound() {
    for engine in [Engine::Postgres, Engine::MariaDb] {
        let mut database = DatabaseServer::new(engine);
        database.start().await;
        let world = Arc::new(World::new(&database, engine).await);
        // The same each time; what the machine makes of it is not.
        let mut runner = TestRunner::deterministic();
        let steps = proptest::collection::vec(a_step(), STEPS);
        let clients = (0..CLIENTS).map(|_| {
            let steps = steps.new_tree(&mut runner).unwrap().current();
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                for step in steps {
                    world.make(step).await;
                }
            })
        });
        for client in join_all(clients.collect::<Vec<_>>()).await {
            client.unwrap();
        }
        // It was no history of one kind only.
        for count in [&world.allowed, &world.denied, &world.unavailable] {
            let count = count.load(Ordering::SeqCst);
            assert!(count > 20, "{engine:?}: {count}");
        }
        // When the faults are over every key is what it should be, on both.
        for proxy in &world.proxies {
            proxy.set_silent(false);
        }
        let keys = world.keys.lock().unwrap().clone();
        for server in &world.servers {
            for key in keys.iter().filter(|key| !key.doomed || key.deleted.is_some()) {
                let allowed = eventually("it answers", || async {
                    let question = a_question(&key.secret).permission("users.track").build();
                    let answer = server.operator().authorize(question).await.ok()?;
                    (answer.allowed == key.deleted.is_none()).then_some(answer.allowed)
                })
                .await;
                assert_eq!(allowed, key.deleted.is_none(), "{engine:?} {key:?}");
            }
        }
    }
}
