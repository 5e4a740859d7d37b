//! Column types: the one place where engines differ in what a table looks like.
//!
//! Names must compare byte for byte everywhere: a collation that folds case, or pads blanks, would
//! take one name for another. Lists and documents must fit: `TEXT` ends at 64 KiB on MariaDB.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use sea_orm_migration::prelude::*;

/// The types of one engine.
#[derive(Clone, Copy, Debug)]
pub(super) enum Columns {
    /// Compares text byte for byte by itself.
    Sqlite,
    Postgres,
    MariaDb,
    /// Has no `utf8mb4_nopad_bin`; its `utf8mb4_0900_bin` pads nothing either.
    MySql,
}

impl Columns {
    /// The types of the engine behind this connection.
    pub(super) async fn of(manager: &SchemaManager<'_>) -> Result<Self, DbErr> {
        match manager.get_database_backend() {
            DbBackend::Sqlite => Ok(Self::Sqlite),
            DbBackend::Postgres => Ok(Self::Postgres),
            backend => {
                let statement = Statement::from_string(backend, "SELECT VERSION()");
                let row = manager.get_connection().query_one_raw(statement).await?;
                let version = row.map(|row| row.try_get_by_index::<String>(0)).transpose()?;
                let is_mariadb = version.is_some_and(|version| version.contains("MariaDB"));
                Ok(if is_mariadb { Self::MariaDb } else { Self::MySql })
            }
        }
    }

    /// A table whose text compares byte for byte.
    pub(super) fn table(self, name: impl IntoTableRef) -> TableCreateStatement {
        let mut table = Table::create();
        table.table(name).if_not_exists();
        match self {
            Self::MariaDb => table.character_set("utf8mb4").collate("utf8mb4_nopad_bin"),
            Self::MySql => table.character_set("utf8mb4").collate("utf8mb4_0900_bin"),
            Self::Sqlite | Self::Postgres => &mut table,
        };
        table
    }

    /// Text of at most so many characters.
    pub(super) fn text(self, name: impl IntoIden, characters: u32) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        column.string_len(characters);
        self.exact(&mut column);
        column
    }

    /// Adds a column that may be null, unless it is there.
    pub(super) async fn add(
        manager: &SchemaManager<'_>,
        table: impl IntoTableRef,
        table_name: &str,
        name: &str,
        mut column: ColumnDef,
    ) -> Result<(), DbErr> {
        if manager.has_column(table_name, name).await? {
            return Ok(());
        }
        manager.alter_table(Table::alter().table(table).add_column(&mut column).to_owned()).await
    }

    /// Makes room for so many characters in a text column that may be null.
    pub(super) async fn widen(
        self,
        manager: &SchemaManager<'_>,
        table: impl IntoTableRef,
        name: impl IntoIden,
        characters: u32,
    ) -> Result<(), DbErr> {
        // SQLite keeps to no length, and cannot change one.
        if matches!(self, Self::Sqlite) {
            return Ok(());
        }
        let mut column = ColumnDef::new(name);
        column.string_len(characters);
        // A column that is changed takes the table's default on PostgreSQL, which has none of its
        // own, and keeps the table's collation on the others.
        self.exact(&mut column);
        let alter = Table::alter().table(table).modify_column(column).to_owned();
        manager.alter_table(alter).await
    }

    /// Text of any length.
    pub(super) fn long_text(self, name: impl IntoIden) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        match self {
            Self::MariaDb | Self::MySql => column.custom("longtext"),
            Self::Sqlite | Self::Postgres => column.text(),
        };
        self.exact(&mut column);
        column
    }

    /// On PostgreSQL the order of text, if not its equality, is the database's own choice.
    fn exact(self, column: &mut ColumnDef) {
        if matches!(self, Self::Postgres) {
            column.extra("COLLATE \"C\"");
        }
    }
}
