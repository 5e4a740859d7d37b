//! Sealed secrets.

use claviger::domain::{EncryptionKey, Key, SealedSecret};

use super::builders::{a_key, workspace_id};
use super::database::{Database, Failure};

conformance! {
    a_sealed_secret_is_read_back_as_it_was,
    it_goes_with_its_key_and_with_all_of_a_workspace,
    those_under_other_keys_are_found_and_forgotten,
}

/// 32 bytes, in Base64, of which the first differ.
fn an_encryption_key(letter: char) -> EncryptionKey {
    format!("{letter}{}=", "A".repeat(42)).parse().unwrap()
}

fn sealed(under: &EncryptionKey, byte: u8, length: usize) -> SealedSecret {
    SealedSecret {
        encryption_key: under.id().clone(),
        nonce: [byte; 24],
        ciphertext: vec![byte; length],
    }
}

async fn keep(database: &Database, key: &Key, secret: SealedSecret) -> Result<(), Failure> {
    let keep = database.transact((key.name.clone(), secret), |(name, secret), tx| {
        Box::pin(async move { Ok(tx.sealed_secrets().insert(name, secret).await?) })
    });
    keep.await
}

async fn a_sealed_secret_is_read_back_as_it_was(database: Database) {
    database.add_workspaces(&["acme"]).await;
    let under = an_encryption_key('A');
    // The longest, with bytes that a text could not hold.
    for (number, byte, length) in [(1, 0, 24), (2, 0xFF, 528)] {
        let key = a_key(number).build();
        database.add_keys(std::slice::from_ref(&key)).await;
        let secret = sealed(&under, byte, length);
        keep(&database, &key, secret.clone()).await.unwrap();
        let secrets = database.store.sealed_secrets();
        assert_eq!(secrets.find(&key.name).await.unwrap(), Some(secret));
        let mut elsewhere = key.name.clone();
        elsewhere.workspace = workspace_id("other");
        assert_eq!(secrets.find(&elsewhere).await.unwrap(), None);
    }
    // Of a key that is not there.
    assert!(keep(&database, &a_key(9).build(), sealed(&under, 1, 24)).await.is_err());
}

async fn it_goes_with_its_key_and_with_all_of_a_workspace(database: Database) {
    database.add_workspaces(&["acme", "other"]).await;
    let under = an_encryption_key('A');
    let keys = [a_key(1).build(), a_key(2).build(), a_key(3).workspace("other").build()];
    database.add_keys(&keys).await;
    for key in &keys {
        keep(&database, key, sealed(&under, 1, 24)).await.unwrap();
    }
    let is_kept =
        async |key: &Key| database.store.sealed_secrets().find(&key.name).await.unwrap().is_some();
    assert!(database.delete_key(&keys[0].name).await);
    assert!(!is_kept(&keys[0]).await);
    let all = database.transact(workspace_id("acme"), |id, tx| {
        Box::pin(async move { Ok(tx.sealed_secrets().delete_all(id).await?) })
    });
    all.await.unwrap();
    assert!(!is_kept(&keys[1]).await && is_kept(&keys[2]).await);
}

async fn those_under_other_keys_are_found_and_forgotten(database: Database) {
    database.add_workspaces(&["acme"]).await;
    let mut under: Vec<EncryptionKey> = ['A', 'B', 'C', 'D', 'E'].map(an_encryption_key).into();
    under.sort_by(|one, other| one.id().as_str().cmp(other.id().as_str()));
    let keys: Vec<Key> = (1..=5).map(|number| a_key(number).build()).collect();
    database.add_keys(&keys).await;
    for (key, under) in keys.iter().zip(&under) {
        keep(&database, key, sealed(under, 1, 24)).await.unwrap();
    }
    let others = async |own: &[usize], without: &[usize]| -> Vec<usize> {
        let own = own.iter().map(|index| &under[*index]);
        let without: Vec<_> = without.iter().map(|index| keys[*index].name.clone()).collect();
        let secrets = database.store.sealed_secrets();
        let found = secrets.under_other_keys(own, &without, 10).await.unwrap();
        let index = |name| keys.iter().position(|key| key.name == name).unwrap();
        let mut found: Vec<usize> = found.into_iter().map(|(name, _)| index(name)).collect();
        found.sort_unstable();
        found
    };
    // Wherever the keys' ids lie among all of them.
    assert_eq!(others(&[], &[]).await, [0, 1, 2, 3, 4]);
    assert_eq!(others(&[0], &[]).await, [1, 2, 3, 4]);
    assert_eq!(others(&[2], &[]).await, [0, 1, 3, 4]);
    assert_eq!(others(&[4, 1], &[]).await, [0, 2, 3]);
    assert_eq!(others(&[1, 1], &[0, 4]).await, [2, 3]);
    let own = [under[3].clone(), under[0].clone()];
    let forget = database.transact(own, |own, tx| {
        Box::pin(async move { Ok(tx.sealed_secrets().forget_under_other_keys(own).await?) })
    });
    assert_eq!(forget.await.unwrap(), 3);
    assert_eq!(others(&[], &[]).await, [0, 3]);
}
