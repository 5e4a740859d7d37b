//! The first tables.

use sea_orm_migration::prelude::*;

use super::columns::Columns;

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
        let columns = Columns::of(manager).await?;
        for table in [metadata, catalogs, workspaces, api_keys, key_requests] {
            manager.create_table(table(columns)).await?;
        }
        for (table, name, index) in [
            ("workspaces", WORKSPACES_BY_CATALOG, workspaces_by_catalog()),
            ("api_keys", API_KEYS_BY_WORKSPACE, api_keys_by_workspace()),
        ] {
            if !manager.has_index(table, name).await? {
                manager.create_index(index).await?;
            }
        }
        Ok(())
    }
}

fn metadata(columns: Columns) -> TableCreateStatement {
    columns
        .table(Metadata::Table)
        .col(ColumnDef::new(Metadata::Id).integer().not_null().primary_key())
        .col(ColumnDef::new(Metadata::Epoch).uuid().not_null())
        .col(ColumnDef::new(Metadata::CreateTime).big_integer().not_null())
        .to_owned()
}

fn catalogs(columns: Columns) -> TableCreateStatement {
    columns
        .table(Catalogs::Table)
        .col(columns.text(Catalogs::Id, ID).not_null().primary_key())
        .col(ColumnDef::new(Catalogs::Revision).uuid().not_null())
        .col(columns.long_text(Catalogs::Permissions).not_null())
        .col(ColumnDef::new(Catalogs::CreateTime).big_integer().not_null())
        .col(ColumnDef::new(Catalogs::UpdateTime).big_integer().not_null())
        .to_owned()
}

/// `catalog_id` is no foreign key: the built-in catalogue is in the program, not in the database.
fn workspaces(columns: Columns) -> TableCreateStatement {
    columns
        .table(Workspaces::Table)
        .col(columns.text(Workspaces::Id, ID).not_null().primary_key())
        .col(columns.text(Workspaces::DisplayName, DISPLAY_NAME).not_null())
        .col(columns.text(Workspaces::CatalogId, ID).not_null())
        .col(columns.long_text(Workspaces::Policy).not_null())
        .col(ColumnDef::new(Workspaces::CreateTime).big_integer().not_null())
        .col(ColumnDef::new(Workspaces::UpdateTime).big_integer().not_null())
        .to_owned()
}

fn api_keys(columns: Columns) -> TableCreateStatement {
    columns
        .table(ApiKeys::Table)
        .col(ColumnDef::new(ApiKeys::Id).uuid().not_null().primary_key())
        .col(columns.text(ApiKeys::WorkspaceId, ID).not_null())
        .col(ColumnDef::new(ApiKeys::Digest).binary_len(32).not_null().unique_key())
        .col(columns.text(ApiKeys::DisplayName, DISPLAY_NAME).not_null())
        .col(columns.text(ApiKeys::DisplayNameFolded, FOLDED_DISPLAY_NAME).not_null())
        .col(columns.text(ApiKeys::Hint, 32).not_null())
        .col(columns.long_text(ApiKeys::Permissions).not_null())
        .col(columns.long_text(ApiKeys::AllowedIps).not_null())
        .col(columns.long_text(ApiKeys::WorkspaceScope).not_null())
        .col(columns.text(ApiKeys::CreatedBy, DISPLAY_NAME))
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

fn key_requests(columns: Columns) -> TableCreateStatement {
    columns
        .table(KeyRequests::Table)
        .col(columns.text(KeyRequests::WorkspaceId, ID).not_null())
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

const WORKSPACES_BY_CATALOG: &str = "workspaces_by_catalog";
const API_KEYS_BY_WORKSPACE: &str = "api_keys_by_workspace";

fn workspaces_by_catalog() -> IndexCreateStatement {
    Index::create()
        .name(WORKSPACES_BY_CATALOG)
        .table(Workspaces::Table)
        .col(Workspaces::CatalogId)
        .to_owned()
}

/// The order of `ListKeys`.
fn api_keys_by_workspace() -> IndexCreateStatement {
    Index::create()
        .name(API_KEYS_BY_WORKSPACE)
        .table(ApiKeys::Table)
        .col(ApiKeys::WorkspaceId)
        .col(ApiKeys::CreateTime)
        .col(ApiKeys::Id)
        .to_owned()
}
