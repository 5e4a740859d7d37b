//! Claviger: issues API keys, and decides on every request what they may do.
pub mod domain;
pub mod proto;
pub mod store;
