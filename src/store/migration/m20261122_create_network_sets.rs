//! Network sets, and which keys refer to them.

use sea_orm_migration::prelude::*;

use super::columns::Columns;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[derive(DeriveIden)]
enum NetworkSets {
    Table,
    Id,
    Revision,
    Networks,
    CreateTime,
    UpdateTime,
}

#[derive(DeriveIden)]
enum KeyNetworkSets {
    Table,
    NetworkSetId,
    KeyId,
}

#[derive(DeriveIden)]
enum ApiKeys {
    Table,
    Id,
    NetworkSets,
}

/// Characters of a network set's id.
const ID: u32 = 63;
const BY_KEY: &str = "key_network_sets_by_key";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager).await?;
        manager.create_table(network_sets(columns)).await?;
        manager.create_table(key_network_sets(columns)).await?;
        if !manager.has_index("key_network_sets", BY_KEY).await? {
            manager.create_index(key_network_sets_by_key()).await?;
        }
        let sets = columns.long_text(ApiKeys::NetworkSets);
        Columns::add(manager, ApiKeys::Table, "api_keys", "network_sets", sets).await
    }
}

fn network_sets(columns: Columns) -> TableCreateStatement {
    columns
        .table(NetworkSets::Table)
        .col(columns.text(NetworkSets::Id, ID).not_null().primary_key())
        .col(ColumnDef::new(NetworkSets::Revision).uuid().not_null())
        .col(columns.long_text(NetworkSets::Networks).not_null())
        .col(ColumnDef::new(NetworkSets::CreateTime).big_integer().not_null())
        .col(ColumnDef::new(NetworkSets::UpdateTime).big_integer().not_null())
        .to_owned()
}

fn key_network_sets(columns: Columns) -> TableCreateStatement {
    columns
        .table(KeyNetworkSets::Table)
        .col(columns.text(KeyNetworkSets::NetworkSetId, ID).not_null())
        .col(ColumnDef::new(KeyNetworkSets::KeyId).uuid().not_null())
        .primary_key(Index::create().col(KeyNetworkSets::NetworkSetId).col(KeyNetworkSets::KeyId))
        .foreign_key(
            ForeignKey::create()
                .from(KeyNetworkSets::Table, KeyNetworkSets::NetworkSetId)
                .to(NetworkSets::Table, NetworkSets::Id),
        )
        .foreign_key(
            ForeignKey::create()
                .from(KeyNetworkSets::Table, KeyNetworkSets::KeyId)
                .to(ApiKeys::Table, ApiKeys::Id)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

/// How the references of a key are found that is deleted: not every engine indexes foreign keys.
fn key_network_sets_by_key() -> IndexCreateStatement {
    Index::create().name(BY_KEY).table(KeyNetworkSets::Table).col(KeyNetworkSets::KeyId).to_owned()
}
