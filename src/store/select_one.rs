//! Statements that are written once.

use std::sync::OnceLock;

use sea_orm::prelude::*;
use sea_orm::{DbBackend, FromQueryResult, QueryTrait, Select, Statement};

/// A statement that selects at most one row, by one value.
///
/// For what is looked up on behalf of somebody who waits. Written anew each time, the text alone takes a fifth
/// of that time. And it has no `LIMIT ?`, as what [`Select::one`] writes has, for whose sake SQLite would plan
/// the statement anew each time: that takes half as long as all the rest.
#[derive(Debug)]
pub(super) struct SelectOne([OnceLock<String>; 3]);

impl SelectOne {
    pub(super) const fn new() -> Self {
        Self([const { OnceLock::new() }; 3])
    }

    /// The row that this query finds by this value.
    pub(super) async fn by<R: FromQueryResult, E: EntityTrait>(
        &self,
        value: Value,
        connection: &impl ConnectionTrait,
        select: impl FnOnce(Value) -> Select<E>,
    ) -> Result<Option<R>, DbErr> {
        let backend = connection.get_database_backend();
        let place = match backend {
            DbBackend::MySql => &self.0[0],
            DbBackend::Postgres => &self.0[1],
            _ => &self.0[2],
        };
        let sql = place.get_or_init(|| select(value.clone()).build(backend).sql);
        let statement = Statement::from_sql_and_values(backend, sql, [value]);
        let row = connection.query_all_raw(statement).await?.pop();
        row.map(|row| R::from_query_result(&row, "")).transpose()
    }
}
