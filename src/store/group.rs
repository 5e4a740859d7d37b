//! Transactions that share a commit.
//!
//! A commit waits for the disk, and most of what is committed is small. So units of work that come while
//! another commit is under way wait for it together, and are then carried out one behind the other in one
//! transaction, each with a savepoint of its own: what one may not do harms no other. (Group commit: "Implementation
//! Techniques for Main Memory Database Systems", SIGMOD 1984, section 5.)

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::ConnectionTrait;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::Instrument;

use super::changes::Change;
use super::transaction::{AsStoreError, Committed, Transaction, UnitOfWork};
use super::{Store, StoreError};
use crate::domain::Revision;

/// How many units of work share a transaction, so that none waits for very many others.
const MAX_GROUP: usize = 64;
/// How many groups are under way at once where there may be several writers.
pub(super) const LANES: usize = 8;

/// Units of work that wait for each other.
#[derive(Debug, Default)]
pub(super) struct Lane {
    waiting: Mutex<VecDeque<Box<dyn Job>>>,
    /// Held by whoever carries some of them out.
    turn: tokio::sync::Mutex<()>,
}

/// A unit of work on its way, whatever its types are.
trait Job: Send + fmt::Debug {
    /// See [`UnitOfWork::group`].
    fn group(&self) -> Option<&str>;

    /// Since when it waits.
    fn since(&self) -> Instant;

    /// Does the work, and keeps what it comes to.
    fn run<'a>(&'a mut self, tx: &'a Transaction) -> BoxFuture<'a, Ran>;

    /// Tells whoever waits what it came to, now that it is committed, or is not.
    fn finish(self: Box<Self>, committed: Result<Option<Revision>, Arc<StoreError>>);

    /// Does it all over again, alone.
    fn alone(self: Box<Self>, store: Arc<Store>) -> BoxFuture<'static, ()>;
}

/// How a unit of work went.
enum Ran {
    /// Well.
    Done,
    /// It may not be done, and nothing of it may stay.
    Refused,
    /// It lost against another transaction; the database may have undone the whole group.
    Lost,
    /// The database failed.
    Failed(Arc<StoreError>),
}

/// How a group went.
enum Outcome {
    /// It was committed, at this revision, or was not, or nobody knows.
    Committed(Result<Option<Revision>, Arc<StoreError>>),
    /// It lost against another transaction, and nothing of it stays.
    Lost,
    /// The database failed at this one, and nothing of it stays.
    Failed(usize, Arc<StoreError>),
}

struct Pending<W: UnitOfWork> {
    work: W,
    since: Instant,
    outcome: Option<Result<W::Output, W::Error>>,
    answer: oneshot::Sender<Result<Committed<W::Output>, W::Error>>,
}

impl<W: UnitOfWork> fmt::Debug for Pending<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("since", &self.since).finish_non_exhaustive()
    }
}

impl<W: UnitOfWork> Job for Pending<W> {
    fn group(&self) -> Option<&str> {
        self.work.group()
    }

    fn since(&self) -> Instant {
        self.since
    }

    fn run<'a>(&'a mut self, tx: &'a Transaction) -> BoxFuture<'a, Ran> {
        let Self { work, outcome, .. } = self;
        let run = async move {
            match work.run(tx).await {
                Ok(output) => {
                    *outcome = Some(Ok(output));
                    Ran::Done
                }
                Err(error) => match error.as_store_error() {
                    Some(lost) if lost.is_conflict() => Ran::Lost,
                    Some(StoreError::Database(failed)) => {
                        Ran::Failed(Arc::new(StoreError::told_to_others(failed)))
                    }
                    _ => {
                        *outcome = Some(Err(error));
                        Ran::Refused
                    }
                },
            }
        };
        run.boxed()
    }

    fn finish(self: Box<Self>, committed: Result<Option<Revision>, Arc<StoreError>>) {
        let outcome = match (self.outcome, committed) {
            // What was refused may have been refused for what others did, and that is not committed either.
            (_, Err(error)) => Err(StoreError::Shared(error).into()),
            (Some(Err(refused)), Ok(_)) => Err(refused),
            (Some(Ok(output)), Ok(revision)) => Ok(Committed { output, revision }),
            (None, Ok(_)) => Err(StoreError::Interrupted.into()),
        };
        // Whoever hung up is not told.
        let _ = self.answer.send(outcome);
    }

    fn alone(self: Box<Self>, store: Arc<Store>) -> BoxFuture<'static, ()> {
        let Self { work, answer, .. } = *self;
        let alone = async move {
            let _ = answer.send(store.alone(&work).await);
        };
        alone.boxed()
    }
}

impl Store {
    /// Carries out a unit of work, together with others that wait.
    pub(super) async fn together<W: UnitOfWork>(
        self: &Arc<Self>,
        lane: usize,
        work: W,
    ) -> Result<Committed<W::Output>, W::Error> {
        let (answer, answered) = oneshot::channel();
        let job = Pending { work, since: Instant::now(), outcome: None, answer };
        let store = Arc::clone(self);
        self.lanes[lane]
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(Box::new(job));
        // Whoever has its turn first carries out what waits by then; the others find nothing left.
        tokio::spawn(async move { store.take_turn(lane).await }.in_current_span());
        answered.await.unwrap_or_else(|_panicked| Err(StoreError::Interrupted.into()))
    }

    async fn take_turn(self: &Arc<Self>, lane: usize) {
        let lane = &self.lanes[lane];
        let turn = lane.turn.lock().await;
        let mut group: Vec<Box<dyn Job>> = {
            let mut waiting = lane.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let count = waiting.len().min(MAX_GROUP);
            waiting.drain(..count).collect()
        };
        // In one order, so that of two groups neither waits for the other. It keeps the order of those
        // that are about the same.
        group.sort_by(|one, other| one.group().cmp(&other.group()));
        let group = self.expire(group);
        if group.is_empty() {
            return;
        }
        let lost = self.carry_out(group).await;
        drop(turn);
        for job in lost {
            tokio::spawn(job.alone(Arc::clone(self)).in_current_span());
        }
    }

    /// Refuses those that waited for half the time that a transaction may wait to begin: what follows takes
    /// its time, too, and those before them are held up by something that will hold them up as well.
    fn expire(&self, group: Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
        let (waited, rest): (Vec<_>, Vec<_>) =
            group.into_iter().partition(|job| job.since().elapsed() >= self.patience / 2);
        finish_all(waited, &Err(Arc::new(StoreError::timed_out())));
        rest
    }

    /// Carries out a group. Returns those that must be begun again, each alone.
    async fn carry_out(&self, mut group: Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
        match self.attempt_group(&mut group).await {
            Outcome::Committed(committed) => {
                finish_all(group, &committed);
                Vec::new()
            }
            Outcome::Lost => group,
            Outcome::Failed(index, error) => {
                // What held this one up is no reason to refuse the others.
                group.remove(index).finish(Err(error));
                group
            }
        }
    }

    async fn attempt_group(&self, group: &mut [Box<dyn Job>]) -> Outcome {
        let tx = match self.begin().await {
            Ok(tx) => tx,
            Err(error) => return Outcome::Committed(Err(Arc::new(error))),
        };
        let is_shared = group.len() > 1;
        let mut changes: Vec<Change> = Vec::new();
        for (index, job) in group.iter_mut().enumerate() {
            if is_shared && savepoint(&tx, "SAVEPOINT work").await.is_err() {
                return Outcome::Lost;
            }
            let ran = job.run(&tx).await;
            let noted = tx.inner.notes.take();
            let end = match ran {
                Ran::Done => {
                    changes.extend(noted);
                    "RELEASE SAVEPOINT work"
                }
                // Of what is refused alone nothing is committed.
                Ran::Refused if !is_shared => return Outcome::Committed(Ok(self.seen_revision())),
                Ran::Refused => "ROLLBACK TO SAVEPOINT work",
                Ran::Lost => return Outcome::Lost,
                Ran::Failed(error) => return Outcome::Failed(index, error),
            };
            if is_shared && savepoint(&tx, end).await.is_err() {
                return Outcome::Lost;
            }
        }
        match self.publish_and_commit(tx, changes).await {
            Ok(revision) => Outcome::Committed(Ok(revision)),
            Err(error) if error.is_conflict() => Outcome::Lost,
            Err(error) => Outcome::Committed(Err(Arc::new(error))),
        }
    }
}

fn finish_all(group: Vec<Box<dyn Job>>, committed: &Result<Option<Revision>, Arc<StoreError>>) {
    for job in group {
        job.finish(committed.clone());
    }
}

async fn savepoint(tx: &Transaction, statement: &str) -> Result<(), StoreError> {
    tx.inner.execute_unprepared(statement).await?;
    Ok(())
}

/// In which lane a unit of work waits: the same one on every server.
pub(super) fn lane_of(group: &str, lanes: usize) -> usize {
    crc32fast::hash(group.as_bytes()) as usize % lanes
}
