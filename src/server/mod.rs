//! The server: opens the store, listens, serves, drains.

mod connection;
mod heard;
mod preparation;
mod tls;
mod workers;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::authorize::{Engine, Follower};
use crate::clock::Clock;
use crate::config::Config;
use crate::grpc::{self, Prepared, Readiness};
use crate::manage;
use crate::operator_key::{Handover, OperatorKeyError};
use crate::store::{OpenError, Store};

pub use tls::TlsError;

use preparation::{Preparation, watch_database};
use workers::Workers;

/// How often it is written when keys were last seen.
const LAST_SEEN_INTERVAL: Duration = Duration::from_secs(10);
/// Of how many keys at the most each time; of more, each in its turn. Each is a page of its own to the
/// database: ten thousand would take an eighth of a core all the time.
const MAX_SEEN_AT_ONCE: usize = 2_000;
/// How long that may take when the server goes down.
const LAST_WRITE: Duration = Duration::from_secs(5);
/// How long the accept loop rests after an error: with no file descriptor left, trying again at
/// once would only burn the processor.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The operator key cannot be read or written.
    #[error(transparent)]
    OperatorKey(#[from] OperatorKeyError),
    /// The first start could not be completed, or the encryption keys are not the ones.
    #[error(transparent)]
    Initialize(#[from] manage::Error),
    /// The address cannot be listened on.
    #[error("--listen {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file of the certificate cannot be read.
    #[error("--{setting}: cannot read {}: {source}", path.display())]
    TlsFile {
        /// The name of the setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The certificate cannot be used.
    #[error("the TLS certificate cannot be used: {0}")]
    Tls(#[from] TlsError),
    /// The threads that serve connections cannot be started.
    #[error("cannot start a thread for each core: {0}")]
    Threads(io::Error),
    /// The contract that was compiled in cannot be read.
    #[error(transparent)]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A server that listens, and serves once it is told to.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    workers: Workers,
    store: Arc<Store>,
    engine: Arc<Engine>,
    /// Where other servers may use the same database.
    follower: Option<Follower>,
    readiness: watch::Sender<Readiness>,
    drain_timeout: Duration,
    preparation: Preparation,
}

impl Server {
    /// Opens the store, hands over the operator key if this is the first start, and listens.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(
        config: &Config,
        handover: &Handover,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let store = Arc::new(Store::open(&config.database).await?);
        let (socket, address) = bind(config.listen)
            .map_err(|source| StartError::Listen { address: config.listen, source })?;
        let engine = Engine::new(Arc::clone(&store), Arc::clone(&clock), config.memory);
        let engine = Arc::new(engine);
        let mut follower = engine.follower().await?;
        let (readiness, watched) = watch::channel(Readiness::Ready);
        let prepared = Prepared::default();
        let front = grpc::front(grpc::Parts {
            store: Arc::clone(&store),
            engine: Arc::clone(&engine),
            clock: Arc::clone(&clock),
            instances: config.instances.clone(),
            vault: Arc::clone(&config.vault),
            readiness: watched,
            limits: config.limits,
            prepared: Arc::clone(&prepared),
        })?;
        let drain_timeout = config.drain_timeout;

        let mut preparation = Preparation {
            store: Arc::clone(&store),
            engine: Arc::clone(&engine),
            vault: Arc::clone(&config.vault),
            handover: handover.clone(),
            clock,
            address,
            tls: config.tls.is_some(),
            done: prepared,
        };
        match preparation.prepare().await {
            Err(error) if !preparation.may_pass(&error) => return Err(error),
            Err(error) => {
                tracing::error!(%error, "not ready: the database does not answer yet");
                readiness.send_replace(Readiness::NotReady);
            }
            // So that the first calls need not wait for it.
            Ok(()) => catch_up(follower.as_mut()).await,
        }
        // Only now: who finds the port open finds the operator key in its place, too.
        let listener =
            socket.listen(BACKLOG).map_err(|source| StartError::Listen { address, source })?;
        let workers = Workers::start(&Arc::new(front), tls.as_ref(), config.limits.max_connections);
        Ok(Self {
            listener,
            address,
            workers: workers.map_err(StartError::Threads)?,
            store,
            engine,
            follower,
            readiness,
            drain_timeout,
            preparation,
        })
    }

    /// Where it listens: the port is the real one where the configuration said 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then says that it is not ready, lets calls under way end, and closes
    /// the store.
    ///
    /// # Errors
    /// If the database answers at last, and the server would not have started on it.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), StartError> {
        let readiness = self.readiness.clone();
        let mut monitor = tokio::spawn(watch_database(self.preparation, self.readiness));
        let writer = tokio::spawn(write_last_seen(Arc::clone(&self.engine)));
        let follower = self.follower.map(|follower| tokio::spawn(follower.follow()));

        let outcome = tokio::select! {
            () = accept(&self.listener, &self.workers) => Ok(()),
            () = shutdown => Ok(()),
            Ok(error) = &mut monitor => {
                tracing::error!(%error, "the database cannot be served from");
                Err(error)
            }
        };
        tracing::info!("shutting down");
        drop(self.listener);
        monitor.abort();
        readiness.send_replace(Readiness::Draining);
        if !self.workers.drain(self.drain_timeout).await {
            tracing::warn!("calls were still under way when the time to drain was over");
        }
        writer.abort();
        if let Some(follower) = follower {
            follower.abort();
        }
        let last_write = self.engine.write_last_seen(usize::MAX);
        if tokio::time::timeout(LAST_WRITE, last_write).await.is_err() {
            tracing::warn!("of some keys it was not written when they were last seen");
        }
        self.store.close().await;
        outcome
    }
}

/// Accepts connections and deals them out, for ever.
async fn accept(listener: &TcpListener, workers: &Workers) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // However many come, the log is not full of them.
                if let Err(error) = workers.deal(stream, address.ip()) {
                    tracing::debug!(%error, %address, "a connection was closed at once");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<(TcpSocket, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // So that a restart need not wait for the connections of the last run to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// Writes when keys were last seen, from time to time.
async fn write_last_seen(engine: Arc<Engine>) {
    let mut ticks = tokio::time::interval(LAST_SEEN_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        engine.write_last_seen(MAX_SEEN_AT_ONCE).await;
    }
}

/// Learns what has changed so far, if somebody else may have changed something.
async fn catch_up(follower: Option<&mut Follower>) {
    let Some(follower) = follower else { return };
    if let Err(error) = follower.catch_up().await {
        tracing::debug!(%error, "what other servers change cannot be read yet");
    }
}
