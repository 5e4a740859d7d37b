//! Revisions, and the changes that servers on one database tell each other.

use sea_orm_migration::prelude::*;

use super::columns::Columns;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[derive(DeriveIden)]
enum Metadata {
    Table,
    Revision,
}

#[derive(DeriveIden)]
enum Changes {
    Table,
    Revision,
    Position,
    Kind,
    Subject,
}

/// Characters of what a change is about: the name of a network set is the longest.
const SUBJECT: u32 = 80;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager).await?;
        let mut revision = ColumnDef::new(Metadata::Revision);
        revision.big_integer().not_null().default(0);
        Columns::add(manager, Metadata::Table, "metadata", "revision", revision).await?;
        let changes = columns
            .table(Changes::Table)
            .col(ColumnDef::new(Changes::Revision).big_integer().not_null())
            .col(ColumnDef::new(Changes::Position).integer().not_null())
            .col(columns.text(Changes::Kind, 16).not_null())
            .col(columns.text(Changes::Subject, SUBJECT).not_null())
            .primary_key(Index::create().col(Changes::Revision).col(Changes::Position))
            .to_owned();
        manager.create_table(changes).await
    }
}
