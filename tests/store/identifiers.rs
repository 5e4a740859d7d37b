//! Identifiers.

use claviger::domain::{Identifier, IdentifierFilter, IdentifierId, IdentifierName, WorkspaceId};

use super::builders::{at, workspace_id};
use super::database::{Database, Failure};

conformance! {
    an_identifier_is_read_back_as_it_was,
    an_id_is_one_identifier_of_a_workspace_and_compares_byte_for_byte,
    identifiers_are_searched,
    identifiers_are_deleted_one_by_one_and_all_of_a_workspace,
}

fn id(id: &str) -> IdentifierId {
    id.parse().unwrap()
}

fn an_identifier(workspace: &str, of: &str, kind: &str, name: &str) -> Identifier {
    Identifier {
        name: IdentifierName { workspace: workspace_id(workspace), id: id(of) },
        kind: kind.parse().unwrap(),
        display_name: name.parse().unwrap(),
        create_time: at(3),
    }
}

async fn add(database: &Database, identifier: &Identifier) -> Result<(), Failure> {
    let add = database.transact(identifier.clone(), |identifier, tx| {
        Box::pin(async move { Ok(tx.identifiers().insert(identifier).await?) })
    });
    add.await
}

async fn list(
    database: &Database,
    filter: &IdentifierFilter,
    after: Option<&str>,
    limit: u64,
) -> Vec<Identifier> {
    let (acme, after) = (workspace_id("acme"), after.map(id));
    database.store.identifiers().list(&acme, filter, after.as_ref(), limit).await.unwrap()
}

async fn an_identifier_is_read_back_as_it_was(database: Database) {
    database.add_workspaces(&["acme"]).await;
    let longest = "x".repeat(IdentifierId::MAX_LENGTH);
    let name = "ß".repeat(128);
    let identifiers = [
        an_identifier("acme", "A.b:c~d_e-1", "content_card", "Été \"%_\\\" 🔑"),
        an_identifier("acme", &longest, &"k".repeat(63), &name),
    ];
    for identifier in &identifiers {
        add(&database, identifier).await.unwrap();
    }
    let listed = list(&database, &IdentifierFilter::default(), None, 10).await;
    assert_eq!(listed, identifiers);
}

async fn an_id_is_one_identifier_of_a_workspace_and_compares_byte_for_byte(database: Database) {
    database.add_workspaces(&["acme", "other"]).await;
    add(&database, &an_identifier("acme", "app-1", "app", "A")).await.unwrap();
    assert!(add(&database, &an_identifier("acme", "app-1", "segment", "B")).await.is_err());
    add(&database, &an_identifier("acme", "APP-1", "app", "C")).await.unwrap();
    add(&database, &an_identifier("other", "app-2", "app", "D")).await.unwrap();
    let asked = ["app-1", "App-1", "app-2", "none"].map(id);
    let owned = async |workspace: &WorkspaceId| {
        database.store.identifiers().owned(workspace, &asked).await.unwrap()
    };
    assert_eq!(owned(&workspace_id("acme")).await, [id("app-1")].into());
    assert_eq!(owned(&workspace_id("other")).await, [id("app-2")].into());
    assert_eq!(owned(&workspace_id("none")).await, [].into());
}

async fn identifiers_are_searched(database: Database) {
    database.add_workspaces(&["acme", "other"]).await;
    for (of, kind, name) in [
        ("d", "campaign", "ÉTÉ 100%"),
        ("a", "app", "été_1"),
        ("c", "campaign", "Straße"),
        ("b", "app", "back\\slash"),
    ] {
        add(&database, &an_identifier("acme", of, kind, name)).await.unwrap();
    }
    add(&database, &an_identifier("other", "e", "app", "été")).await.unwrap();
    let search = async |kind: &str, part: &str| -> Vec<String> {
        let filter = IdentifierFilter {
            kind: (!kind.is_empty()).then(|| kind.parse().unwrap()),
            display_name_contains: (!part.is_empty()).then(|| part.to_owned()),
        };
        let found = list(&database, &filter, None, 10).await;
        found.into_iter().map(|one| one.name.id.to_string()).collect()
    };
    for (kind, part, found) in [
        ("", "", &["a", "b", "c", "d"][..]),
        ("app", "", &["a", "b"]),
        ("", "Été", &["a", "d"]),
        ("campaign", "été", &["d"]),
        ("", "STRASSE", &["c"]),
        ("", "%", &["d"]),
        ("", "_", &["a"]),
        ("", "\\", &["b"]),
        ("", "\0", &[]),
        ("none", "", &[]),
    ] {
        assert_eq!(search(kind, part).await, found, "{kind:?} {part:?}");
    }
    let page = list(&database, &IdentifierFilter::default(), Some("b"), 1).await;
    assert_eq!(page.len(), 1);
    assert_eq!(page[0].name.id, id("c"));
}

async fn identifiers_are_deleted_one_by_one_and_all_of_a_workspace(database: Database) {
    database.add_workspaces(&["acme", "other"]).await;
    for (workspace, of) in [("acme", "a"), ("acme", "b"), ("other", "a")] {
        add(&database, &an_identifier(workspace, of, "app", "A")).await.unwrap();
    }
    let delete = async |workspace: &str, of: &str| {
        let name = IdentifierName { workspace: workspace_id(workspace), id: id(of) };
        let delete = database.transact(name, |name, tx| {
            Box::pin(async move { Ok(tx.identifiers().delete(name).await?) })
        });
        delete.await.unwrap()
    };
    assert!(!delete("other", "b").await);
    assert!(delete("acme", "a").await);
    assert!(!delete("acme", "a").await);
    let all = database.transact(workspace_id("acme"), |id, tx| {
        Box::pin(async move { Ok(tx.identifiers().delete_all(id).await?) })
    });
    all.await.unwrap();
    assert_eq!(list(&database, &IdentifierFilter::default(), None, 10).await, []);
    let other = workspace_id("other");
    let owned = database.store.identifiers().owned(&other, &[id("a")]).await.unwrap();
    assert_eq!(owned.len(), 1);
}
