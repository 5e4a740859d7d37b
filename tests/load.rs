//! The load generator of `benches/wire`, which runs no tests itself.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "only its tests are meant")]

#[path = "../benches/wire/load/mod.rs"]
mod load;
