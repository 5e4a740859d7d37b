//! Workspaces.

use claviger::domain::{
    Grant, KeyPrefix, MAX_GRANTS, Policy, RequestsPerHour, Role, SecretVisibility, Timestamp,
    Workspace,
};
use claviger::domain::{WorkspaceId, WorkspaceScope};
use claviger::store::KeyRequest;
use uuid::Uuid;

use super::builders::{a_key, a_workspace, at, catalog_id, grants, longest_names, workspace_id};
use super::database::{Database, Failure};

conformance! {
    a_workspace_is_read_back_as_it_was,
    an_id_belongs_to_one_workspace,
    an_update_writes_what_may_change_and_nothing_else,
    a_workspace_is_deleted,
    a_workspace_with_keys_is_not_deleted,
    workspaces_are_listed_by_id_without_the_reserved_one,
    a_list_keeps_to_its_scope,
    workspaces_of_a_catalogue,
}

fn all_kinds_of_policies() -> Vec<Policy> {
    vec![
        Policy::default(),
        Policy {
            max_keys: Some(0),
            keep_last_key: true,
            secret_visibility: SecretVisibility::Revealable,
            key_manager_roles: vec![Role::Admin, Role::Developer],
            provision_first_key: true,
            default_permissions: grants(&["*", "users.*", "users.track"]),
            requests_per_hour: Some(RequestsPerHour::MAX),
            key_prefix: "braze2".parse().unwrap(),
        },
        Policy { max_keys: Some(u32::MAX), keep_last_key: true, ..Policy::default() },
        Policy {
            provision_first_key: true,
            default_permissions: longest_names(MAX_GRANTS)
                .into_iter()
                .map(Grant::Exactly)
                .collect(),
            key_prefix: KeyPrefix::control(),
            ..Policy::default()
        },
    ]
}

async fn update(database: &Database, workspace: &Workspace) {
    let update = database.transact(workspace.clone(), |workspace, tx| {
        Box::pin(async move { Ok(tx.workspaces().update(workspace).await?) })
    });
    update.await.unwrap();
}

async fn delete(database: &Database, id: &str) -> Result<(), Failure> {
    let delete = database.transact(workspace_id(id), |id, tx| {
        Box::pin(async move { Ok(tx.workspaces().delete(id).await?) })
    });
    delete.await
}

async fn a_workspace_is_read_back_as_it_was(database: Database) {
    let longest_id = "w".repeat(63);
    for (index, policy) in all_kinds_of_policies().into_iter().enumerate() {
        let workspace = a_workspace(&format!("policy-{index}")).policy(policy).build();
        database.add_workspace(&workspace).await;
        let found = database.store.workspaces().find(&workspace.id).await.unwrap();
        assert_eq!(found, Some(workspace));
    }
    for workspace in [
        a_workspace("a").display_name("Acme").build(),
        a_workspace("b").display_name("ACME").times(at(-1), at(1)).build(),
        a_workspace("c").display_name("Acme ").times(Timestamp::MIN, Timestamp::MAX).build(),
        a_workspace("d").display_name("Acme\u{301}").build(),
        a_workspace("e").display_name("Acmé").build(),
        a_workspace("f").display_name(&"\u{1D510}".repeat(128)).build(),
        a_workspace(&longest_id).catalog(&"c".repeat(63)).build(),
        a_workspace("claviger").catalog("claviger").build(),
    ] {
        database.add_workspace(&workspace).await;
        let found = database.store.workspaces().find(&workspace.id).await.unwrap();
        assert_eq!(found, Some(workspace));
    }
    assert_eq!(database.store.workspaces().find(&workspace_id("nowhere")).await.unwrap(), None);
}

async fn an_id_belongs_to_one_workspace(database: Database) {
    let first = a_workspace("acme").build();
    database.add_workspace(&first).await;
    let second = a_workspace("acme").display_name("Second").build();
    let refused = database.try_add_workspace(&second).await.unwrap_err();
    assert!(refused.is_of_database(), "{refused:?}");
    assert_eq!(database.store.workspaces().find(&first.id).await.unwrap(), Some(first));
}

async fn an_update_writes_what_may_change_and_nothing_else(database: Database) {
    let bystander = a_workspace("bystander").build();
    database.add_workspace(&bystander).await;
    let before = a_workspace("acme").build();
    database.add_workspace(&before).await;
    for policy in all_kinds_of_policies().into_iter().rev() {
        let changed = a_workspace("acme")
            .display_name("Acmé ")
            .policy(policy)
            .catalog("large")
            .times(at(1), at(2))
            .build();
        update(&database, &changed).await;
        let expected = Workspace {
            catalog: before.catalog.clone(),
            create_time: before.create_time,
            ..changed
        };
        let found = database.store.workspaces().find(&before.id).await.unwrap();
        assert_eq!(found, Some(expected));
    }
    let found = database.store.workspaces().find(&bystander.id).await.unwrap();
    assert_eq!(found, Some(bystander));
}

async fn a_workspace_is_deleted(database: Database) {
    database.add_workspaces(&["acme", "other"]).await;
    delete(&database, "acme").await.unwrap();
    assert_eq!(database.store.workspaces().find(&workspace_id("acme")).await.unwrap(), None);
    let other = database.store.workspaces().find(&workspace_id("other")).await.unwrap();
    assert_eq!(other, Some(a_workspace("other").build()));
    // The id can be used again.
    database.add_workspaces(&["acme"]).await;
}

/// Nothing that refers to a workspace is left behind, or taken along, by mistake.
async fn a_workspace_with_keys_is_not_deleted(database: Database) {
    database.add_workspaces(&["with-key", "with-request"]).await;
    let key = a_key(1).workspace("with-key").build();
    database.add_keys(std::slice::from_ref(&key)).await;
    let request = KeyRequest {
        id: Uuid::from_u128(1),
        fingerprint: [0; 32],
        key_id: Uuid::from_u128(2),
        create_time: at(0),
    };
    let remember = database.transact(request.clone(), |request, tx| {
        let workspace = workspace_id("with-request");
        Box::pin(async move { Ok(tx.key_requests().insert(&workspace, request).await?) })
    });
    remember.await.unwrap();
    for id in ["with-key", "with-request"] {
        let refused = delete(&database, id).await.unwrap_err();
        assert!(refused.is_of_database(), "{id}: {refused:?}");
        let found = database.store.workspaces().find(&workspace_id(id)).await.unwrap();
        assert_eq!(found, Some(a_workspace(id).build()));
    }
    assert_eq!(database.store.keys().find(&key.name).await.unwrap(), Some(key));
    let find = database.transact(request.id, |id, tx| {
        let workspace = workspace_id("with-request");
        Box::pin(async move { Ok(tx.key_requests().find(&workspace, *id).await?) })
    });
    assert_eq!(find.await.unwrap(), Some(request));
}

/// In byte order: a hyphen is before a digit, a digit before a letter. An engine that sorts as a
/// dictionary does would skip some of these from one page to the next.
const SORTED: [&str; 9] = ["a", "a--b", "a-b", "a-c", "a0", "ab", "ab-c", "ac", "zebra"];

async fn list(
    database: &Database,
    scope: &WorkspaceScope,
    after: Option<&WorkspaceId>,
    limit: u64,
) -> Vec<String> {
    let listed = database.store.workspaces().list(scope, after, limit).await.unwrap();
    listed.into_iter().map(|workspace| workspace.id.as_str().to_owned()).collect()
}

async fn workspaces_are_listed_by_id_without_the_reserved_one(database: Database) {
    let everywhere = WorkspaceScope::default();
    assert_eq!(list(&database, &everywhere, None, 10).await, [""; 0]);
    database.add_workspaces(&["claviger"]).await;
    for id in SORTED.iter().rev() {
        database.add_workspace(&a_workspace(id).build()).await;
    }
    assert_eq!(list(&database, &everywhere, None, 0).await, [""; 0]);
    for limit in [1, 2, 4, 9, 10] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = list(&database, &everywhere, after.as_ref(), limit).await;
            let Some(last) = page.last() else { break };
            after = Some(workspace_id(last));
            seen.extend(page);
        }
        assert_eq!(seen, SORTED, "{limit} on a page");
    }
    // A page begins behind its place, whether or not a workspace is there.
    assert_eq!(list(&database, &everywhere, Some(&workspace_id("b")), 10).await, ["zebra"]);
    let whole = database.store.workspaces().list(&everywhere, None, 1).await.unwrap();
    assert_eq!(whole, [a_workspace("a").build()]);
}

async fn a_list_keeps_to_its_scope(database: Database) {
    database.add_workspaces(&["claviger"]).await;
    database.add_workspaces(&SORTED).await;
    let many: Vec<String> = (0..1_000).map(|index| format!("w{index}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).chain(["ab", "a"]).collect();
    for (scope, after, limit, found) in [
        (&["ac", "a-b", "ac"][..], None, 10, &["a-b", "ac"][..]),
        (&["ac", "a-b"], None, 1, &["a-b"]),
        (&["ac", "a-b"], Some("a-b"), 10, &["ac"]),
        (&["ac", "a-b"], Some("a"), 10, &["a-b", "ac"]),
        (&["nowhere"], None, 10, &[]),
        (&["claviger"], None, 10, &[]),
        (&["claviger", "zebra"], None, 10, &["zebra"]),
        (&many, None, 10, &["a", "ab"]),
    ] {
        let within: WorkspaceScope = scope.iter().map(|id| workspace_id(id)).collect();
        let after = after.map(workspace_id);
        let listed = list(&database, &within, after.as_ref(), limit).await;
        assert_eq!(listed, found, "{scope:?} {after:?} {limit}");
    }
}

async fn workspaces_of_a_catalogue(database: Database) {
    let [acme, globex, other] = [("acme", "small"), ("globex", "small"), ("other", "small-2")]
        .map(|(id, catalog)| a_workspace(id).catalog(catalog).build());
    for workspace in [&acme, &globex, &other] {
        database.add_workspace(workspace).await;
    }
    for (catalog, expected) in
        [("small", &[acme, globex][..]), ("small-2", &[other]), ("smal", &[])]
    {
        let mut found = database.store.workspaces().of_catalog(&catalog_id(catalog)).await.unwrap();
        found.sort_by(|one, other| one.id.cmp(&other.id));
        assert_eq!(found, expected, "{catalog}");
    }
}
