//! Members: the people who have something to say in a workspace.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::name::MemberName;
use super::timestamp::Timestamp;

/// A person of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The resource name.
    pub name: MemberName,
    /// How callers name this person.
    pub email: Email,
    /// What they are.
    pub role: Role,
    /// When they were added.
    pub create_time: Timestamp,
}

/// What a person is in a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Owns the account.
    Owner,
    /// Administers the account.
    Admin,
    /// Builds on the API.
    Developer,
    /// Looks, and changes nothing.
    Viewer,
}

/// An e-mail address in lower case: addresses that differ only in the case of their letters name
/// one person, although RFC 5321 would let a mail server tell them apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);

/// A text that is no e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an e-mail address: visible ASCII with one `@`, at most {} characters",
    Email::MAX_LENGTH
)]
pub struct InvalidEmail;

impl Email {
    /// The longest address, in characters (RFC 5321, section 4.5.3.1.3, less the brackets).
    pub const MAX_LENGTH: usize = 254;

    /// The address, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether an address can be reached is for a mail to find out: this only tells addresses from what
/// was meant to be something else.
impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        match text.split_once('@') {
            Some((local, domain))
                if is_visible
                    && text.len() <= Self::MAX_LENGTH
                    && !local.is_empty()
                    && !domain.is_empty()
                    && !domain.contains('@') =>
            {
                Ok(Self(text.to_ascii_lowercase()))
            }
            _ => Err(InvalidEmail),
        }
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_one_person_whatever_its_case() {
        let jane: Email = "Jane@Acme.COM".parse().unwrap();
        assert_eq!(jane, "jane@acme.com".parse().unwrap());
        assert_eq!(jane.to_string(), "jane@acme.com");
        assert_ne!(jane, "jane+keys@acme.com".parse().unwrap());
    }

    #[test]
    fn what_is_no_address_names_nobody() {
        let too_long = format!("{}@acme.com", "j".repeat(Email::MAX_LENGTH));
        for bad in [
            "",
            "@",
            "jane",
            "jane@",
            "@acme.com",
            "jane@acme@com",
            "jane @acme.com",
            " jane@acme.com",
            "jane@acme.com\n",
            "jane@acme.com,bob@acme.com",
            "jane@acme.com\0",
            "jäne@acme.com",
            too_long.as_str(),
        ] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }
}
