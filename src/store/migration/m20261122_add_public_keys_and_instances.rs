//! Public keys, also for the workspaces that are there, and the instances that workspaces live on.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, FromQueryResult};
use sea_orm_migration::prelude::*;

use super::columns::Columns;
use crate::domain::{PublicKey, WorkspaceId};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[derive(DeriveIden)]
enum Workspaces {
    Table,
    Id,
    Instance,
    PublicKey,
}

#[derive(FromQueryResult)]
struct WithoutPublicKey {
    id: String,
}

/// Characters of an instance's name.
const INSTANCE: u32 = 128;
const WORKSPACES_BY_PUBLIC_KEY: &str = "workspaces_by_public_key";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager).await?;
        let instance = columns.text(Workspaces::Instance, INSTANCE);
        Columns::add(manager, Workspaces::Table, "workspaces", "instance", instance).await?;
        let public_key = columns.text(Workspaces::PublicKey, 6);
        Columns::add(manager, Workspaces::Table, "workspaces", "public_key", public_key).await?;
        if !manager.has_index("workspaces", WORKSPACES_BY_PUBLIC_KEY).await? {
            let index = Index::create()
                .name(WORKSPACES_BY_PUBLIC_KEY)
                .table(Workspaces::Table)
                .col(Workspaces::PublicKey)
                .unique()
                .to_owned();
            manager.create_index(index).await?;
        }
        give_public_keys(manager).await
    }
}

/// Every workspace but the reserved one has a public key.
async fn give_public_keys(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let without = Query::select()
        .column(Workspaces::Id)
        .from(Workspaces::Table)
        .and_where(Expr::col(Workspaces::PublicKey).is_null())
        .and_where(Expr::col(Workspaces::Id).ne(WorkspaceId::RESERVED))
        .to_owned();
    let mut given = HashSet::new();
    for row in connection.query_all(&without).await? {
        let WithoutPublicKey { id } = WithoutPublicKey::from_query_result(&row, "")?;
        let mut entropy = [0; 8];
        let mut key = None;
        while key.is_none_or(|key| !given.insert(key)) {
            getrandom::fill(&mut entropy).map_err(|error| DbErr::Custom(error.to_string()))?;
            key = Some(PublicKey::from_entropy(entropy));
        }
        let give = Query::update()
            .table(Workspaces::Table)
            .value(Workspaces::PublicKey, key.map(|key| key.to_string()))
            .and_where(Expr::col(Workspaces::Id).eq(id))
            .to_owned();
        connection.execute(&give).await?;
    }
    Ok(())
}
