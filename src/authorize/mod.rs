//! The data plane: finds the key that a question is about, and decides.

mod cache;
mod caller;
mod engine;
mod entry;
mod feed;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod interleavings;
mod last_seen;
mod lease;
mod lookup;
mod memory;
mod rate_limit;
mod registry;

pub use caller::{AuthenticateError, CallerMemo};
pub use engine::{Consistency, Engine, FindError, Found, MemoryLimits};
pub use feed::Follower;
