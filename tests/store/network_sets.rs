//! Network sets, and the keys that refer to them.

use claviger::domain::{NetworkSet, NetworkSetId};
use claviger::store::StoredNetworkSet;
use uuid::Uuid;

use super::builders::{a_key, at, workspace_id};
use super::database::{Database, Failure};

conformance! {
    a_set_is_read_back_as_it_was,
    an_update_replaces_a_set,
    a_set_that_a_key_refers_to_is_found_and_stays,
    sets_are_listed_by_id_in_pages,
    the_references_of_very_many_keys_go_with_them,
}

fn id(id: &str) -> NetworkSetId {
    NetworkSetId::from_id(id).unwrap()
}

fn a_set(name: &str, revision: u128, networks: &[&str]) -> StoredNetworkSet {
    let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
    StoredNetworkSet {
        set: NetworkSet { id: id(name), networks, create_time: at(0), update_time: at(1) },
        revision: Uuid::from_u128(revision),
    }
}

async fn add(database: &Database, set: &StoredNetworkSet) -> Result<(), Failure> {
    let add = database.transact(set.clone(), |set, tx| {
        Box::pin(async move { Ok(tx.network_sets().insert(set).await?) })
    });
    add.await
}

async fn delete(database: &Database, name: &str) -> Result<(), Failure> {
    let delete = database.transact(id(name), |id, tx| {
        Box::pin(async move { Ok(tx.network_sets().delete(id).await?) })
    });
    delete.await
}

async fn a_set_is_read_back_as_it_was(database: Database) {
    let large: Vec<String> =
        (0..NetworkSet::MAX_NETWORKS).map(|n| format!("2001:db8:{n:x}::/48")).collect();
    let large: Vec<&str> = large.iter().map(String::as_str).collect();
    for (revision, networks) in
        (1..).zip([&[][..], &["203.0.113.9"], &["2001:db8::/32", "10.0.0.0/8"], &large])
    {
        let set = a_set(&format!("set-{revision}"), revision, networks);
        add(&database, &set).await.unwrap();
        let found = database.store.network_sets().find(&set.set.id).await.unwrap();
        assert_eq!(found, Some(set.clone()));
        assert!(add(&database, &set).await.is_err(), "an id is one set's");
    }
    assert_eq!(database.store.network_sets().find(&id("none")).await.unwrap(), None);
}

async fn an_update_replaces_a_set(database: Database) {
    add(&database, &a_set("one", 1, &["203.0.113.9"])).await.unwrap();
    add(&database, &a_set("two", 2, &[])).await.unwrap();
    let changed = a_set("one", 3, &["198.51.100.0/24"]);
    let update = database.transact(changed.clone(), |set, tx| {
        Box::pin(async move { Ok(tx.network_sets().update(set).await?) })
    });
    update.await.unwrap();
    let sets = database.store.network_sets();
    assert_eq!(sets.find(&id("one")).await.unwrap(), Some(changed));
    let mut revisions = sets.revisions(&[id("one"), id("two"), id("none")]).await.unwrap();
    revisions.sort();
    assert_eq!(revisions, [(id("one"), Uuid::from_u128(3)), (id("two"), Uuid::from_u128(2))]);
}

async fn a_set_that_a_key_refers_to_is_found_and_stays(database: Database) {
    database.add_workspaces(&["acme"]).await;
    for (revision, name) in (1..).zip(["used", "free"]) {
        add(&database, &a_set(name, revision, &[])).await.unwrap();
    }
    // Twice, which is once.
    let key = a_key(1).network_sets(&["used", "used"]).build();
    database.add_keys(&[key.clone(), a_key(2).build()]).await;
    assert_eq!(database.store.keys().find(&key.name).await.unwrap(), Some(key.clone()));
    let user = async |name: &str| {
        let user = database.transact(id(name), |id, tx| {
            Box::pin(async move { Ok(tx.network_sets().find_user(id).await?) })
        });
        user.await.unwrap()
    };
    assert_eq!(user("used").await, Some(key.name.clone()));
    assert_eq!(user("free").await, None);
    let kept = database.transact((), |(), tx| {
        Box::pin(
            async move { Ok(tx.network_sets().keep(&[id("used"), id("none"), id("free")]).await?) },
        )
    });
    assert_eq!(kept.await.unwrap(), [id("free"), id("used")]);
    // The engine would not let it go either, nor take a key that refers to nothing.
    assert!(delete(&database, "used").await.is_err());
    let lost = a_key(3).network_sets(&["none"]).build();
    let digest = super::builders::digest_of(&lost);
    assert!(database.try_add_key(&lost, digest).await.is_err());
    delete(&database, "free").await.unwrap();
    assert!(database.delete_key(&key.name).await);
    assert_eq!(user("used").await, None);
    delete(&database, "used").await.unwrap();
}

async fn sets_are_listed_by_id_in_pages(database: Database) {
    for (revision, name) in (1..).zip(["c", "a", "b2", "b"]) {
        add(&database, &a_set(name, revision, &[])).await.unwrap();
    }
    let list = async |after: Option<&str>, limit| -> Vec<String> {
        let after = after.map(id);
        let page = database.store.network_sets().list(after.as_ref(), limit).await.unwrap();
        page.into_iter()
            .map(|(id, create_time, update_time)| {
                assert_eq!((create_time, update_time), (at(0), at(1)));
                id.as_str().to_owned()
            })
            .collect()
    };
    assert_eq!(list(None, 10).await, ["a", "b", "b2", "c"]);
    assert_eq!(list(Some("a"), 2).await, ["b", "b2"]);
    assert_eq!(list(Some("c"), 2).await, [""; 0]);
}

/// Each statement must stay short, also where the engine looks for what refers to the deleted.
async fn the_references_of_very_many_keys_go_with_them(database: Database) {
    database.add_workspaces(&["acme", "other"]).await;
    add(&database, &a_set("used", 1, &[])).await.unwrap();
    for batch in 0..6_u128 {
        let keys: Vec<_> = (0..500)
            .map(|number| {
                let workspace = if batch < 3 { "acme" } else { "other" };
                a_key(batch * 500 + number + 1).workspace(workspace).network_sets(&["used"]).build()
            })
            .collect();
        database.add_keys(&keys).await;
    }
    let delete = database.transact(workspace_id("acme"), |id, tx| {
        Box::pin(async move { Ok(tx.keys().delete_all(id).await?) })
    });
    delete.await.unwrap();
    let count = async |id: &str| database.store.keys().count(&workspace_id(id)).await.unwrap();
    assert_eq!((count("acme").await, count("other").await), (0, 1_500));
}
