//! What must be done before a database can be served from, and whether it still can be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::StartError;
use crate::authorize::Engine;
use crate::clock::Clock;
use crate::domain::Vault;
use crate::grpc::{Prepared, Readiness};
use crate::manage;
use crate::operator_key::{Handover, Obtained, OperatorKeyError};
use crate::store::{Store, StoreError};

/// How often the database is asked whether it still answers, and how long it may take to.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// What must be done once before a database can be served from.
#[derive(Debug)]
pub(super) struct Preparation {
    pub(super) store: Arc<Store>,
    pub(super) engine: Arc<Engine>,
    pub(super) vault: Arc<Vault>,
    pub(super) handover: Handover,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) address: SocketAddr,
    pub(super) tls: bool,
    /// Also what the guard looks at.
    pub(super) done: Prepared,
}

impl Preparation {
    /// Brings the tables up to date, and completes the first start if this is one. Does nothing if it
    /// was done.
    pub(super) async fn prepare(&mut self) -> Result<(), StartError> {
        if self.done.load(Ordering::Acquire) {
            return Ok(());
        }
        self.store.migrate().await?;
        manage::check_vault(&self.store, &self.vault).await?;
        let initialized = manage::is_initialized(&self.store).await;
        if !initialized.map_err(manage::Error::from)? {
            self.first_start().await?;
        }
        // What changes nothing that is remembered counts at the revision that was seen last.
        self.store.read_revision().await.map_err(manage::Error::from)?;
        self.done.store(true, Ordering::Release);
        Ok(())
    }

    /// Makes the operator key and hands it over.
    async fn first_start(&self) -> Result<(), StartError> {
        let Obtained { secret, written } = self.handover.obtain()?;
        if manage::initialize(&self.store, self.clock.as_ref(), secret.clone()).await? {
            match &self.handover {
                Handover::Person(show) => show(&secret, self.address, self.tls),
                Handover::File(path) => {
                    tracing::info!(file = %path.display(), "first start: the operator key is in this file");
                }
            }
            return Ok(());
        }
        // Another server was faster. Its operator key is the one, unless both read the same file.
        let digest = secret.digest();
        let known = self.store.keys().find_by_digest(&digest).await.map_err(manage::Error::from)?;
        if let (None, Some(path)) = (known, written) {
            std::fs::remove_file(&path).map_err(|source| OperatorKeyError::Io { path, source })?;
        }
        Ok(())
    }

    /// Whether what went wrong may pass by itself: a database server comes and goes, a file does
    /// not.
    pub(super) fn may_pass(&self, error: &StartError) -> bool {
        self.store.is_remote()
            && match error {
                StartError::Open(error) => error.is_passing(),
                StartError::Initialize(manage::Error::Store(StoreError::Database(_))) => true,
                _ => false,
            }
    }
}

/// Follows whether the database answers, and prepares it once it does. Ends if it cannot be served
/// from, whatever the time brings.
pub(super) async fn watch_database(
    mut preparation: Preparation,
    readiness: watch::Sender<Readiness>,
) -> StartError {
    let mut ticks = tokio::time::interval(HEALTH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut said = None;
        let now = match probe(&mut preparation).await {
            Ok(()) => Readiness::Ready,
            // Its encryption keys are not the ones: it must seal nothing with them.
            Err(Unready::Database(
                error @ StartError::Initialize(manage::Error::Precondition(_)),
            )) => return error,
            Err(error) => {
                tracing::debug!(%error, "not ready");
                said = Some(error);
                Readiness::NotReady
            }
        };
        let changed = readiness.send_if_modified(|before| {
            // Nothing follows the last word.
            let changes = *before != now && *before != Readiness::Draining;
            if changes {
                *before = now;
            }
            changes
        });
        match (changed, now) {
            (true, Readiness::Ready) => tracing::info!("ready: the database answers"),
            (true, _) => {
                let error = said.map(tracing::field::display);
                tracing::error!(error, "not ready");
            }
            (false, _) => {}
        }
    }
}

async fn probe(preparation: &mut Preparation) -> Result<(), Unready> {
    preparation.prepare().await?;
    let answered = manage::is_initialized(&preparation.store).await;
    answered.map_err(|error| StartError::from(manage::Error::from(error)))?;
    if preparation.engine.is_current() { Ok(()) } else { Err(Unready::Behind) }
}

/// Why a server is not ready, for now.
#[derive(Debug, thiserror::Error)]
enum Unready {
    #[error(transparent)]
    Database(#[from] StartError),
    #[error("what other servers change is not known")]
    Behind,
}
