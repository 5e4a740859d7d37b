//! Sealed secrets.

use sea_orm_migration::prelude::*;

use super::columns::Columns;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[derive(DeriveIden)]
enum SealedSecrets {
    Table,
    KeyId,
    WorkspaceId,
    EncryptionKey,
    Nonce,
    Ciphertext,
}

#[derive(DeriveIden)]
enum ApiKeys {
    Table,
    Id,
}

/// Characters of a workspace's id.
const ID: u32 = 63;
const BY_WORKSPACE: &str = "sealed_secrets_by_workspace";
const BY_ENCRYPTION_KEY: &str = "sealed_secrets_by_encryption_key";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager).await?;
        manager.create_table(sealed_secrets(columns)).await?;
        for (name, column) in [
            (BY_WORKSPACE, SealedSecrets::WorkspaceId),
            (BY_ENCRYPTION_KEY, SealedSecrets::EncryptionKey),
        ] {
            if !manager.has_index("sealed_secrets", name).await? {
                let index =
                    Index::create().name(name).table(SealedSecrets::Table).col(column).to_owned();
                manager.create_index(index).await?;
            }
        }
        Ok(())
    }
}

fn sealed_secrets(columns: Columns) -> TableCreateStatement {
    columns
        .table(SealedSecrets::Table)
        .col(ColumnDef::new(SealedSecrets::KeyId).uuid().not_null().primary_key())
        .col(columns.text(SealedSecrets::WorkspaceId, ID).not_null())
        .col(columns.text(SealedSecrets::EncryptionKey, 16).not_null())
        .col(ColumnDef::new(SealedSecrets::Nonce).binary_len(24).not_null())
        // The longest secret, and what authenticates it.
        .col(ColumnDef::new(SealedSecrets::Ciphertext).var_binary(528).not_null())
        .foreign_key(
            ForeignKey::create()
                .from(SealedSecrets::Table, SealedSecrets::KeyId)
                .to(ApiKeys::Table, ApiKeys::Id)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}
