//! The tables, row by row, and how a row becomes what it stands for.
//!
//! Times are microseconds since the Unix epoch, which every engine keeps exactly. Lists are JSON in
//! a text column: they are read and written whole.

#![allow(unreachable_pub, reason = "the derived entities want public items")]

pub(super) mod api_key;
pub(super) mod catalog;
pub(super) mod change;
pub(super) mod identifier;
pub(super) mod key_network_set;
pub(super) mod key_request;
pub(super) mod member;
pub(super) mod metadata;
pub(super) mod network_set;
pub(super) mod sealed_secret;
pub(super) mod workspace;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;
use crate::domain::Timestamp;

pub(super) fn read_json<T: DeserializeOwned>(
    column: &'static str,
    text: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt(column))
}

pub(super) fn write_json<T: Serialize>(
    column: &'static str,
    value: &T,
) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Corrupt(column))
}

/// A value that is one word, as in `admin`.
pub(super) fn read_word<T: DeserializeOwned>(
    column: &'static str,
    word: &str,
) -> Result<T, StoreError> {
    serde_json::from_value(word.into()).map_err(|_| StoreError::Corrupt(column))
}

pub(super) fn write_word<T: Serialize>(
    column: &'static str,
    value: &T,
) -> Result<String, StoreError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        _ => Err(StoreError::Corrupt(column)),
    }
}

pub(super) fn read_time(column: &'static str, micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_micros(micros).ok_or(StoreError::Corrupt(column))
}
