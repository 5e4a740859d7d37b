//! Moving from one database to another.

use sea_orm::prelude::*;
use sea_orm::{ActiveModelBehavior, DatabaseConnection, IntoActiveModel, TransactionTrait};

use super::entity::{
    api_key, catalog, identifier, key_network_set, key_request, member, metadata, network_set,
    sealed_secret, workspace,
};
use super::{OpenError, Store, StoreError};

/// How many rows are read, written or compared at once.
const BATCH: u64 = 500;
/// The same for rows that may be very large.
const LARGE: u64 = 10;

/// How many rows were copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Workspaces, the reserved one included.
    pub workspaces: usize,
    /// Catalogues.
    pub catalogs: usize,
    /// Keys, control keys included.
    pub keys: usize,
}

/// Why a database was not copied. The target is left empty.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is nothing to copy.
    #[error("no server was ever started on the database to copy from")]
    Empty,
    /// The target is in use.
    #[error("the database to copy to is not empty")]
    NotEmpty,
    /// A row of the target is not what was written.
    #[error("the copy differs in {0}; it was undone")]
    Differs(&'static str),
    /// A database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DbErr> for CopyError {
    fn from(error: DbErr) -> Self {
        Self::Store(error.into())
    }
}

/// Copies a table in batches, in the order of its primary key, then reads both back and compares them row
/// by row. Evaluates to the number of rows.
macro_rules! copy_table {
    ($from:expr, $to:expr, $entity:ident, $table:literal, $columns:expr, $key:expr) => {
        copy_table!($from, $to, $entity, $table, $columns, $key, BATCH)
    };
    ($from:expr, $to:expr, $entity:ident, $table:literal, $columns:expr, $key:expr, $batch:expr) => {{
        let page = async |last: Option<&$entity::Model>| {
            let mut cursor = $entity::Entity::find().cursor_by($columns);
            if let Some(last) = last {
                cursor.after($key(last));
            }
            cursor.first($batch).all($from).await
        };
        let mut rows = 0;
        let mut batch = page(None).await?;
        while let Some(last) = batch.last().cloned() {
            rows += batch.len();
            let copies = batch.into_iter().map(|row| written(row.into_active_model()));
            $entity::Entity::insert_many(copies).exec_without_returning($to).await?;
            batch = page(Some(&last)).await?;
        }
        let mut compared = 0;
        let mut last = None;
        loop {
            let batch = page(last.as_ref()).await?;
            let mut copies = $entity::Entity::find().cursor_by($columns);
            if let Some(last) = &last {
                copies.after($key(last));
            }
            if copies.first($batch).all($to).await? != batch {
                return Err(CopyError::Differs($table));
            }
            compared += batch.len();
            match batch.into_iter().next_back() {
                Some(row) => last = Some(row),
                None => break,
            }
        }
        if compared != rows {
            return Err(CopyError::Differs($table));
        }
        rows
    }};
}

impl Store {
    /// Copies everything into an empty database and checks the copy row by row. Nothing else may
    /// use either database meanwhile.
    ///
    /// # Errors
    /// See [`CopyError`].
    pub async fn copy_to(&self, target: &Self) -> Result<Copied, CopyError> {
        self.migrate().await?;
        target.migrate().await?;
        if !self.metadata().is_initialized().await? {
            return Err(CopyError::Empty);
        }
        let from: &DatabaseConnection = &self.read.connection;
        let to = target.write.begin().await?;
        if workspace::Entity::find().count(&to).await? > 0
            || target.metadata().is_initialized().await?
        {
            return Err(CopyError::NotEmpty);
        }
        copy_table!(
            from,
            &to,
            network_set,
            "network_sets",
            network_set::Column::Id,
            |row: &network_set::Model| row.id.clone(),
            LARGE
        );
        let copied = Copied {
            catalogs: copy_table!(
                from,
                &to,
                catalog,
                "catalogs",
                catalog::Column::Id,
                |row: &catalog::Model| row.id.clone(),
                LARGE
            ),
            workspaces: copy_table!(
                from,
                &to,
                workspace,
                "workspaces",
                workspace::Column::Id,
                |row: &workspace::Model| row.id.clone()
            ),
            keys: copy_table!(
                from,
                &to,
                api_key,
                "api_keys",
                api_key::Column::Id,
                |row: &api_key::Model| row.id
            ),
        };
        copy_table!(
            from,
            &to,
            key_network_set,
            "key_network_sets",
            (key_network_set::Column::NetworkSetId, key_network_set::Column::KeyId),
            |row: &key_network_set::Model| (row.network_set_id.clone(), row.key_id)
        );
        copy_table!(
            from,
            &to,
            sealed_secret,
            "sealed_secrets",
            sealed_secret::Column::KeyId,
            |row: &sealed_secret::Model| row.key_id
        );
        copy_table!(
            from,
            &to,
            identifier,
            "identifiers",
            (identifier::Column::WorkspaceId, identifier::Column::Id),
            |row: &identifier::Model| (row.workspace_id.clone(), row.id.clone())
        );
        copy_table!(from, &to, member, "members", member::Column::Id, |row: &member::Model| row.id);
        copy_table!(
            from,
            &to,
            key_request,
            "key_requests",
            (key_request::Column::WorkspaceId, key_request::Column::RequestId),
            |row: &key_request::Model| (row.workspace_id.clone(), row.request_id)
        );
        copy_table!(
            from,
            &to,
            metadata,
            "metadata",
            metadata::Column::Id,
            |row: &metadata::Model| row.id
        );
        to.commit().await?;
        Ok(copied)
    }
}

/// A row with every column to be written.
fn written<A: ActiveModelBehavior>(row: A) -> A {
    row.reset_all()
}
