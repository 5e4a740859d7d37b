//! Members, and room for their addresses where it is said who created a key.

use sea_orm_migration::prelude::*;

use super::columns::Columns;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[derive(DeriveIden)]
enum Members {
    Table,
    Id,
    WorkspaceId,
    Email,
    Role,
    CreateTime,
}

#[derive(DeriveIden)]
enum Workspaces {
    Table,
    Id,
}

#[derive(DeriveIden)]
enum ApiKeys {
    Table,
    CreatedBy,
}

/// Characters of a workspace's id.
const ID: u32 = 63;
/// Characters of an e-mail address.
const EMAIL: u32 = 254;
const MEMBERS_BY_EMAIL: &str = "members_by_email";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager).await?;
        manager.create_table(members(columns)).await?;
        if !manager.has_index("members", MEMBERS_BY_EMAIL).await? {
            manager.create_index(members_by_email()).await?;
        }
        columns.widen(manager, ApiKeys::Table, ApiKeys::CreatedBy, EMAIL).await
    }
}

fn members(columns: Columns) -> TableCreateStatement {
    columns
        .table(Members::Table)
        .col(ColumnDef::new(Members::Id).uuid().not_null().primary_key())
        .col(columns.text(Members::WorkspaceId, ID).not_null())
        .col(columns.text(Members::Email, EMAIL).not_null())
        .col(columns.text(Members::Role, 16).not_null())
        .col(ColumnDef::new(Members::CreateTime).big_integer().not_null())
        .foreign_key(
            ForeignKey::create()
                .from(Members::Table, Members::WorkspaceId)
                .to(Workspaces::Table, Workspaces::Id),
        )
        .to_owned()
}

/// The order of `ListMembers`, and what makes an address name one person.
fn members_by_email() -> IndexCreateStatement {
    Index::create()
        .name(MEMBERS_BY_EMAIL)
        .table(Members::Table)
        .col(Members::WorkspaceId)
        .col(Members::Email)
        .unique()
        .to_owned()
}
