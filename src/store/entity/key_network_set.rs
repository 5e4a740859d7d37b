//! `key_network_sets`: which keys refer to a network set, so that a set in use is found without
//! reading every key. The keys' own rows say the same.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "key_network_sets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub network_set_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_id: Uuid,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
