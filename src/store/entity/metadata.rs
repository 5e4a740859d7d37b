//! `metadata`: one row, written when the first start is completed.

use sea_orm::entity::prelude::*;

/// The id of the only row.
pub(in crate::store) const ONLY: i32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "metadata")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// Tells this database from every other one.
    pub epoch: Uuid,
    pub create_time: i64,
    /// Grows by one with every transaction that changes what servers may remember, and is locked from
    /// then until that ends: whoever sees a revision sees all before it.
    pub revision: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
