//! Bad input, and what it gets: each row is made over the wire, and code, reason and field are
//! compared. A fault of the caller is an error; a fault of the subject is an answer.

#![allow(clippy::too_many_lines, clippy::large_stack_arrays, reason = "tables are long")]

#[path = "../support/mod.rs"]
mod support;

mod authorize;
mod catalogs;
mod documented;
mod identifiers;
mod keys;
mod lists;
mod transport;
mod workspaces;

use support::status::{fields, reason};
use tonic::{Code, Status};

/// What an error must say.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    code: Code,
    reason: String,
    fields: Vec<String>,
}

/// An error that names these fields.
fn invalid(fields: &[&str]) -> Refusal {
    let fields = fields.iter().map(ToString::to_string).collect();
    Refusal { code: Code::InvalidArgument, reason: "INVALID_FIELD".to_owned(), fields }
}

/// An error that names no field.
fn refused(code: Code, reason: &str) -> Refusal {
    Refusal { code, reason: reason.to_owned(), fields: Vec::new() }
}

/// Compares what a call came to with what it must be.
#[track_caller]
fn assert_refused<T: std::fmt::Debug>(row: &str, result: Result<T, Status>, expected: &Refusal) {
    let status = result.expect_err(row);
    let said = Refusal { code: status.code(), reason: reason(&status), fields: fields(&status) };
    assert_eq!(said, *expected, "{row}: {}", status.message());
    assert!(!status.message().is_empty(), "{row}");
}
