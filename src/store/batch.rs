//! Deletes of very many rows.

use sea_orm::prelude::*;
use sea_orm::{Condition, EntityTrait, QuerySelect, TryGetableMany, Value};

use super::{StoreError, Writer};

/// How many rows are deleted at once.
const BATCH: u64 = 1_000;

/// Deletes the rows that match, in batches: of very many, one statement would take longer than any may.
/// `V` is the type of `id`, a column that tells the matching rows apart.
pub(super) async fn delete_in_batches<E, V>(
    tx: &Writer,
    id: E::Column,
    matching: Condition,
) -> Result<(), StoreError>
where
    E: EntityTrait,
    V: TryGetableMany + Into<Value>,
{
    while delete_some::<E, V>(tx, id, &matching).await? == BATCH {}
    Ok(())
}

/// Deletes one batch of the rows that match, and says how many that were.
pub(super) async fn delete_some<E, V>(
    tx: &Writer,
    id: E::Column,
    matching: &Condition,
) -> Result<u64, StoreError>
where
    E: EntityTrait,
    V: TryGetableMany + Into<Value>,
{
    let ids: Vec<V> = E::find()
        .select_only()
        .column(id)
        .filter(matching.clone())
        .limit(BATCH)
        .into_tuple()
        .all(tx)
        .await?;
    let count = ids.len() as u64;
    if count > 0 {
        E::delete_many().filter(matching.clone()).filter(id.is_in(ids)).exec(tx).await?;
    }
    Ok(count)
}
