//! Catalogues.

use sea_orm::prelude::*;
use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, EntityTrait, FromQueryResult, QueryOrder,
    QuerySelect,
};

use super::entity::{catalog, read_json, read_time, write_json};
use super::{Change, StoreError, Writer};
use crate::domain::{Catalog, CatalogId, Permission, Timestamp};

/// The catalogues. The built-in one is not among them.
#[derive(Debug)]
pub struct Catalogs<'c, C>(pub(super) &'c C);

/// A catalogue as it is kept.
#[derive(Clone, Debug)]
pub struct StoredCatalog {
    /// Its id.
    pub id: CatalogId,
    /// Changes with every change of the permissions, and is never used twice.
    pub revision: Uuid,
    /// Its permissions, ready for decisions.
    pub catalog: Catalog,
    /// When it was first applied.
    pub create_time: Timestamp,
    /// When it was last applied.
    pub update_time: Timestamp,
}

impl TryFrom<catalog::Model> for StoredCatalog {
    type Error = StoreError;

    fn try_from(row: catalog::Model) -> Result<Self, StoreError> {
        let permissions: Vec<Permission> = read_json("catalogs.permissions", &row.permissions)?;
        Ok(Self {
            id: CatalogId::from_id(&row.id).map_err(|_| StoreError::Corrupt("catalogs.id"))?,
            revision: row.revision,
            catalog: Catalog::new(permissions)
                .map_err(|_| StoreError::Corrupt("catalogs.permissions"))?,
            create_time: read_time("catalogs.create_time", row.create_time)?,
            update_time: read_time("catalogs.update_time", row.update_time)?,
        })
    }
}

/// The columns of a list: not the permissions.
#[derive(FromQueryResult)]
struct Listed {
    id: String,
    create_time: i64,
    update_time: i64,
}

impl<C: ConnectionTrait> Catalogs<'_, C> {
    /// The catalogue of this id.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn find(&self, id: &CatalogId) -> Result<Option<StoredCatalog>, StoreError> {
        let row = catalog::Entity::find_by_id(id.as_str()).one(self.0).await?;
        row.map(StoredCatalog::try_from).transpose()
    }

    /// At most `limit` catalogues behind this one, in the order of their ids: id, first and last
    /// application.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn list(
        &self,
        after: Option<&CatalogId>,
        limit: u64,
    ) -> Result<Vec<(CatalogId, Timestamp, Timestamp)>, StoreError> {
        let rows = catalog::Entity::find()
            .select_only()
            .columns([
                catalog::Column::Id,
                catalog::Column::CreateTime,
                catalog::Column::UpdateTime,
            ])
            .filter(
                Condition::all()
                    .add_option(after.map(|after| catalog::Column::Id.gt(after.as_str()))),
            )
            .order_by_asc(catalog::Column::Id)
            .limit(limit)
            .into_model::<Listed>()
            .all(self.0)
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok((
                    CatalogId::from_id(&row.id).map_err(|_| StoreError::Corrupt("catalogs.id"))?,
                    read_time("catalogs.create_time", row.create_time)?,
                    read_time("catalogs.update_time", row.update_time)?,
                ))
            })
            .collect()
    }
}

impl Catalogs<'_, Writer> {
    /// The catalogue of this id, locked against changes until the transaction ends: what is granted
    /// from it now is not removed meanwhile.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn lock(&self, id: &CatalogId) -> Result<Option<StoredCatalog>, StoreError> {
        let row = catalog::Entity::find_by_id(id.as_str()).lock_exclusive().one(self.0).await?;
        row.map(StoredCatalog::try_from).transpose()
    }

    /// Keeps the catalogue from changing until the transaction ends.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn keep(&self, id: &CatalogId) -> Result<(), StoreError> {
        catalog::Entity::find_by_id(id.as_str())
            .select_only()
            .column(catalog::Column::Id)
            .lock_shared()
            .into_tuple::<String>()
            .one(self.0)
            .await?;
        Ok(())
    }

    /// Adds a catalogue.
    ///
    /// # Errors
    /// If the database cannot be written, or holds a catalogue of this id.
    pub async fn insert(&self, stored: &StoredCatalog) -> Result<(), StoreError> {
        catalog::Entity::insert(row(stored)?).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// Replaces a catalogue.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn update(&self, stored: &StoredCatalog) -> Result<(), StoreError> {
        self.0.note(Change::Catalog(stored.id.clone()));
        catalog::Entity::update_many()
            .set(row(stored)?)
            .filter(catalog::Column::Id.eq(stored.id.as_str()))
            .exec(self.0)
            .await?;
        Ok(())
    }

    /// Removes a catalogue, which no workspace may use any more.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn delete(&self, id: &CatalogId) -> Result<(), StoreError> {
        self.0.note(Change::Catalog(id.clone()));
        catalog::Entity::delete_by_id(id.as_str()).exec(self.0).await?;
        Ok(())
    }
}

fn row(stored: &StoredCatalog) -> Result<catalog::ActiveModel, StoreError> {
    let StoredCatalog { id, revision, catalog, create_time, update_time } = stored;
    Ok(catalog::ActiveModel {
        id: Set(id.as_str().to_owned()),
        revision: Set(*revision),
        permissions: Set(write_json("catalogs.permissions", &catalog.permissions())?),
        create_time: Set(create_time.as_micros()),
        update_time: Set(update_time.as_micros()),
    })
}
