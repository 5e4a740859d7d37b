//! `changes`: what changed at which revision, until every server has long known.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use crate::domain::SecretDigest;
use crate::store::Change;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "changes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i64,
    /// Of several at one revision.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    pub kind: String,
    pub subject: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

const KEY: &str = "key";
const PUBLIC_KEY: &str = "public_key";
const WORKSPACE: &str = "workspace";
const CATALOG: &str = "catalog";
const NETWORK_SET: &str = "network_set";
const ALL: &str = "all";

/// What a server of a later version wrote, and this one does not know, may be anything.
impl From<&Model> for Change {
    fn from(row: &Model) -> Self {
        let subject = row.subject.as_str();
        let known = match row.kind.as_str() {
            KEY => SecretDigest::from_hex(subject).map(Self::Key),
            PUBLIC_KEY => subject.parse().map(Self::PublicKey).ok(),
            WORKSPACE => subject.parse().map(Self::Workspace).ok(),
            CATALOG => subject.parse().map(Self::Catalog).ok(),
            NETWORK_SET => subject.parse().map(Self::NetworkSet).ok(),
            _ => None,
        };
        known.unwrap_or(Self::All)
    }
}

/// The row of a change, one of several at this revision.
pub(in crate::store) fn row(revision: i64, position: usize, change: &Change) -> ActiveModel {
    let (kind, subject) = match change {
        Change::Key(digest) => (KEY, digest.to_hex()),
        Change::PublicKey(key) => (PUBLIC_KEY, key.to_string()),
        Change::Workspace(id) => (WORKSPACE, id.to_string()),
        Change::Catalog(id) => (CATALOG, id.to_string()),
        Change::NetworkSet(id) => (NETWORK_SET, id.to_string()),
        Change::All => (ALL, String::new()),
    };
    ActiveModel {
        revision: Set(revision),
        position: Set(i32::try_from(position).unwrap_or(i32::MAX)),
        kind: Set(kind.to_owned()),
        subject: Set(subject),
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::TryIntoModel;

    use super::*;
    use crate::domain::{CatalogId, NetworkSetId, WorkspaceId};

    #[test]
    fn changes_are_read_as_they_were_written_and_unknown_ones_may_be_anything() {
        let written = |change: &Change| row(1, 0, change).try_into_model().unwrap();
        for change in [
            Change::Key(SecretDigest::of(b"some secret")),
            Change::PublicKey("AbC123".parse().unwrap()),
            Change::Workspace(WorkspaceId::from_id("acme").unwrap()),
            Change::Catalog(CatalogId::from_id("braze").unwrap()),
            Change::NetworkSet(NetworkSetId::from_id(&"n".repeat(63)).unwrap()),
            Change::All,
        ] {
            assert_eq!(Change::from(&written(&change)), change);
        }
        let known = written(&Change::Key(SecretDigest::of(b"some secret")));
        for (kind, subject) in
            [("member", known.subject.as_str()), ("key", "0g"), ("key", ""), ("workspace", "acme")]
        {
            let (kind, subject) = (kind.to_owned(), subject.to_owned());
            let unknown = Model { kind, subject, ..known.clone() };
            assert_eq!(Change::from(&unknown), Change::All, "{unknown:?}");
        }
    }
}
