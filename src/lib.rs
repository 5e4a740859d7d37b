//! Claviger issues API keys, and decides on every request what they may do.
//!
//! A request flows one way: [`grpc`] takes it from the wire, [`manage`] carries out changes and
//! [`authorize`] finds what a decision needs, both of them on a [`store`], and all of them speak of the
//! things in [`domain`], which knows nobody. [`server`] puts it together; [`cli`], [`config`] and
//! [`telemetry`] are the program around it.

pub mod authorize;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod grpc;
pub mod manage;
pub mod operator_key;
pub mod proto;
pub mod server;
pub mod store;
pub mod telemetry;
