//! The server: opens the store, listens, serves, drains.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, ServerTlsConfig};

use crate::authorize::{Engine, Follower};
use crate::clock::Clock;
use crate::config::{Config, TlsFiles};
use crate::domain::Vault;
use crate::grpc::{self, GuardLayer, HealthService, Prepared, Readiness};
use crate::manage;
use crate::operator_key::{Handover, Obtained, OperatorKeyError};
use crate::store::{OpenError, Store, StoreError};

/// How often the database is asked whether it still answers, and how long it may take to.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is written when keys were last seen.
const LAST_SEEN_INTERVAL: Duration = Duration::from_secs(10);
/// How long the accept loop rests after an error: with no file descriptor left, trying again at
/// once would only burn the processor.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;
/// Calls under way on one connection. Clients that want more open another.
const MAX_STREAMS_PER_CONNECTION: u32 = 1_024;
/// Streams that a client opened and reset before they were served, and that were reset for its
/// errors, until its connection is closed (RUSTSEC-2024-0003, "rapid reset").
const MAX_RESET_STREAMS: usize = 64;
/// All headers of a call, in bytes.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a silent connection is asked whether it is still there, and how long it may take to answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

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
    Tls(#[from] tonic::transport::Error),
    /// The contract that was compiled in cannot be read.
    #[error(transparent)]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Why a server stops by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The transport failed.
    #[error(transparent)]
    Transport(#[from] tonic::transport::Error),
    /// The database answers now, and the server would not have started on it.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// A server that listens, and serves once it is told to.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    transport: tonic::transport::Server,
    guard: GuardLayer,
    routes: Routes,
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
        let transport = transport(config)?;
        let store = Arc::new(Store::open(&config.database).await?);
        let (socket, address) = bind(config.listen)
            .map_err(|source| StartError::Listen { address: config.listen, source })?;
        let engine = Engine::new(Arc::clone(&store), Arc::clone(&clock), config.memory);
        let engine = Arc::new(engine);
        let mut follower = engine.follower().await?;
        let (readiness, watched) = watch::channel(Readiness::Ready);
        let routes = grpc::routes(
            &store,
            &engine,
            &clock,
            config.instances.clone(),
            &config.vault,
            HealthService::new(watched),
        )?;
        let prepared = Prepared::default();
        let guard = GuardLayer::new(Arc::clone(&engine), config.limits, Arc::clone(&prepared));
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
        Ok(Self {
            listener,
            address,
            transport,
            guard,
            routes,
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
    /// See [`ServeError`].
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
        let readiness = self.readiness.clone();
        let mut monitor = tokio::spawn(watch_database(self.preparation, self.readiness));
        let writer = tokio::spawn(write_last_seen(Arc::clone(&self.engine)));
        let follower = self.follower.map(|follower| tokio::spawn(follower.follow()));
        let incoming =
            TcpIncoming::from(self.listener).with_nodelay(Some(true)).then(rest_on_error);
        let (drain, mut drained) = watch::channel(());
        let until_drain = async move { drained.changed().await.unwrap_or(()) };
        let serving = self.transport.layer(self.guard).serve_with_incoming_shutdown(
            self.routes.prepare(),
            incoming,
            until_drain,
        );
        tokio::pin!(serving);
        let mut failure = Ok(());

        let ended = tokio::select! {
            outcome = &mut serving => Some(outcome.map_err(ServeError::from)),
            () = shutdown => None,
            Ok(error) = &mut monitor => {
                tracing::error!(%error, "the database cannot be served from");
                failure = Err(error.into());
                None
            }
        };
        let outcome = if let Some(outcome) = ended {
            outcome
        } else {
            tracing::info!("shutting down");
            monitor.abort();
            readiness.send_replace(Readiness::Draining);
            drain.send_replace(());
            let drained = tokio::time::timeout(self.drain_timeout, serving).await;
            let drained = drained.unwrap_or_else(|_elapsed| {
                tracing::warn!("calls were still under way when the time to drain was over");
                Ok(())
            });
            failure.and(drained.map_err(ServeError::from))
        };
        monitor.abort();
        writer.abort();
        if let Some(follower) = follower {
            follower.abort();
        }
        self.engine.write_last_seen().await;
        self.store.close().await;
        outcome
    }
}

/// What must be done once before a database can be served from.
#[derive(Debug)]
struct Preparation {
    store: Arc<Store>,
    engine: Arc<Engine>,
    vault: Arc<Vault>,
    handover: Handover,
    clock: Arc<dyn Clock>,
    address: SocketAddr,
    tls: bool,
    /// Also what the guard looks at.
    done: Prepared,
}

impl Preparation {
    /// Brings the tables up to date, and completes the first start if this is one. Does nothing if it
    /// was done.
    async fn prepare(&mut self) -> Result<(), StartError> {
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
    fn may_pass(&self, error: &StartError) -> bool {
        self.store.is_remote()
            && match error {
                StartError::Open(error) => error.is_passing(),
                StartError::Initialize(manage::Error::Store(StoreError::Database(_))) => true,
                _ => false,
            }
    }
}

fn transport(config: &Config) -> Result<tonic::transport::Server, StartError> {
    let (interval, timeout) = KEEPALIVE;
    let mut server = tonic::transport::Server::builder()
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .http2_max_pending_accept_reset_streams(Some(MAX_RESET_STREAMS))
        .http2_max_local_error_reset_streams(Some(MAX_RESET_STREAMS))
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_keepalive_interval(Some(interval))
        .http2_keepalive_timeout(Some(timeout));
    if let Some(TlsFiles { certificate, private_key }) = &config.tls {
        let read = |setting, path: &PathBuf| {
            std::fs::read(path).map_err(|source| StartError::TlsFile {
                setting,
                path: path.clone(),
                source,
            })
        };
        let identity = Identity::from_pem(
            read("tls-certificate-file", certificate)?,
            read("tls-private-key-file", private_key)?,
        );
        server = server
            .tls_config(ServerTlsConfig::new().identity(identity).timeout(HANDSHAKE_TIMEOUT))?;
    }
    Ok(server)
}

fn bind(address: SocketAddr) -> io::Result<(TcpSocket, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // So that a restart need not wait for the connections of the last run to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

async fn rest_on_error<T>(accepted: io::Result<T>) -> io::Result<T> {
    if let Err(error) = &accepted {
        tracing::warn!(%error, "a connection was not accepted");
        tokio::time::sleep(ACCEPT_BACKOFF).await;
    }
    accepted
}

/// Writes when keys were last seen, from time to time.
async fn write_last_seen(engine: Arc<Engine>) {
    let mut ticks = tokio::time::interval(LAST_SEEN_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        engine.write_last_seen().await;
    }
}

/// Follows whether the database answers, and prepares it once it does. Ends if it cannot be served
/// from, whatever the time brings.
async fn watch_database(
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

/// Learns what has changed so far, if somebody else may have changed something.
async fn catch_up(follower: Option<&mut Follower>) {
    let Some(follower) = follower else { return };
    if let Err(error) = follower.catch_up().await {
        tracing::debug!(%error, "what other servers change cannot be read yet");
    }
}
