//! Workspaces as decisions need them.

use sea_orm::prelude::*;
use sea_orm::{FromQueryResult, JoinType, QuerySelect, Select};

use super::StoreError;
use super::entity::{catalog, read_json, workspace};
use crate::domain::{CatalogId, InstanceId, Policy};

/// A workspace as a decision on its keys needs it.
#[derive(Clone, Debug)]
pub struct StoredTenant {
    /// The catalogue.
    pub catalog: CatalogId,
    /// The catalogue's revision; `None` for the built-in one, which is not in the database.
    pub catalog_revision: Option<Uuid>,
    /// The instance that it lives on.
    pub instance: Option<InstanceId>,
    /// Its policy.
    pub policy: Policy,
}

/// The columns of [`StoredTenant`], by names that no key has.
#[derive(FromQueryResult)]
pub(super) struct TenantRow {
    catalog_id: String,
    catalog_revision: Option<Uuid>,
    instance: Option<String>,
    policy: String,
}

impl TryFrom<TenantRow> for StoredTenant {
    type Error = StoreError;

    fn try_from(row: TenantRow) -> Result<Self, StoreError> {
        Ok(Self {
            catalog: CatalogId::from_id(&row.catalog_id)
                .map_err(|_| StoreError::Corrupt("workspaces.catalog_id"))?,
            catalog_revision: row.catalog_revision,
            instance: workspace::read_instance(row.instance.as_deref())?,
            policy: read_json("workspaces.policy", &row.policy)?,
        })
    }
}

/// A query of workspaces, joined with their catalogues, that selects a [`TenantRow`] too.
pub(super) fn with_tenant<E: EntityTrait>(query: Select<E>) -> Select<E> {
    let to_catalog = workspace::Entity::belongs_to(catalog::Entity)
        .from(workspace::Column::CatalogId)
        .to(catalog::Column::Id);
    query
        .join(JoinType::LeftJoin, to_catalog.into())
        .column_as(workspace::Column::CatalogId, "catalog_id")
        .column_as(catalog::Column::Revision, "catalog_revision")
        .column_as(workspace::Column::Instance, "instance")
        .column_as(workspace::Column::Policy, "policy")
}
