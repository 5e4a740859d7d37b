//! The threads that serve connections, one for each core: what a connection needs is where it is, and
//! nothing is handed from core to core.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use super::connection;
use crate::grpc::{Connection, Front};

/// A thread for each core, each with a runtime of its own.
#[derive(Debug)]
pub(super) struct Workers {
    threads: Vec<Worker>,
    drain: watch::Sender<bool>,
    max_connections: usize,
}

#[derive(Debug)]
struct Worker {
    connections: mpsc::UnboundedSender<Accepted>,
    /// How many it serves.
    open: Arc<AtomicUsize>,
    /// Told when it has ended.
    ended: oneshot::Receiver<()>,
}

/// A connection that was accepted, and counts as open until it is dropped.
struct Accepted {
    stream: std::net::TcpStream,
    address: IpAddr,
    open: Open,
}

struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts one worker for each core that this process may use. Of more connections than
    /// `max_connections`, each is closed at once.
    pub(super) fn start(
        front: &Arc<Front>,
        tls: Option<&TlsAcceptor>,
        max_connections: usize,
    ) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let drain = watch::Sender::new(false);
        let threads = (0..cores).map(|core| {
            let (connections, accepted) = mpsc::unbounded_channel();
            let (ending, ended) = oneshot::channel();
            let (front, tls, drain) = (Arc::clone(front), tls.cloned(), drain.subscribe());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            thread::Builder::new().name(format!("connections-{core}")).spawn(move || {
                LocalSet::new().block_on(&runtime, serve_all(accepted, front, tls, drain));
                // Nobody may wait any more.
                let _ = ending.send(());
            })?;
            Ok(Worker { connections, open: Arc::default(), ended })
        });
        let threads = threads.collect::<io::Result<Vec<_>>>()?;
        Ok(Self { threads, drain, max_connections })
    }

    /// Gives a connection to the worker that has the fewest.
    pub(super) fn deal(&self, stream: TcpStream, address: IpAddr) -> io::Result<()> {
        let open = |worker: &Worker| worker.open.load(Ordering::Relaxed);
        if self.threads.iter().map(open).sum::<usize>() >= self.max_connections {
            return Err(io::Error::other("too many connections are open"));
        }
        // A connection belongs to the runtime that it is used on.
        let stream = stream.into_std()?;
        let serving = self.threads.iter().filter(|worker| !worker.connections.is_closed());
        let least = serving.min_by_key(|worker| open(worker));
        let worker = least.ok_or_else(|| io::Error::other("nobody serves connections"))?;
        worker.open.fetch_add(1, Ordering::Relaxed);
        let accepted = Accepted { stream, address, open: Open(Arc::clone(&worker.open)) };
        let gone = |_| io::Error::other("who serves connections is gone");
        worker.connections.send(accepted).map_err(gone)
    }

    /// Lets calls under way end, for so long at the most, and closes all connections. Says whether all
    /// calls ended.
    pub(super) async fn drain(self, timeout: Duration) -> bool {
        let Self { threads, drain, max_connections: _ } = self;
        drain.send_replace(true);
        let ended = threads.into_iter().map(|Worker { connections, open: _, ended }| {
            // There will be no more: it ends with the last one.
            drop(connections);
            ended
        });
        let all = futures_util::future::join_all(ended);
        let in_time = tokio::time::timeout(timeout, all).await.is_ok();
        // Those that go on end when this is gone.
        drop(drain);
        in_time
    }
}

async fn serve_all(
    mut accepted: mpsc::UnboundedReceiver<Accepted>,
    front: Arc<Front>,
    tls: Option<TlsAcceptor>,
    drain: watch::Receiver<bool>,
) {
    let mut told = drain.clone();
    let connections = TaskTracker::new();
    let all = async {
        while let Some(Accepted { stream, address, open }) = accepted.recv().await {
            let connection = Connection::new(Arc::clone(&front), Some(address));
            let (tls, drain) = (tls.clone(), drain.clone());
            connections.spawn_local(async move {
                if let Err(error) = connection::serve(stream, connection, tls, drain).await {
                    tracing::debug!(%error, %address, "a connection ended");
                }
                drop(open);
            });
        }
        connections.close();
        connections.wait().await;
    };
    tokio::select! {
        () = all => {}
        () = closed(&mut told) => {}
    }
}

/// Waits until nobody tells any more whether to drain: the time for it is over.
async fn closed(drain: &mut watch::Receiver<bool>) {
    while drain.changed().await.is_ok() {}
}
