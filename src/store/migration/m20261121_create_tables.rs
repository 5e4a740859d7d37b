//! The first tables.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[derive(DeriveIden)]
enum Metadata {
    Table,
    Id,
    Epoch,
    CreateTime,
}

#[derive(DeriveIden)]
enum Catalogs {
    Table,
    Id,
    Revision,
    Permissions,
    CreateTime,
    UpdateTime,
}

#[derive(DeriveIden)]
enum Workspaces {
    Table,
    Id,
    DisplayName,
    CatalogId,
    Policy,
    CreateTime,
    UpdateTime,
}

#[derive(DeriveIden)]
enum ApiKeys {
    Table,
    Id,
    WorkspaceId,
    Digest,
    DisplayName,
    DisplayNameFolded,
    Hint,
    Permissions,
    AllowedIps,
    WorkspaceScope,
    CreatedBy,
    CreateTime,
    LastSeenTime,
    ExpireTime,
}

#[derive(DeriveIden)]
enum KeyRequests {
    Table,
    WorkspaceId,
    RequestId,
    Fingerprint,
    KeyId,
    CreateTime,
}

/// Characters of a workspace's or a catalogue's id.
const ID: u32 = 63;
/// Characters of a display name.
const DISPLAY_NAME: u32 = 128;
/// Folding the case of one character gives at most three.
const FOLDED_DISPLAY_NAME: u32 = 3 * DISPLAY_NAME;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [metadata(), catalogs(), workspaces(), api_keys(), key_requests()] {
            manager.create_table(table).await?;
        }
        for index in [workspaces_by_catalog(), api_keys_by_workspace()] {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

fn metadata() -> TableCreateStatement {
    Table::create()
        .table(Metadata::Table)
        .if_not_exists()
        .col(ColumnDef::new(Metadata::Id).integer().not_null().primary_key())
        .col(ColumnDef::new(Metadata::Epoch).uuid().not_null())
        .col(ColumnDef::new(Metadata::CreateTime).big_integer().not_null())
        .to_owned()
}

fn catalogs() -> TableCreateStatement {
    Table::create()
        .table(Catalogs::Table)
        .if_not_exists()
        .col(ColumnDef::new(Catalogs::Id).string_len(ID).not_null().primary_key())
        .col(ColumnDef::new(Catalogs::Revision).uuid().not_null())
        .col(ColumnDef::new(Catalogs::Permissions).text().not_null())
        .col(ColumnDef::new(Catalogs::CreateTime).big_integer().not_null())
        .col(ColumnDef::new(Catalogs::UpdateTime).big_integer().not_null())
        .to_owned()
}

/// `catalog_id` is no foreign key: the built-in catalogue is in the program, not in the database.
fn workspaces() -> TableCreateStatement {
    Table::create()
        .table(Workspaces::Table)
        .if_not_exists()
        .col(ColumnDef::new(Workspaces::Id).string_len(ID).not_null().primary_key())
        .col(ColumnDef::new(Workspaces::DisplayName).string_len(DISPLAY_NAME).not_null())
        .col(ColumnDef::new(Workspaces::CatalogId).string_len(ID).not_null())
        .col(ColumnDef::new(Workspaces::Policy).text().not_null())
        .col(ColumnDef::new(Workspaces::CreateTime).big_integer().not_null())
        .col(ColumnDef::new(Workspaces::UpdateTime).big_integer().not_null())
        .to_owned()
}

fn api_keys() -> TableCreateStatement {
    Table::create()
        .table(ApiKeys::Table)
        .if_not_exists()
        .col(ColumnDef::new(ApiKeys::Id).uuid().not_null().primary_key())
        .col(ColumnDef::new(ApiKeys::WorkspaceId).string_len(ID).not_null())
        .col(ColumnDef::new(ApiKeys::Digest).binary_len(32).not_null().unique_key())
        .col(ColumnDef::new(ApiKeys::DisplayName).string_len(DISPLAY_NAME).not_null())
        .col(ColumnDef::new(ApiKeys::DisplayNameFolded).string_len(FOLDED_DISPLAY_NAME).not_null())
        .col(ColumnDef::new(ApiKeys::Hint).string_len(32).not_null())
        .col(ColumnDef::new(ApiKeys::Permissions).text().not_null())
        .col(ColumnDef::new(ApiKeys::AllowedIps).text().not_null())
        .col(ColumnDef::new(ApiKeys::WorkspaceScope).text().not_null())
        .col(ColumnDef::new(ApiKeys::CreatedBy).string_len(DISPLAY_NAME))
        .col(ColumnDef::new(ApiKeys::CreateTime).big_integer().not_null())
        .col(ColumnDef::new(ApiKeys::LastSeenTime).big_integer())
        .col(ColumnDef::new(ApiKeys::ExpireTime).big_integer())
        .foreign_key(
            ForeignKey::create()
                .from(ApiKeys::Table, ApiKeys::WorkspaceId)
                .to(Workspaces::Table, Workspaces::Id),
        )
        .to_owned()
}

fn key_requests() -> TableCreateStatement {
    Table::create()
        .table(KeyRequests::Table)
        .if_not_exists()
        .col(ColumnDef::new(KeyRequests::WorkspaceId).string_len(ID).not_null())
        .col(ColumnDef::new(KeyRequests::RequestId).uuid().not_null())
        .col(ColumnDef::new(KeyRequests::Fingerprint).binary_len(32).not_null())
        .col(ColumnDef::new(KeyRequests::KeyId).uuid().not_null())
        .col(ColumnDef::new(KeyRequests::CreateTime).big_integer().not_null())
        .primary_key(Index::create().col(KeyRequests::WorkspaceId).col(KeyRequests::RequestId))
        .foreign_key(
            ForeignKey::create()
                .from(KeyRequests::Table, KeyRequests::WorkspaceId)
                .to(Workspaces::Table, Workspaces::Id),
        )
        .to_owned()
}

fn workspaces_by_catalog() -> IndexCreateStatement {
    Index::create()
        .name("workspaces_by_catalog")
        .table(Workspaces::Table)
        .if_not_exists()
        .col(Workspaces::CatalogId)
        .to_owned()
}

/// The order of `ListKeys`.
fn api_keys_by_workspace() -> IndexCreateStatement {
    Index::create()
        .name("api_keys_by_workspace")
        .table(ApiKeys::Table)
        .if_not_exists()
        .col(ApiKeys::WorkspaceId)
        .col(ApiKeys::CreateTime)
        .col(ApiKeys::Id)
        .to_owned()
}
