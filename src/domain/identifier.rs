//! Identifiers: ids of what a workspace owns, such as apps, segments and campaigns. They are no secrets.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::display_name::DisplayName;
use super::name::IdentifierName;
use super::timestamp::Timestamp;

/// Something that a workspace owns and that its clients' requests refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    /// The resource name; its last part is what requests refer to.
    pub name: IdentifierName,
    /// What kind of thing it identifies.
    pub kind: IdentifierKind,
    /// What people call it.
    pub display_name: DisplayName,
    /// When it was created.
    pub create_time: Timestamp,
}

/// Narrows a list of identifiers; what is set must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentifierFilter {
    /// Of exactly this kind.
    pub kind: Option<IdentifierKind>,
    /// The display name holds this text, ignoring case.
    pub display_name_contains: Option<String>,
}

/// The last part of an identifier's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentifierId(String);

/// A text that is no id of an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {} letters, digits and `-`, `_`, `.`, `:`, `~`", IdentifierId::MAX_LENGTH)]
pub struct InvalidIdentifierId;

impl IdentifierId {
    /// The longest, in characters.
    pub const MAX_LENGTH: usize = 128;

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdentifierId {
    type Err = InvalidIdentifierId;

    fn from_str(text: &str) -> Result<Self, InvalidIdentifierId> {
        let is_id = (1..=Self::MAX_LENGTH).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:~".contains(&byte));
        if is_id { Ok(Self(text.to_owned())) } else { Err(InvalidIdentifierId) }
    }
}

/// A UUID in lower case, with hyphens.
impl From<Uuid> for IdentifierId {
    fn from(id: Uuid) -> Self {
        Self(id.to_string())
    }
}

impl fmt::Display for IdentifierId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of thing an identifier identifies, as in `campaign` or `content_card`: the company's
/// own words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdentifierKind(String);

/// A text that is no kind of identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {} lower-case letters, digits, `_` and `-`", IdentifierKind::MAX_LENGTH)]
pub struct InvalidIdentifierKind;

impl IdentifierKind {
    /// The longest, in characters.
    pub const MAX_LENGTH: usize = 63;

    /// The kind.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdentifierKind {
    type Err = InvalidIdentifierKind;

    fn from_str(text: &str) -> Result<Self, InvalidIdentifierKind> {
        let is_kind = (1..=Self::MAX_LENGTH).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        if is_kind { Ok(Self(text.to_owned())) } else { Err(InvalidIdentifierKind) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_what_may_stand_in_a_path() {
        let longest = "a".repeat(128);
        for id in ["a", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "App_1.x:y~z", &longest] {
            assert_eq!(id.parse::<IdentifierId>().unwrap().as_str(), id);
        }
        let too_long = "a".repeat(129);
        for bad in ["", "a/b", "a b", "é", "a\n", "a%2f", "a\0", &too_long] {
            assert!(bad.parse::<IdentifierId>().is_err(), "{bad:?}");
        }
        for (kind, good) in [("content_card", true), ("", false), ("Canvas", false), ("a b", false)]
        {
            assert_eq!(kind.parse::<IdentifierKind>().is_ok(), good, "{kind}");
        }
    }
}
