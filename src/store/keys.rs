//! Keys.

use std::collections::HashSet;

use sea_orm::prelude::*;
use sea_orm::sea_query::{CaseStatement, Expr};
use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, EntityTrait, FromQueryResult, JoinType,
    QueryOrder, QuerySelect,
};

use super::batch::delete_in_batches;
use super::entity::{api_key, key_network_set, read_json, workspace};
use super::search::{contains, none};
use super::select_one::SelectOne;
use super::tenant::{StoredTenant, TenantRow, with_tenant};
use super::{Change, StoreError, Writer};
use crate::domain::{
    CatalogId, Grant, Key, KeyFilter, KeyName, NetworkSetId, PermissionName, SecretDigest,
    Timestamp, WorkspaceId,
};

/// How many rows are read at once where there may be very many.
const BATCH: u64 = 1_000;

/// The keys.
#[derive(Debug)]
pub struct Keys<'c, C>(pub(super) &'c C);

/// A key as a decision needs it.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// The key.
    pub key: Key,
    /// Its workspace.
    pub tenant: StoredTenant,
}

#[derive(FromQueryResult)]
struct StoredKeyRow {
    #[sea_orm(nested)]
    key: api_key::Model,
    #[sea_orm(nested)]
    tenant: TenantRow,
}

/// A place in the list of a workspace's keys, newest first: behind this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When the key was created.
    pub create_time: Timestamp,
    /// Its id.
    pub id: Uuid,
}

impl<C: ConnectionTrait> Keys<'_, C> {
    /// The key whose secret has this digest.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn find_by_digest(
        &self,
        digest: &SecretDigest,
    ) -> Result<Option<StoredKey>, StoreError> {
        static KEY: SelectOne = SelectOne::new();
        let select = |digest| {
            let to_workspace = api_key::Entity::belongs_to(workspace::Entity)
                .from(api_key::Column::WorkspaceId)
                .to(workspace::Column::Id);
            let keys = api_key::Entity::find().filter(api_key::Column::Digest.eq(digest));
            with_tenant(keys.join(JoinType::InnerJoin, to_workspace.into()))
        };
        let row = KEY.by(digest.as_bytes().as_slice().into(), self.0, select).await?;
        let Some(StoredKeyRow { key, tenant }) = row else { return Ok(None) };
        Ok(Some(StoredKey { key: key.try_into()?, tenant: tenant.try_into()? }))
    }

    /// The key of this name.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn find(&self, name: &KeyName) -> Result<Option<Key>, StoreError> {
        let row = api_key::Entity::find_by_id(name.id)
            .filter(api_key::Column::WorkspaceId.eq(name.workspace.as_str()))
            .one(self.0)
            .await?;
        row.map(Key::try_from).transpose()
    }

    /// At most `limit` keys of a workspace behind the cursor, newest first. Everything in
    /// the filter counts but `permission`, which only a catalogue can tell.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn list(
        &self,
        workspace: &WorkspaceId,
        filter: &KeyFilter,
        after: Option<Cursor>,
        limit: u64,
    ) -> Result<Vec<Key>, StoreError> {
        let rows = api_key::Entity::find()
            .filter(api_key::Column::WorkspaceId.eq(workspace.as_str()))
            .filter(matching(filter))
            .filter(Condition::all().add_option(after.map(behind)))
            .order_by_desc(api_key::Column::CreateTime)
            .order_by_desc(api_key::Column::Id)
            .limit(limit)
            .all(self.0)
            .await?;
        rows.into_iter().map(Key::try_from).collect()
    }

    /// How many keys a workspace has, expired ones included.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn count(&self, workspace: &WorkspaceId) -> Result<u64, StoreError> {
        let keys =
            api_key::Entity::find().filter(api_key::Column::WorkspaceId.eq(workspace.as_str()));
        Ok(keys.count(self.0).await?)
    }

    /// Whether a workspace has a key besides this one that has not expired.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn has_other_unexpired(
        &self,
        key: &KeyName,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let others = api_key::Entity::find()
            .filter(api_key::Column::WorkspaceId.eq(key.workspace.as_str()))
            .filter(api_key::Column::Id.ne(key.id))
            .filter(
                Condition::any()
                    .add(api_key::Column::ExpireTime.is_null())
                    .add(api_key::Column::ExpireTime.gt(now.as_micros())),
            );
        Ok(others.limit(1).one(self.0).await?.is_some())
    }

    /// All control keys that can do everything, everywhere, for ever.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn operator_keys(&self) -> Result<Vec<Key>, StoreError> {
        // Those that expire are left out here, the others by what makes an operator key: there
        // are never many control keys.
        let rows = api_key::Entity::find()
            .filter(api_key::Column::WorkspaceId.eq(WorkspaceId::RESERVED))
            .filter(api_key::Column::ExpireTime.is_null())
            .all(self.0)
            .await?;
        let mut keys = rows.into_iter().map(Key::try_from).collect::<Result<Vec<_>, _>>()?;
        keys.retain(Key::is_operator_key);
        Ok(keys)
    }

    /// A key of this catalogue that is granted one of these permissions by name.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn find_holder(
        &self,
        catalog: &CatalogId,
        permissions: &HashSet<&PermissionName>,
    ) -> Result<Option<(KeyName, PermissionName)>, StoreError> {
        let to_workspace = api_key::Entity::belongs_to(workspace::Entity)
            .from(api_key::Column::WorkspaceId)
            .to(workspace::Column::Id);
        let keys = api_key::Entity::find()
            .join(JoinType::InnerJoin, to_workspace.into())
            .filter(workspace::Column::CatalogId.eq(catalog.as_str()))
            .order_by_asc(api_key::Column::Id)
            .limit(BATCH);
        // Many keys hold the same grants: each set is looked at once.
        let mut seen = HashSet::new();
        let mut last: Option<Uuid> = None;
        loop {
            let behind = last.map(|last| api_key::Column::Id.gt(last));
            let batch = keys.clone().filter(Condition::all().add_option(behind));
            let batch = batch.all(self.0).await?;
            let Some(row) = batch.last() else { return Ok(None) };
            last = Some(row.id);
            for row in batch {
                if seen.insert(row.permissions.clone())
                    && let Some(permission) = granted(&row.permissions, permissions)?
                {
                    return Ok(Some((Key::try_from(row)?.name, permission)));
                }
            }
        }
    }
}

/// One of these permissions that a set of grants names.
fn granted(
    set: &str,
    permissions: &HashSet<&PermissionName>,
) -> Result<Option<PermissionName>, StoreError> {
    let grants: Vec<Grant> = read_json("api_keys.permissions", set)?;
    Ok(grants.into_iter().find_map(|grant| match grant {
        Grant::Exactly(name) if permissions.contains(&name) => Some(name),
        _ => None,
    }))
}

impl Keys<'_, Writer> {
    /// Adds a key whose secret somebody may have presented before.
    ///
    /// # Errors
    /// See [`Self::insert`].
    pub async fn import(&self, key: &Key, digest: &SecretDigest) -> Result<(), StoreError> {
        self.0.note(Change::Key(*digest));
        self.insert(key, digest).await
    }

    /// Adds a key whose secret is new.
    ///
    /// # Errors
    /// If the database cannot be written, holds the same secret, or lacks a network set that the key
    /// refers to.
    pub async fn insert(&self, key: &Key, digest: &SecretDigest) -> Result<(), StoreError> {
        let row = api_key::row(key, digest)?;
        api_key::Entity::insert(row).exec_without_returning(self.0).await?;
        let sets: HashSet<&NetworkSetId> = key.network_sets.iter().collect();
        if !sets.is_empty() {
            let references = sets.into_iter().map(|set| key_network_set::ActiveModel {
                network_set_id: Set(set.as_str().to_owned()),
                key_id: Set(key.name.id),
            });
            key_network_set::Entity::insert_many(references).exec_without_returning(self.0).await?;
        }
        Ok(())
    }

    /// Notes when keys were last seen, if that is later than what is stored: of two servers neither
    /// moves it backwards. A key that is gone stays gone.
    ///
    /// In one statement, which locks all keys in one order: of two servers that write the same ones, one waits
    /// for the other and not both.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn see(&self, seen: &[(Timestamp, Vec<Uuid>)]) -> Result<(), StoreError> {
        let column = api_key::Column::LastSeenTime;
        let is_before = |micros: i64| Condition::any().add(column.is_null()).add(column.lt(micros));
        let Some(latest) = seen.iter().map(|(at, _)| at.as_micros()).max() else { return Ok(()) };
        let mut value = CaseStatement::new();
        for (at, ids) in seen {
            let micros = at.as_micros();
            let these = api_key::Column::Id.is_in(ids.iter().copied());
            let are_older = Condition::all().add(these).add(is_before(micros));
            value = value.case(are_older, Expr::val(micros));
        }
        let mut ids: Vec<Uuid> = seen.iter().flat_map(|(_, ids)| ids).copied().collect();
        ids.sort_unstable();
        api_key::Entity::update_many()
            .col_expr(column, value.finally(Expr::col(column)).into())
            .filter(api_key::Column::Id.is_in(ids))
            .filter(is_before(latest))
            .exec(self.0)
            .await?;
        Ok(())
    }

    /// Removes a key, and says whether it was there.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn delete(&self, name: &KeyName) -> Result<bool, StoreError> {
        let row = api_key::Entity::find_by_id(name.id)
            .filter(api_key::Column::WorkspaceId.eq(name.workspace.as_str()))
            .one(self.0)
            .await?;
        let Some(row) = row else { return Ok(false) };
        let digest = row.digest.try_into().map_err(|_| StoreError::Corrupt("api_keys.digest"))?;
        self.0.note(Change::Key(SecretDigest::from_bytes(digest)));
        let deleted = api_key::Entity::delete_by_id(name.id).exec(self.0).await?;
        Ok(deleted.rows_affected > 0)
    }

    /// Removes all keys of a workspace.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn delete_all(&self, workspace: &WorkspaceId) -> Result<(), StoreError> {
        self.0.note(Change::Workspace(workspace.clone()));
        let matching = Condition::all().add(api_key::Column::WorkspaceId.eq(workspace.as_str()));
        delete_in_batches::<api_key::Entity, Uuid>(self.0, api_key::Column::Id, matching).await
    }
}

fn matching(filter: &KeyFilter) -> Condition {
    let KeyFilter {
        display_name_contains,
        created_by,
        permission: _,
        expire_time_before,
        not_seen_since,
    } = filter;
    let named = display_name_contains
        .as_ref()
        .map(|text| contains(api_key::Column::DisplayNameFolded, text));
    let created = created_by.as_ref().map(|by| {
        // See `contains`.
        if by.contains('\0') {
            none()
        } else {
            Condition::all().add(api_key::Column::CreatedBy.eq(by.as_str()))
        }
    });
    let not_seen = not_seen_since.map(|since| {
        Condition::any()
            .add(api_key::Column::LastSeenTime.is_null())
            .add(api_key::Column::LastSeenTime.lt(since.as_micros()))
    });
    Condition::all()
        .add_option(named)
        .add_option(created)
        .add_option(expire_time_before.map(|t| api_key::Column::ExpireTime.lt(t.as_micros())))
        .add_option(not_seen)
}

fn behind(cursor: Cursor) -> Condition {
    let time = cursor.create_time.as_micros();
    let same_time = Condition::all()
        .add(api_key::Column::CreateTime.eq(time))
        .add(api_key::Column::Id.lt(cursor.id));
    Condition::any().add(api_key::Column::CreateTime.lt(time)).add(same_time)
}
