//! The data plane: finds the key that a question is about, and decides.

mod caller;
mod engine;
mod last_seen;
mod rate_limit;

pub use caller::AuthenticateError;
pub use engine::Engine;
