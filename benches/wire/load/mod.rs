//! A gRPC load generator for benchmarks: one thread, raw HTTP/2 over clear text, every answer checked.
//!
//! A general HTTP/2 client costs more CPU than a fast server. This one writes requests that are encoded
//! beforehand, looks only at the frames of the answers, and so drives a server with less CPU than the
//! server needs.
//!
//! - [`Plan`] says what to ask, how, and for how long; [`Outcome`] what came of it.
//! - [`unary`] makes calls with one message each way; [`stream`] keeps a bidirectional stream open on
//!   each connection.
//! - [`pin_to`] and [`cpu_time_of`] keep loader and server apart, and tell what each costs.
//!
//! Inside, from the outside to the wire: `run` is the event loop and `progress` what the connections share
//! in it; `call` and `exchange` are what one connection does in the two modes, with `bodies` to send
//! and `messages` to put together; `connection` speaks HTTP/2 by means of `frames` and `hpack`.

mod bodies;
mod call;
mod connection;
mod cpu;
mod exchange;
mod frames;
mod histogram;
mod hpack;
mod messages;
mod outcome;
mod plan;
mod progress;
mod run;

pub use self::cpu::{cpu_time_of, pin_to};
pub use self::histogram::Histogram;
pub use self::messages::grpc_frame;
pub use self::outcome::Outcome;
pub use self::plan::{Check, Length, Pick, Plan};
pub use self::run::{stream, unary};
