//! Resource names (AIP-122).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::identifier::IdentifierId;

/// A name that is not of the form it should be. The name itself is not repeated: what was sent by
/// mistake may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {expected}")]
pub struct InvalidName {
    expected: &'static str,
}

/// The longest id of a workspace or a catalogue, in characters (RFC 1034 labels, AIP-122).
const MAX_ID: usize = 63;

fn is_resource_id(id: &str) -> bool {
    let bytes = id.as_bytes();
    bytes.len() <= MAX_ID
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.last().is_some_and(|last| *last != b'-')
        && bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

macro_rules! resource_id {
    ($(#[$doc:meta])* $type:ident, $collection:literal, $id:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The id, the last part of the resource name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The id in a whole resource name, where it stands.
            ///
            /// # Errors
            /// If it is no such name.
            pub fn id_in(name: &str) -> Result<&str, InvalidName> {
                name.strip_prefix(concat!($collection, "/"))
                    .filter(|id| is_resource_id(id))
                    .ok_or(InvalidName { expected: concat!("`", $collection, "/{", $id, "}`") })
            }

            /// Parses the last part of a resource name.
            ///
            /// # Errors
            /// Unless it is 1 to 63 lower-case letters, digits and hyphens, the first a letter and
            /// the last not a hyphen.
            pub fn from_id(id: &str) -> Result<Self, InvalidName> {
                if is_resource_id(id) {
                    Ok(Self(id.to_owned()))
                } else {
                    Err(InvalidName {
                        expected: "1 to 63 lower-case letters, digits and hyphens, \
                                   the first a letter, the last not a hyphen",
                    })
                }
            }
        }

        /// Parses the whole resource name.
        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(name: &str) -> Result<Self, InvalidName> {
                Self::id_in(name).map(|id| Self(id.to_owned()))
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;

            fn try_from(id: String) -> Result<Self, InvalidName> {
                Self::from_id(&id)
            }
        }

        impl From<$type> for String {
            fn from(id: $type) -> Self {
                id.0
            }
        }

        /// Prints the whole resource name.
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($collection, "/{}"), self.0)
            }
        }
    };
}

resource_id! {
    /// A workspace, `workspaces/{workspace}`.
    WorkspaceId, "workspaces", "workspace"
}

resource_id! {
    /// A catalogue, `catalogs/{catalog}`.
    CatalogId, "catalogs", "catalog"
}

resource_id! {
    /// A network set, `networkSets/{network_set}`.
    NetworkSetId, "networkSets", "network_set"
}

/// Kinds of which Claviger has one of its own.
macro_rules! reserved_id {
    ($type:ident) => {
        impl $type {
            /// The id that is reserved for Claviger's own.
            pub const RESERVED: &'static str = "claviger";

            /// The reserved one.
            #[must_use]
            pub fn reserved() -> Self {
                Self(Self::RESERVED.to_owned())
            }

            /// Whether this is the reserved one.
            #[must_use]
            pub fn is_reserved(&self) -> bool {
                self.0 == Self::RESERVED
            }
        }
    };
}

reserved_id!(WorkspaceId);
reserved_id!(CatalogId);

macro_rules! child_name {
    ($(#[$doc:meta])* $type:ident, $collection:literal, $child:literal, $id:ty, $parse:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $type {
            /// The workspace that it belongs to.
            pub workspace: WorkspaceId,
            /// The last part of the name.
            pub id: $id,
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(name: &str) -> Result<Self, InvalidName> {
                let parse = || {
                    let (workspace, child) = name.strip_prefix("workspaces/")?.split_once('/')?;
                    Some(Self {
                        workspace: WorkspaceId::from_id(workspace).ok()?,
                        id: $parse(child.strip_prefix(concat!($collection, "/"))?)?,
                    })
                };
                parse().ok_or(InvalidName {
                    expected: concat!("`workspaces/{workspace}/", $collection, "/{", $child, "}`"),
                })
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{}/", $collection, "/{}"), self.workspace, self.id)
            }
        }
    };
}

child_name! {
    /// A key, `workspaces/{workspace}/keys/{key}`. Its id is a UUID of version 7.
    KeyName, "keys", "key", Uuid, parse_uuid
}

child_name! {
    /// A member, `workspaces/{workspace}/members/{member}`. Their id is a UUID of version 7.
    MemberName, "members", "member", Uuid, parse_uuid
}

child_name! {
    /// An identifier, `workspaces/{workspace}/identifiers/{identifier}`.
    IdentifierName, "identifiers", "identifier", IdentifierId, parse_identifier
}

fn parse_identifier(id: &str) -> Option<IdentifierId> {
    id.parse().ok()
}

/// Reads a UUID as Claviger writes them, in lower case with hyphens: a resource has one name
/// only.
pub(crate) fn parse_uuid(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    let mut canonical = Uuid::encode_buffer();
    (id.hyphenated().encode_lower(&mut canonical) == text).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        let name = "workspaces/acme-2/keys/0198a1b2-0000-7000-8000-00000000000a";
        assert_eq!(name.parse::<KeyName>().unwrap().to_string(), name);
        for other in [
            "",
            "workspaces/acme",
            "workspaces/acme/keys/",
            "workspaces//keys/0198a1b2-0000-7000-8000-00000000000a",
            "workspaces/Acme/keys/0198a1b2-0000-7000-8000-00000000000a",
            "workspaces/acme/keys/0198A1B2-0000-7000-8000-00000000000A",
            "workspaces/acme/keys/0198a1b2000070008000000000000a",
            "workspaces/acme/keys/{0198a1b2-0000-7000-8000-00000000000a}",
            "workspaces/acme/keys/0198a1b2-0000-7000-8000-00000000000a/",
            "/workspaces/acme/keys/0198a1b2-0000-7000-8000-00000000000a",
        ] {
            assert!(other.parse::<KeyName>().is_err(), "{other}");
        }
    }

    #[test]
    fn ids_follow_aip_122() {
        let longest = format!("a{}", "b".repeat(62));
        for id in ["a", "a1", "a-1", longest.as_str()] {
            assert_eq!(WorkspaceId::from_id(id).unwrap().as_str(), id);
        }
        let too_long = format!("a{}", "b".repeat(63));
        for id in ["", "1a", "-a", "a-", "A", "a_b", "a.b", "a b", "é", "a\n", too_long.as_str()] {
            assert!(WorkspaceId::from_id(id).is_err(), "{id:?}");
        }
    }
}
