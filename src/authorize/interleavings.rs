//! The race between look-ups and changes, at every interleaving of their steps.
//!
//! Each actor is a future that gives way between any two steps. A schedule says whose turn it is each
//! time; all of them are tried, one after the other, each from the beginning.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use uuid::Uuid;

use super::cache::{Joined, Landed, Recalled};
use super::entry::Entry;
use super::fixtures::{
    a_tenant, an_empty_catalog, an_entry_within, cache_key, network_set, workspace,
};
use super::memory::Memory;
use crate::domain::{AddressSet, InstanceId, Networks, SecretDigest, Shared};
use crate::store::{Change, Observer};

const NOW: Duration = Duration::from_secs(1);
const KEY: usize = 0;

/// A database of one key in one workspace, and a memory of it.
struct World {
    memory: Memory,
    key_exists: Cell<bool>,
    /// What changes about the workspace.
    instance: RefCell<Option<InstanceId>>,
    /// The revision of the network set that the key refers to, if it refers to one; the first admits everybody.
    network_set: Cell<Option<u128>>,
    /// Whether whoever changes something was told that it is done.
    acknowledged: Cell<bool>,
    /// What somebody learned who asked after that.
    stale: Cell<bool>,
}

/// Whether what somebody learned of the key is from before the change.
type IsStale = fn(Option<&Arc<Entry>>) -> bool;
type Actor = Pin<Box<dyn Future<Output = ()>>>;

/// Gives way to the others, once.
async fn step() {
    let mut gave_way = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl World {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            memory: Memory::new(10),
            key_exists: Cell::new(true),
            instance: RefCell::default(),
            network_set: Cell::new(None),
            acknowledged: Cell::new(false),
            stale: Cell::new(false),
        })
    }

    /// Asks about the key as the engine does, and says what it learned.
    async fn ask(&self) -> Option<Arc<Entry>> {
        let key = cache_key(KEY);
        match self.memory.recall(&key, NOW) {
            Recalled::Known(entry) => return Some(entry),
            Recalled::Unknown => return None,
            Recalled::Nothing => step().await,
        }
        let mut landed = match self.memory.join(key, NOW, Duration::MAX) {
            Joined::UnderWay(landed) => landed,
            Joined::First(ticket, landed) => {
                step().await;
                let key_exists = self.key_exists.get();
                let mut tenant = a_tenant(&an_empty_catalog());
                tenant.instance = self.instance.borrow().clone();
                step().await;
                let tenant = self.memory.registry.tenant(ticket.mark(), tenant);
                step().await;
                let sets = self.read_network_sets(ticket.mark()).await;
                let found: Landed = Ok(key_exists.then(|| an_entry_within(KEY, &tenant, sets)));
                self.memory.land(&ticket, found, NOW);
                landed
            }
        };
        let landed = landed.wait_for(Option::is_some).await.unwrap().clone();
        landed.unwrap().unwrap()
    }

    async fn read_network_sets(&self, mark: u64) -> Vec<Arc<Shared<AddressSet>>> {
        let Some(revision) = self.network_set.get() else { return Vec::new() };
        step().await;
        let (id, registry) = (network_set(), &self.memory.registry);
        let set = registry.network_set(&id, Uuid::from_u128(revision)).unwrap_or_else(|| {
            registry.keep_network_set(mark, &id, Uuid::from_u128(revision), the_set(revision))
        });
        vec![set]
    }

    /// Asks, and if that began after the change was acknowledged, checks what it learned.
    async fn asker(self: Rc<Self>, is_stale: IsStale) {
        let after = self.acknowledged.get();
        let learned = self.ask().await;
        if after && is_stale(learned.as_ref()) {
            self.stale.set(true);
        }
    }

    async fn change(self: Rc<Self>, commit: fn(&Self), change: Change) {
        step().await;
        commit(&self);
        step().await;
        self.memory.changed(&[change]);
        self.acknowledged.set(true);
    }
}

/// Notes that it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs actors by a schedule: the first turns are given, from then on whoever is first. Returns all
/// turns, each with the number of actors among whom it was drawn.
fn run(actors: Vec<Actor>, given: &[usize]) -> Vec<(usize, usize)> {
    let mut actors: Vec<(Actor, Arc<Woken>)> =
        actors.into_iter().map(|actor| (actor, Arc::new(Woken(AtomicBool::new(true))))).collect();
    let mut turns = Vec::new();
    loop {
        let awake: Vec<usize> =
            (0..actors.len()).filter(|one| actors[*one].1.0.load(Ordering::SeqCst)).collect();
        if awake.is_empty() {
            assert!(actors.is_empty(), "somebody waits for ever");
            return turns;
        }
        let turn = given.get(turns.len()).copied().unwrap_or(0);
        turns.push((turn, awake.len()));
        let (actor, woken) = &mut actors[awake[turn]];
        woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(woken));
        if actor.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            drop(actors.remove(awake[turn]));
        }
    }
}

/// Lets two ask while a third one changes something, by every schedule there is. Nobody who begins to ask
/// after the change was acknowledged may learn what is stale.
fn explore(world: fn() -> Rc<World>, commit: fn(&World), change: &Change, is_stale: IsStale) {
    let (mut given, mut schedules) = (Vec::new(), 0);
    loop {
        let world = world();
        let asker = || Box::pin(Rc::clone(&world).asker(is_stale)) as Actor;
        let changer = Box::pin(Rc::clone(&world).change(commit, change.clone()));
        let turns = run(vec![asker(), changer as Actor, asker()], &given);
        schedules += 1;
        // When all is over it is remembered by nobody, either.
        let remembered = match world.memory.recall(&cache_key(KEY), NOW) {
            Recalled::Known(entry) => is_stale(Some(&entry)),
            Recalled::Unknown => is_stale(None),
            Recalled::Nothing => false,
        };
        assert!(!world.stale.get() && !remembered, "the old state was seen: {turns:?}");
        // The next one: the last turn that could have been another's is.
        let Some(last) = turns.iter().rposition(|(turn, among)| turn + 1 < *among) else {
            assert!(schedules > 10_000, "{schedules}");
            return;
        };
        given = turns[..last].iter().map(|(turn, _)| *turn).collect();
        given.push(turns[last].0 + 1);
    }
}

/// What the network set holds at this revision.
fn the_set(revision: u128) -> AddressSet {
    let networks: Networks =
        (revision == 1).then(|| "0.0.0.0/0".parse().unwrap()).into_iter().collect();
    AddressSet::from(&networks)
}

fn the_key() -> Change {
    Change::Key(SecretDigest::of(&KEY.to_le_bytes()))
}

#[test]
fn p1_no_interleaving_of_look_ups_and_a_delete_shows_the_key_afterwards() {
    let delete = |world: &World| world.key_exists.set(false);
    explore(World::new, delete, &the_key(), |learned| learned.is_some());
}

#[test]
fn p1_no_interleaving_of_look_ups_and_an_import_hides_the_key_afterwards() {
    let without = || {
        let world = World::new();
        world.key_exists.set(false);
        world
    };
    let import = |world: &World| world.key_exists.set(true);
    explore(without, import, &the_key(), |learned| learned.is_none());
}

#[test]
fn p1_no_interleaving_of_look_ups_and_a_policy_change_shows_the_old_policy_afterwards() {
    let update = |world: &World| {
        world.instance.replace(Some("eu-01".parse().unwrap()));
    };
    let is_stale = |learned: Option<&Arc<Entry>>| {
        learned.is_some_and(|entry| entry.subject().tenant.instance.is_none())
    };
    explore(World::new, update, &Change::Workspace(workspace()), is_stale);
}

#[test]
fn p1_no_interleaving_of_look_ups_and_a_network_set_admits_who_was_taken_out_of_it() {
    let with_set = || {
        let world = World::new();
        world.network_set.set(Some(1));
        world
    };
    let apply = |world: &World| world.network_set.set(Some(2));
    let is_stale = |learned: Option<&Arc<Entry>>| {
        let key = learned.and_then(|entry| entry.subject().key());
        let origins = key.and_then(|key| key.origins.as_ref());
        origins.is_some_and(|origins| origins.contain([203, 0, 113, 9].into()))
    };
    explore(with_set, apply, &Change::NetworkSet(network_set()), is_stale);
}
