//! Parses arguments, runs, and says how it ended.

use std::process::ExitCode;

use clap::Parser;
use claviger::cli::Cli;
use mimalloc::MiMalloc;

/// Every request makes and drops some small values. This allocator takes half the time of the C
/// library's for that.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("claviger: {error}");
            ExitCode::FAILURE
        }
    }
}
