//! Protobuf to domain, and back. Every message is taken apart by its fields, so that a field that is added does
//! not compile until somebody has decided about it.

mod answer;
mod authorize;
mod catalog;
mod identifier;
mod key;
mod member;
mod network_set;
mod view;
mod violations;
mod workspace;

use std::fmt::Display;
use std::str::FromStr;

use prost_types::Timestamp as ProtoTimestamp;

pub(super) use answer::{Answer, ID_LENGTH, encode_answer, encode_item};
pub(super) use authorize::{Asked, asked};
pub(super) use catalog::{apply_catalog, listed_catalog};
pub(super) use identifier::{ListIdentifiers, create_identifier, list_identifiers};
pub(super) use key::{
    CreateKey, ListKeys, clone_key_response, create_key, create_key_response, list_keys, request_id,
};
pub(super) use member::add_member;
pub(super) use network_set::{apply_network_set, listed_network_set};
pub(super) use view::RequestView;
pub(super) use workspace::{create_workspace, create_workspace_response, update_workspace};

use crate::domain::{RequestsPerHour, Revision, Timestamp};
use crate::manage::Violation;

const DEFAULT_PAGE_SIZE: usize = 50;
const MAX_PAGE_SIZE: usize = 1_000;

/// How many to list: 0 is the default, and too many are as many as there may be (AIP-158).
pub(super) fn page_size(requested: i32) -> Result<usize, Violation> {
    match usize::try_from(requested) {
        Ok(0) => Ok(DEFAULT_PAGE_SIZE),
        Ok(size) => Ok(size.min(MAX_PAGE_SIZE)),
        Err(_) => Err(Violation::new("page_size", "must not be negative")),
    }
}

/// A resource name that may be absent; proto3 strings are empty then.
pub(super) fn optional_name<T: FromStr>(name: &str) -> Option<Result<T, T::Err>> {
    (!name.is_empty()).then(|| name.parse())
}

/// A revision, for callers to keep; empty if there is none.
pub(super) fn token(revision: Option<Revision>) -> String {
    revision.map(|revision| revision.to_string()).unwrap_or_default()
}

/// A rate limit; 0 is none.
fn to_proto_limit(limit: Option<RequestsPerHour>) -> i64 {
    limit.map_or(0, |limit| i64::try_from(limit.get()).unwrap_or(i64::MAX))
}

fn to_proto_time(time: Timestamp) -> ProtoTimestamp {
    let micros = time.as_micros();
    ProtoTimestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0),
    }
}

/// An instant, with what is finer than a microsecond cut off.
fn from_proto_time(time: ProtoTimestamp) -> Result<Timestamp, impl Display> {
    let ProtoTimestamp { seconds, nanos } = time;
    let in_range = (0..1_000_000_000).contains(&nanos);
    seconds
        .checked_mul(1_000_000)
        .and_then(|micros| micros.checked_add(i64::from(nanos / 1_000)))
        .and_then(Timestamp::from_micros)
        .filter(|_| in_range)
        .ok_or("must lie between the years 1 and 9999, with 0 to 999,999,999 nanoseconds")
}
