//! `sealed_secrets`: the secrets of keys that can be revealed. A row goes with its key.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use crate::domain::{KeyName, SealedSecret, WorkspaceId};
use crate::store::StoreError;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sealed_secrets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_id: Uuid,
    pub workspace_id: String,
    /// Which encryption key it is sealed with.
    pub encryption_key: String,
    pub nonce: Vec<u8>,
    pub ciphertext: Vec<u8>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for (KeyName, SealedSecret) {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let workspace = WorkspaceId::from_id(&row.workspace_id)
            .map_err(|_| StoreError::Corrupt("sealed_secrets.workspace_id"))?;
        let sealed = SealedSecret {
            encryption_key: row.encryption_key.into(),
            nonce: row.nonce.try_into().map_err(|_| StoreError::Corrupt("sealed_secrets.nonce"))?,
            ciphertext: row.ciphertext,
        };
        Ok((KeyName { workspace, id: row.key_id }, sealed))
    }
}

/// The row of a sealed secret.
pub(in crate::store) fn row(name: &KeyName, sealed: &SealedSecret) -> ActiveModel {
    let SealedSecret { encryption_key, nonce, ciphertext } = sealed;
    ActiveModel {
        key_id: Set(name.id),
        workspace_id: Set(name.workspace.as_str().to_owned()),
        encryption_key: Set(encryption_key.as_str().to_owned()),
        nonce: Set(nonce.to_vec()),
        ciphertext: Set(ciphertext.clone()),
    }
}
