//! The plan: what to ask a server, how, and for how long.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::messages;

/// Whether an answer is good: is given the index in [`Plan::bodies`] of what was asked, and the message of
/// the answer without its five bytes of prefix.
pub type Check = Box<dyn Fn(usize, &[u8]) -> bool>;

/// Which body the next request has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// The first, always.
    First,
    /// One after the other, over all connections, from the first again after the last.
    RoundRobin,
    /// Any, each as likely as the other; the same seed makes the same sequence.
    Random {
        /// The seed.
        seed: u64,
    },
}

/// How long to measure, once warmed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// For this long.
    For(Duration),
    /// Until this many requests have ended. Without a warm-up, exactly so many are made.
    Requests(u64),
}

/// What to ask a server, how, and for how long.
pub struct Plan {
    /// Where the server listens, without TLS.
    pub address: SocketAddr,
    /// The path of the method, `/package.Service/Method`.
    pub path: String,
    /// Headers beyond those that gRPC demands, such as `authorization`. Together at most about 3 KiB:
    /// all must fit the dynamic table of HPACK.
    pub headers: Vec<(String, String)>,
    /// Connections. All are opened before the first request.
    pub connections: usize,
    /// Requests under way on each connection at all times; in a stream, messages not answered yet. The
    /// server's `MAX_CONCURRENT_STREAMS` may hold calls below it: see [`Outcome::most_under_way`].
    ///
    /// [`Outcome::most_under_way`]: super::Outcome::most_under_way
    pub in_flight: usize,
    /// What to send: each one gRPC message with its prefix, as [`grpc_frame`] makes it.
    ///
    /// [`grpc_frame`]: super::grpc_frame
    pub bodies: Vec<Vec<u8>>,
    /// Which of them to send next.
    pub pick: Pick,
    /// How long to ask before measuring. Wrong answers count even then.
    pub warm_up: Duration,
    /// How long to measure.
    pub length: Length,
    /// Which answers are good.
    pub check: Check,
    /// Asks the sockets again and again instead of sleeping until something comes. Keeps the time that the
    /// kernel takes to wake the loader out of the latencies, and one core busy.
    pub spin: bool,
    /// A process on this machine, usually the server, whose CPU time is measured.
    pub observe: Option<u32>,
}

impl Plan {
    /// A plan with the given bodies in turn, one connection with one request under way, 100 ms of warm-up,
    /// one second of measurement, and a check that finds every message good.
    #[must_use]
    pub fn new(address: SocketAddr, path: &str, bodies: Vec<Vec<u8>>) -> Self {
        Self {
            address,
            path: path.to_owned(),
            headers: Vec::new(),
            connections: 1,
            in_flight: 1,
            bodies,
            pick: Pick::RoundRobin,
            warm_up: Duration::from_millis(100),
            length: Length::For(Duration::from_secs(1)),
            check: Box::new(|_, _| true),
            spin: false,
            observe: None,
        }
    }

    /// Refuses what cannot be carried out.
    pub(super) fn validate(&self) -> io::Result<()> {
        let refuse = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        if self.connections == 0 || self.in_flight == 0 || self.bodies.is_empty() {
            return refuse("a plan needs a connection, a request under way and a body");
        }
        if self.in_flight > 1 << 20 || self.bodies.len() > u32::MAX as usize {
            return refuse("too many requests under way, or too many bodies");
        }
        if !self.bodies.iter().all(|body| messages::is_one_message(body)) {
            return refuse(
                "each body must be exactly one uncompressed gRPC message with its prefix",
            );
        }
        Ok(())
    }

    /// All header fields of a request, in the order in which they are sent.
    pub(super) fn fields(&self) -> Vec<(String, String)> {
        let authority = self.address.to_string();
        let fixed = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", &self.path),
            (":authority", &authority),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ];
        let fixed = fixed.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        // HTTP/2 knows no upper case in names.
        let given = self.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone()));
        fixed.chain(given).collect()
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the headers, which hold credentials, nor a million bodies.
        formatter
            .debug_struct("Plan")
            .field("address", &self.address)
            .field("path", &self.path)
            .field("connections", &self.connections)
            .field("in_flight", &self.in_flight)
            .field("bodies", &self.bodies.len())
            .field("pick", &self.pick)
            .field("warm_up", &self.warm_up)
            .field("length", &self.length)
            .field("spin", &self.spin)
            .field("observe", &self.observe)
            .finish_non_exhaustive()
    }
}
