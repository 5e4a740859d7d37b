//! Permissions by name, and grants of them.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a permission: segments of `[a-z0-9_-]+` joined by `.` or `:`, at most 128 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PermissionName(String);

/// A text that is no name of a permission, or no grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPermission {
    /// Not a name.
    #[error(
        "must be segments of a-z, 0-9, `_` and `-`, joined by `.` or `:`, at most 128 characters"
    )]
    Name,
    /// Neither a name nor a pattern.
    #[error("must be the name of a permission, a pattern such as `users.*`, or `*`")]
    Grant,
}

const SEPARATORS: [char; 2] = ['.', ':'];
const MAX_LENGTH: usize = 128;

fn is_name(text: &str) -> bool {
    text.len() <= MAX_LENGTH
        && text.split(SEPARATORS).all(|segment| {
            !segment.is_empty()
                && segment
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
        })
}

impl PermissionName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// So that maps by names can be asked about any text: one that is no name is in none of them.
impl Borrow<str> for PermissionName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PermissionName {
    type Error = InvalidPermission;

    fn try_from(text: String) -> Result<Self, InvalidPermission> {
        if is_name(&text) { Ok(Self(text)) } else { Err(InvalidPermission::Name) }
    }
}

impl FromStr for PermissionName {
    type Err = InvalidPermission;

    fn from_str(text: &str) -> Result<Self, InvalidPermission> {
        Self::try_from(text.to_owned())
    }
}

impl From<PermissionName> for String {
    fn from(name: PermissionName) -> Self {
        name.0
    }
}

impl fmt::Display for PermissionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a key is given: one permission, all below a name, or all. Patterns are kept as such and
/// evaluated against the catalogue as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Grant {
    /// `*`: every permission.
    All,
    /// `users.*`: every permission whose name begins with this, separator included, at any depth.
    Below(String),
    /// `users.track`: this permission.
    Exactly(PermissionName),
}

impl Grant {
    /// Whether this grant, taken alone, gives that permission.
    #[must_use]
    pub fn covers(&self, permission: &PermissionName) -> bool {
        match self {
            Self::All => true,
            Self::Below(prefix) => permission.0.starts_with(prefix.as_str()),
            Self::Exactly(name) => name == permission,
        }
    }

    /// Whether this grant gives everything that the other gives, in any catalogue, now and later.
    #[must_use]
    pub fn covers_grant(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Below(prefix), Self::Below(other)) => other.starts_with(prefix.as_str()),
            (_, Self::Exactly(name)) => self.covers(name),
            (_, Self::All) | (Self::Exactly(_), Self::Below(_)) => false,
        }
    }
}

impl FromStr for Grant {
    type Err = InvalidPermission;

    fn from_str(text: &str) -> Result<Self, InvalidPermission> {
        match text.strip_suffix('*') {
            Some("") => Ok(Self::All),
            Some(prefix) => match prefix.strip_suffix(SEPARATORS) {
                Some(name) if is_name(name) => Ok(Self::Below(prefix.to_owned())),
                _ => Err(InvalidPermission::Grant),
            },
            None => text.parse().map(Self::Exactly).map_err(|_| InvalidPermission::Grant),
        }
    }
}

impl TryFrom<String> for Grant {
    type Error = InvalidPermission;

    fn try_from(text: String) -> Result<Self, InvalidPermission> {
        text.parse()
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Below(prefix) => write!(f, "{prefix}*"),
            Self::Exactly(name) => name.fmt(f),
        }
    }
}

impl From<Grant> for String {
    fn from(grant: Grant) -> Self {
        grant.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns() {
        let longest = "a".repeat(128);
        for name in ["a", "users.track", "accounts:read", "a.b:c-d_e.0", longest.as_str()] {
            assert_eq!(name.parse::<Grant>(), Ok(Grant::Exactly(name.parse().unwrap())));
        }
        for pattern in ["*", "users.*", "accounts:*", "a.b.*"] {
            assert_eq!(pattern.parse::<Grant>().unwrap().to_string(), pattern);
            assert!(pattern.parse::<PermissionName>().is_err());
        }
        let too_long = "a".repeat(129);
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "A",
            "a b",
            "users*",
            "users.*.x",
            "**",
            "*.a",
            ".*",
            "a.**",
            "é",
            "users/track",
            too_long.as_str(),
        ] {
            assert!(bad.parse::<Grant>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pattern_covers_what_is_below_it_at_any_depth() {
        let covers = |grant: &str, name: &str| {
            grant.parse::<Grant>().unwrap().covers(&name.parse().unwrap())
        };
        assert!(covers("*", "users.track"));
        assert!(covers("users.*", "users.track"));
        assert!(covers("users.*", "users.alias.new"));
        assert!(!covers("users.*", "users"));
        assert!(!covers("users.*", "users:track"));
        assert!(!covers("users.*", "users_x.track"));
        assert!(!covers("users.track", "users.track.all"));
    }

    #[test]
    fn covering_a_grant_holds_in_every_catalogue() {
        let covers = |grant: &str, other: &str| {
            grant.parse::<Grant>().unwrap().covers_grant(&other.parse().unwrap())
        };
        for (wide, narrow) in
            [("*", "*"), ("*", "a.*"), ("a.*", "a.b.*"), ("a.*", "a.b"), ("a", "a")]
        {
            assert!(covers(wide, narrow), "{wide} {narrow}");
        }
        for (narrow, wide) in [
            ("a.*", "*"),
            ("a.b.*", "a.*"),
            ("a", "a.*"),
            ("a.*", "a"),
            ("a.*", "ab.*"),
            ("a", "*"),
        ] {
            assert!(!covers(narrow, wide), "{narrow} {wide}");
        }
    }
}
