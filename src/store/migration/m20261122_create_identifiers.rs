//! Identifiers.

use sea_orm_migration::prelude::*;

use super::columns::Columns;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[derive(DeriveIden)]
enum Identifiers {
    Table,
    WorkspaceId,
    Id,
    Kind,
    DisplayName,
    DisplayNameFolded,
    CreateTime,
}

#[derive(DeriveIden)]
enum Workspaces {
    Table,
    Id,
}

/// Characters of a workspace's id, and of a kind.
const ID: u32 = 63;
/// Characters of an identifier's id.
const IDENTIFIER_ID: u32 = 128;
/// Characters of a display name.
const DISPLAY_NAME: u32 = 128;
/// Folding the case of one character gives at most three.
const FOLDED_DISPLAY_NAME: u32 = 3 * DISPLAY_NAME;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager).await?;
        let table = columns
            .table(Identifiers::Table)
            .col(columns.text(Identifiers::WorkspaceId, ID).not_null())
            .col(columns.text(Identifiers::Id, IDENTIFIER_ID).not_null())
            .col(columns.text(Identifiers::Kind, ID).not_null())
            .col(columns.text(Identifiers::DisplayName, DISPLAY_NAME).not_null())
            .col(columns.text(Identifiers::DisplayNameFolded, FOLDED_DISPLAY_NAME).not_null())
            .col(ColumnDef::new(Identifiers::CreateTime).big_integer().not_null())
            .primary_key(Index::create().col(Identifiers::WorkspaceId).col(Identifiers::Id))
            .foreign_key(
                ForeignKey::create()
                    .from(Identifiers::Table, Identifiers::WorkspaceId)
                    .to(Workspaces::Table, Workspaces::Id),
            )
            .to_owned();
        manager.create_table(table).await
    }
}
