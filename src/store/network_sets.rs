//! Network sets.

use sea_orm::prelude::*;
use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, EntityTrait, JoinType, QueryOrder, QuerySelect,
};

use super::entity::{api_key, key_network_set, network_set, read_json, read_time, write_json};
use super::{Change, StoreError, Writer};
use crate::domain::{KeyName, NetworkSet, NetworkSetId, Timestamp, WorkspaceId};

/// The network sets.
#[derive(Debug)]
pub struct NetworkSets<'c, C>(pub(super) &'c C);

/// A network set as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNetworkSet {
    /// The set.
    pub set: NetworkSet,
    /// Changes with every change of the networks, and is never used twice.
    pub revision: Uuid,
}

fn read_id(id: &str) -> Result<NetworkSetId, StoreError> {
    NetworkSetId::from_id(id).map_err(|_| StoreError::Corrupt("network_sets.id"))
}

impl TryFrom<network_set::Model> for StoredNetworkSet {
    type Error = StoreError;

    fn try_from(row: network_set::Model) -> Result<Self, StoreError> {
        Ok(Self {
            set: NetworkSet {
                id: read_id(&row.id)?,
                networks: read_json("network_sets.networks", &row.networks)?,
                create_time: read_time("network_sets.create_time", row.create_time)?,
                update_time: read_time("network_sets.update_time", row.update_time)?,
            },
            revision: row.revision,
        })
    }
}

fn among(ids: &[NetworkSetId]) -> Condition {
    Condition::all().add(network_set::Column::Id.is_in(ids.iter().map(NetworkSetId::as_str)))
}

impl<C: ConnectionTrait> NetworkSets<'_, C> {
    /// The set of this id.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn find(&self, id: &NetworkSetId) -> Result<Option<StoredNetworkSet>, StoreError> {
        let row = network_set::Entity::find_by_id(id.as_str()).one(self.0).await?;
        row.map(StoredNetworkSet::try_from).transpose()
    }

    /// The revisions of those of these sets that there are.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn revisions(
        &self,
        ids: &[NetworkSetId],
    ) -> Result<Vec<(NetworkSetId, Uuid)>, StoreError> {
        let rows: Vec<(String, Uuid)> = network_set::Entity::find()
            .select_only()
            .columns([network_set::Column::Id, network_set::Column::Revision])
            .filter(among(ids))
            .into_tuple()
            .all(self.0)
            .await?;
        rows.into_iter().map(|(id, revision)| Ok((read_id(&id)?, revision))).collect()
    }

    /// At most `limit` sets behind this one, in the order of their ids: id, first and last
    /// application.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn list(
        &self,
        after: Option<&NetworkSetId>,
        limit: u64,
    ) -> Result<Vec<(NetworkSetId, Timestamp, Timestamp)>, StoreError> {
        let behind = after.map(|after| network_set::Column::Id.gt(after.as_str()));
        let rows: Vec<(String, i64, i64)> = network_set::Entity::find()
            .select_only()
            .columns([
                network_set::Column::Id,
                network_set::Column::CreateTime,
                network_set::Column::UpdateTime,
            ])
            .filter(Condition::all().add_option(behind))
            .order_by_asc(network_set::Column::Id)
            .limit(limit)
            .into_tuple()
            .all(self.0)
            .await?;
        rows.into_iter()
            .map(|(id, create_time, update_time)| {
                Ok((
                    read_id(&id)?,
                    read_time("network_sets.create_time", create_time)?,
                    read_time("network_sets.update_time", update_time)?,
                ))
            })
            .collect()
    }
}

impl NetworkSets<'_, Writer> {
    /// The set of this id, locked against changes until the transaction ends.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn lock(&self, id: &NetworkSetId) -> Result<Option<StoredNetworkSet>, StoreError> {
        let row = network_set::Entity::find_by_id(id.as_str()).lock_exclusive().one(self.0).await?;
        row.map(StoredNetworkSet::try_from).transpose()
    }

    /// Those of these sets that there are, kept from going until the transaction ends.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn keep(&self, ids: &[NetworkSetId]) -> Result<Vec<NetworkSetId>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<String> = network_set::Entity::find()
            .select_only()
            .column(network_set::Column::Id)
            .filter(among(ids))
            // In one order, so that of two transactions neither waits for the other.
            .order_by_asc(network_set::Column::Id)
            .lock_shared()
            .into_tuple()
            .all(self.0)
            .await?;
        rows.iter().map(|id| read_id(id)).collect()
    }

    /// A key that refers to this set.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn find_user(&self, id: &NetworkSetId) -> Result<Option<KeyName>, StoreError> {
        let to_key = key_network_set::Entity::belongs_to(api_key::Entity)
            .from(key_network_set::Column::KeyId)
            .to(api_key::Column::Id);
        let row: Option<(Uuid, String)> = key_network_set::Entity::find()
            .select_only()
            .column(api_key::Column::Id)
            .column(api_key::Column::WorkspaceId)
            .join(JoinType::InnerJoin, to_key.into())
            .filter(key_network_set::Column::NetworkSetId.eq(id.as_str()))
            .limit(1)
            .into_tuple()
            .one(self.0)
            .await?;
        row.map(|(id, workspace)| {
            let workspace = WorkspaceId::from_id(&workspace)
                .map_err(|_| StoreError::Corrupt("api_keys.workspace_id"))?;
            Ok(KeyName { workspace, id })
        })
        .transpose()
    }

    /// Adds a set.
    ///
    /// # Errors
    /// If the database cannot be written, or holds a set of this id.
    pub async fn insert(&self, stored: &StoredNetworkSet) -> Result<(), StoreError> {
        network_set::Entity::insert(row(stored)?).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// Replaces a set.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn update(&self, stored: &StoredNetworkSet) -> Result<(), StoreError> {
        self.0.note(Change::NetworkSet(stored.set.id.clone()));
        network_set::Entity::update_many()
            .set(row(stored)?)
            .filter(network_set::Column::Id.eq(stored.set.id.as_str()))
            .exec(self.0)
            .await?;
        Ok(())
    }

    /// Removes a set, which no key may refer to any more.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn delete(&self, id: &NetworkSetId) -> Result<(), StoreError> {
        self.0.note(Change::NetworkSet(id.clone()));
        network_set::Entity::delete_by_id(id.as_str()).exec(self.0).await?;
        Ok(())
    }
}

fn row(stored: &StoredNetworkSet) -> Result<network_set::ActiveModel, StoreError> {
    let StoredNetworkSet { set, revision } = stored;
    let NetworkSet { id, networks, create_time, update_time } = set;
    Ok(network_set::ActiveModel {
        id: Set(id.as_str().to_owned()),
        revision: Set(*revision),
        networks: Set(write_json("network_sets.networks", networks)?),
        create_time: Set(create_time.as_micros()),
        update_time: Set(update_time.as_micros()),
    })
}
