//! Catalogues.

use claviger::domain::{CatalogId, MAX_PERMISSIONS, Permission, RequestsPerHour, Route, Timestamp};
use claviger::store::StoredCatalog;

use super::builders::{
    a_catalog, a_key, a_permission, a_workspace, at, catalog_id, digest_of, longest_names,
    permission_name,
};
use super::database::Database;

conformance! {
    a_catalogue_is_read_back_as_it_was,
    an_id_belongs_to_one_catalogue,
    an_update_replaces_a_catalogue,
    catalogues_are_listed_by_id,
    a_catalogue_is_deleted,
}

fn route(method: &str, path: &str) -> Route {
    Route { method: method.parse().unwrap(), path: path.parse().unwrap() }
}

/// Everything that a permission can say.
fn a_rich_permission() -> Permission {
    Permission {
        name: permission_name("users:track.all_1-x"),
        group: "Utilisateurs \"é\" e\u{301} 鍵 ".to_owned(),
        description: "Line one\nline two\t\\ '%_' \u{1F511}".to_owned(),
        http_routes: vec![route("POST", "/users/{id}/track"), route("M-SEARCH", "/")],
        implies: vec![permission_name("users.read"), permission_name("items.get")],
        public: true,
        requests_per_hour: Some(RequestsPerHour::MAX),
    }
}

/// In an order that is not that of the names.
fn rich_permissions() -> Vec<Permission> {
    let plain = ["users.read", "items.get"].map(|name| a_permission(&permission_name(name)));
    std::iter::once(a_rich_permission()).chain(plain).collect()
}

fn largest() -> Vec<Permission> {
    let description = "\u{1F511}".repeat(250);
    longest_names(MAX_PERMISSIONS)
        .iter()
        .map(|name| Permission { description: description.clone(), ..a_permission(name) })
        .collect()
}

async fn assert_stored(database: &Database, expected: &StoredCatalog) {
    let found = database.store.catalogs().find(&expected.id).await.unwrap().unwrap();
    assert_eq!(found.id, expected.id);
    assert_eq!(found.revision, expected.revision);
    assert_eq!(found.catalog.permissions(), expected.catalog.permissions());
    assert_eq!(found.create_time, expected.create_time);
    assert_eq!(found.update_time, expected.update_time);
}

async fn a_catalogue_is_read_back_as_it_was(database: Database) {
    let longest_id = "c".repeat(63);
    for catalog in [
        a_catalog("empty", 0, Vec::new()),
        a_catalog("largest", u128::MAX, largest()),
        StoredCatalog {
            create_time: Timestamp::MIN,
            update_time: Timestamp::MAX,
            ..a_catalog("rich", 1, rich_permissions())
        },
        StoredCatalog {
            create_time: at(-1),
            update_time: at(1),
            ..a_catalog(&longest_id, 1, Vec::new())
        },
    ] {
        database.add_catalog(&catalog).await;
        assert_stored(&database, &catalog).await;
    }
    // What was read is ready for decisions.
    let found = database.store.catalogs().find(&catalog_id("rich")).await.unwrap().unwrap();
    let routed = found.catalog.find_route("POST", "/users/7/track");
    let routed = routed.map(|index| &found.catalog.permissions()[index]);
    assert_eq!(routed, Some(&a_rich_permission()));
    let nowhere = database.store.catalogs().find(&catalog_id("nowhere")).await.unwrap();
    assert!(nowhere.is_none());
}

async fn an_id_belongs_to_one_catalogue(database: Database) {
    let first = a_catalog("small", 1, Vec::new());
    database.add_catalog(&first).await;
    let second = a_catalog("small", 2, rich_permissions());
    let insert = database.transact(second, |second, tx| {
        Box::pin(async move { Ok(tx.catalogs().insert(second).await?) })
    });
    let refused = insert.await.unwrap_err();
    assert!(refused.is_of_database(), "{refused:?}");
    assert_stored(&database, &first).await;
}

async fn an_update_replaces_a_catalogue(database: Database) {
    let bystander = a_catalog("bystander", 1, rich_permissions());
    database.add_catalog(&bystander).await;
    database.add_catalog(&a_catalog("small", 1, Vec::new())).await;
    database.add_workspace(&a_workspace("acme").build()).await;
    let key = a_key(1).build();
    database.add_keys(std::slice::from_ref(&key)).await;
    for (revision, permissions) in [(2, rich_permissions()), (3, largest()), (4, Vec::new())] {
        let changed = StoredCatalog {
            update_time: at(i64::try_from(revision).unwrap()),
            ..a_catalog("small", revision, permissions)
        };
        let update = database.transact(changed.clone(), |changed, tx| {
            Box::pin(async move {
                // Within the transaction it is seen at once.
                tx.catalogs().update(changed).await?;
                Ok(tx.catalogs().lock(&changed.id).await?.unwrap().revision)
            })
        });
        assert_eq!(update.await.unwrap(), changed.revision);
        assert_stored(&database, &changed).await;
        let stored = database.store.keys().find_by_digest(&digest_of(&key)).await.unwrap();
        assert_eq!(stored.unwrap().tenant.catalog_revision, Some(changed.revision));
    }
    assert_stored(&database, &bystander).await;
}

async fn catalogues_are_listed_by_id(database: Database) {
    // In byte order; see the list of workspaces.
    const SORTED: [&str; 6] = ["a", "a-b", "a-c", "a0", "ab", "b"];
    assert_eq!(database.store.catalogs().list(None, 10).await.unwrap(), []);
    let expected: Vec<(CatalogId, Timestamp, Timestamp)> =
        (0..).zip(SORTED).map(|(index, id)| (catalog_id(id), at(index), at(10 + index))).collect();
    for (id, create_time, update_time) in expected.iter().rev() {
        let catalog = a_catalog(id.as_str(), 1, rich_permissions());
        let catalog =
            StoredCatalog { create_time: *create_time, update_time: *update_time, ..catalog };
        database.add_catalog(&catalog).await;
    }
    for limit in [1, 4, 6, 7] {
        let mut seen = Vec::new();
        let mut after: Option<CatalogId> = None;
        loop {
            let page = database.store.catalogs().list(after.as_ref(), limit).await.unwrap();
            assert!(page.len() as u64 <= limit);
            let Some((last, _, _)) = page.last() else { break };
            after = Some(last.clone());
            seen.extend(page);
        }
        assert_eq!(seen, expected, "{limit} on a page");
    }
}

async fn a_catalogue_is_deleted(database: Database) {
    let kept = a_catalog("kept", 1, rich_permissions());
    database.add_catalog(&kept).await;
    database.add_catalog(&a_catalog("small", 1, rich_permissions())).await;
    let delete = database.transact(catalog_id("small"), |id, tx| {
        Box::pin(async move { Ok(tx.catalogs().delete(id).await?) })
    });
    delete.await.unwrap();
    assert!(database.store.catalogs().find(&catalog_id("small")).await.unwrap().is_none());
    assert_stored(&database, &kept).await;
}
