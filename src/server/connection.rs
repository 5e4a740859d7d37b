//! One connection.

use std::cell::RefCell;
use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::heard::Heard;
use crate::domain::Credential;
use crate::grpc::{Connection, Replayed};

/// Calls under way on one connection. Clients that want more open another.
const MAX_STREAMS_PER_CONNECTION: u32 = 1_024;
/// Streams that a client opened and reset before they were served, and that were reset for its
/// errors, until its connection is closed (RUSTSEC-2024-0003, "rapid reset").
const MAX_RESET_STREAMS: usize = 64;
/// All headers of a call, in bytes.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// How long a TLS handshake may take, and how long it may take until HTTP/2 is spoken.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// What a client says first, in bytes (RFC 9113, section 3.4).
const PREFACE: usize = 24;
/// How often a silent connection is asked whether it is still there, and how long it may take to answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

/// Serves a connection until its client closes it, or calls under way have ended once it is drained.
pub(super) async fn serve(
    stream: std::net::TcpStream,
    connection: Connection,
    tls: Option<TlsAcceptor>,
    drain: watch::Receiver<bool>,
) -> Ended {
    // Small answers would wait for each other otherwise.
    stream.set_nodelay(true)?;
    let stream = TcpStream::from_std(stream)?;
    match tls {
        None => serve_http2(stream, connection, drain).await,
        Some(tls) => {
            let accepted = timeout(HANDSHAKE_TIMEOUT, tls.accept(stream));
            tokio::select! {
                stream = accepted => serve_http2(stream??, connection, drain).await,
                // It has asked for nothing yet.
                () = begun(drain.clone()) => Ok(()),
            }
        }
    }
}

async fn serve_http2<S>(stream: S, connection: Connection, drain: watch::Receiver<bool>) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let connection = Arc::new(connection);
    let requests = Requests::default();
    let service = {
        let (connection, expected) = (Arc::clone(&connection), Rc::clone(&requests.expected));
        service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Replayed::new);
            let credential = Connection::credential_in(&mut request);
            expected.borrow_mut().extend(credential);
            let connection = Arc::clone(&connection);
            // Run when all requests that came together have come to this point.
            async move {
                Ok::<_, Infallible>(match connection.answer_at_once(request, credential) {
                    Ok(response) => response,
                    Err(request) => Box::pin(connection.answer(request)).await,
                })
            }
        })
    };
    let (interval, answer_within) = KEEPALIVE;
    let (stream, heard) = Heard::new(stream);
    let serving = http2::Builder::new(requests.executor())
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_RESET_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .keep_alive_interval(interval)
        .keep_alive_timeout(answer_within)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = pin!(serving);
    let silent = async {
        sleep(HANDSHAKE_TIMEOUT).await;
        if heard.get() >= PREFACE {
            pending::<()>().await;
        }
    };
    tokio::select! {
        ended = requests.drive(serving.as_mut(), &connection) => return Ok(ended?),
        () = begun(drain) => {}
        () = silent => return Err("the client did not begin to speak HTTP/2".into()),
    }
    if heard.get() < PREFACE {
        return Ok(());
    }
    serving.as_mut().graceful_shutdown();
    Ok(requests.drive(serving, &connection).await?)
}

/// Waits until connections are drained.
async fn begun(mut drain: watch::Receiver<bool>) {
    // Without a sender there is nobody any more who could wait for an end.
    let _ = drain.wait_for(|drain| *drain).await;
}

/// Runs what serves the requests of a connection, on its thread. Most of it never waits: that is run as
/// soon as all requests that came together have been read, no task is made of it, and all answers
/// are written together.
#[derive(Default)]
struct Requests {
    arrived: Rc<RefCell<Vec<Serving>>>,
    /// What they will ask about.
    expected: Rc<RefCell<Vec<Credential>>>,
}

type Serving = Pin<Box<dyn Future<Output = ()>>>;

/// What puts them there. Each holds one itself: were it more than a weak reference, those that are there
/// when a connection ends would hold each other for ever.
#[derive(Clone)]
struct Arrivals(Weak<RefCell<Vec<Serving>>>);

impl<F: Future<Output = ()> + 'static> Executor<F> for Arrivals {
    fn execute(&self, future: F) {
        if let Some(requests) = self.0.upgrade() {
            requests.borrow_mut().push(Box::pin(future));
        }
    }
}

impl Requests {
    fn executor(&self) -> Arrivals {
        Arrivals(Rc::downgrade(&self.arrived))
    }

    /// Drives a connection to its end.
    async fn drive<C: Future>(
        &self,
        mut serving: Pin<&mut C>,
        connection: &Connection,
    ) -> C::Output {
        let mut some = Vec::new();
        poll_fn(|context| {
            loop {
                if let Poll::Ready(ended) = serving.as_mut().poll(context) {
                    return Poll::Ready(ended);
                }
                std::mem::swap(&mut some, &mut *self.arrived.borrow_mut());
                if some.is_empty() {
                    return Poll::Pending;
                }
                let mut expected = self.expected.borrow_mut();
                // One alone would wait as long here.
                if expected.len() > 1 {
                    connection.expect(&expected);
                }
                expected.clear();
                drop(expected);
                some.drain(..).for_each(run);
            }
        })
        .await
    }
}

/// Runs it here if it need not wait, and else as a task.
fn run(mut serving: Serving) {
    // Whatever it would wait for, it asks for again when the task is run.
    let poll = || serving.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    // A panic is the request's own, as it would be in a task; the panic hook has logged where.
    if let Ok(Poll::Pending) = catch_unwind(AssertUnwindSafe(poll)) {
        tokio::task::spawn_local(serving);
    }
}
