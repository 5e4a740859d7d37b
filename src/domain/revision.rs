//! Revisions: how far a database has come.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A state of a database: what was changed, and all that was changed before. Travels as a token that
/// callers keep and do not read (compare the "zookies" of Zanzibar, USENIX ATC 2019, section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Tells this database from every other one.
    pub epoch: Uuid,
    /// How many transactions have changed something.
    pub number: i64,
}

/// A text that is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a revision token, as it was returned by the call that made the change")]
pub struct InvalidRevision;

impl FromStr for Revision {
    type Err = InvalidRevision;

    fn from_str(token: &str) -> Result<Self, InvalidRevision> {
        let (epoch, number) = token.split_once('.').ok_or(InvalidRevision)?;
        let revision = Self {
            epoch: Uuid::try_parse(epoch).map_err(|_| InvalidRevision)?,
            number: number.parse().map_err(|_| InvalidRevision)?,
        };
        // Exactly as it was returned: a token has one spelling.
        if revision.number >= 0 && revision.to_string() == token {
            Ok(revision)
        } else {
            Err(InvalidRevision)
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch.simple(), self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_they_were_written_and_in_no_other_way() {
        for number in [0, 7, i64::MAX] {
            let revision = Revision { epoch: Uuid::from_u128(0xABC), number };
            assert_eq!(revision.to_string().parse(), Ok(revision));
        }
        let epoch = "00000000000000000000000000000abc";
        for bad in ["", ".", "7", &format!("{epoch}."), &format!("{epoch}.-1")] {
            assert_eq!(bad.parse::<Revision>(), Err(InvalidRevision), "{bad}");
        }
        for bad in ["+7", "07", " 7", "7.", "9223372036854775808"] {
            assert!(format!("{epoch}.{bad}").parse::<Revision>().is_err(), "{bad}");
        }
        assert!(format!("{}.7", epoch.to_uppercase()).parse::<Revision>().is_err());
        assert!("00000000-0000-0000-0000-000000000abc.7".parse::<Revision>().is_err());
    }
}
