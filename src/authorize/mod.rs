//! The data plane: finds the key that a question is about.

mod caller;
mod engine;

pub use caller::AuthenticateError;
pub use engine::Engine;
