//! Collects what is wrong with a request, so that a caller learns all of it at once.

use std::fmt::Display;
use std::str::FromStr;

use crate::domain::{DisplayName, RequestsPerHour};
use crate::manage::{Error, Violation};

/// How many violations are collected: more than can be told at once.
const MAX_COLLECTED: usize = 100;

/// The highest rate limit: no machine gets there.
const MAX_REQUESTS_PER_HOUR: u64 = 1_000_000_000_000;

#[derive(Debug, Default)]
pub(super) struct Violations(Vec<Violation>);

impl Violations {
    /// The value, or a violation of this field.
    pub(super) fn note<T, E: Display>(
        &mut self,
        field: impl Into<String>,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.add(field, error)).ok()
    }

    pub(super) fn add(&mut self, field: impl Into<String>, description: impl Display) {
        if self.0.len() < MAX_COLLECTED {
            self.0.push(Violation::new(field, description));
        }
    }

    /// A rate limit; 0 is none.
    pub(super) fn requests_per_hour(
        &mut self,
        field: impl Into<String>,
        limit: i64,
    ) -> Option<RequestsPerHour> {
        let limit = u64::try_from(limit).ok().filter(|limit| *limit <= MAX_REQUESTS_PER_HOUR);
        let limit = limit.ok_or("must lie between 0 and 1,000,000,000,000");
        self.note(field, limit).and_then(RequestsPerHour::new)
    }

    /// The text that `display_name_contains` searches for, if there is one.
    pub(super) fn search_text(&mut self, text: String) -> Option<String> {
        if text.chars().count() > DisplayName::MAX_CHARACTERS {
            let wrong =
                format_args!("must not be longer than {} characters", DisplayName::MAX_CHARACTERS);
            self.add("display_name_contains", wrong);
        }
        (!text.is_empty()).then_some(text)
    }

    /// The items of a repeated field, at most `max`, each parsed. Of too many, none is looked at.
    pub(super) fn parse_all<T>(&mut self, field: &str, items: &[String], max: usize) -> Vec<T>
    where
        T: FromStr<Err: Display>,
    {
        if items.len() > max {
            self.add(field, format_args!("must not have more than {max} items"));
            return Vec::new();
        }
        items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| self.note(format!("{field}[{index}]"), item.parse()))
            .collect()
    }

    /// What was built, if every part of it is there.
    pub(super) fn finish<T>(self, built: Option<T>) -> Result<T, Error> {
        match built {
            Some(built) if self.0.is_empty() => Ok(built),
            _ => Err(Error::Invalid(self.0)),
        }
    }
}
