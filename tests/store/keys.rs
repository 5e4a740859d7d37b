//! Keys, one by one.

use std::collections::HashSet;

use claviger::domain::{
    Grant, Key, KeyFilter, KeyName, MAX_GRANTS, MAX_NETWORKS, MAX_SCOPE, SecretDigest, Timestamp,
};
use uuid::Uuid;

use super::builders::{
    a_catalog, a_key, a_workspace, at, catalog_id, digest_of, grants, longest_names,
    permission_name, workspace_id,
};
use super::database::Database;

conformance! {
    when_keys_were_last_seen_is_written_together_and_never_moves_backwards,
    a_key_is_read_back_as_it_was,
    a_key_is_found_by_digest_with_its_catalogue,
    what_is_not_there_is_not_found,
    a_digest_belongs_to_one_key,
    a_key_needs_a_workspace,
    display_names_are_kept_byte_for_byte,
    a_key_is_deleted_by_its_whole_name,
    all_keys_of_a_workspace_are_deleted,
    keys_are_counted_per_workspace,
    other_unexpired_keys,
    operator_keys,
    a_holder_is_found_by_exact_grants,
    holders_with_long_grants_are_told_apart,
}

/// Every field in every form that it takes.
fn all_kinds_of_keys() -> Vec<Key> {
    let ids = |count: usize| -> Vec<String> {
        (0..count).map(|index| format!("{}{index:03}", "w".repeat(60))).collect()
    };
    let networks: Vec<String> =
        (0..MAX_NETWORKS).map(|index| format!("2001:db8:{index:x}:ffff:ffff::/80")).collect();
    let longest_name = "\u{1D510}".repeat(128);
    vec![
        a_key(0).permissions(Vec::new()).hint("...abcd").build(),
        a_key(u128::MAX)
            .display_name("  Clé n° 1: 鍵 🔑\u{FE0F} \"'%_\\` e\u{301} ")
            .hint("abcdefghijklmnop_...wxYZ")
            .permissions(grants(&["*", "users.*", "users:a-b_c.*", "users.track", "0"]))
            .allowed_ips(&[
                "203.0.113.0/24",
                "0.0.0.0/0",
                "192.0.2.1",
                "2001:db8::/32",
                "::",
                "::/0",
            ])
            .created_by("Zoë Åström <zoe@example.com>")
            .create_time(at(123_457))
            .last_seen_time(at(1))
            .expire_time(at(999_999))
            .workspace_scope(&["beta", "alpha", "beta"])
            .build(),
        a_key(1)
            .display_name(&longest_name)
            .permissions(longest_names(MAX_GRANTS).into_iter().map(Grant::Exactly).collect())
            .allowed_ips(&networks)
            .created_by(&longest_name)
            .workspace_scope(&ids(MAX_SCOPE))
            .build(),
        // Folding its case makes three characters of each of these.
        a_key(2).display_name(&"\u{390}".repeat(128)).build(),
        a_key(3)
            .create_time(Timestamp::MIN)
            .last_seen_time(Timestamp::MIN)
            .expire_time(Timestamp::MIN)
            .build(),
        a_key(4)
            .create_time(Timestamp::MAX)
            .last_seen_time(Timestamp::MAX)
            .expire_time(Timestamp::MAX)
            .build(),
        // Just before and after the second in which the Unix epoch begins.
        a_key(5)
            .create_time(Timestamp::from_micros(-1).unwrap())
            .last_seen_time(Timestamp::from_micros(0).unwrap())
            .expire_time(Timestamp::from_micros(1).unwrap())
            .build(),
        a_key(6).workspace("other").created_by("").build(),
    ]
}

async fn a_key_is_read_back_as_it_was(database: Database) {
    database.add_workspaces(&["acme", "other"]).await;
    let keys = all_kinds_of_keys();
    database.add_keys(&keys).await;
    for key in &keys {
        let by_name = database.store.keys().find(&key.name).await.unwrap();
        assert_eq!(by_name.as_ref(), Some(key));
        let by_digest = database.store.keys().find_by_digest(&digest_of(key)).await.unwrap();
        assert_eq!(by_digest.map(|stored| stored.key).as_ref(), Some(key));
    }
}

async fn a_key_is_found_by_digest_with_its_catalogue(database: Database) {
    database.add_catalog(&a_catalog("small", 7, Vec::new())).await;
    database.add_catalog(&a_catalog("large", u128::MAX, Vec::new())).await;
    for (number, workspace, catalog, revision) in [
        (1, "acme", "small", Some(7)),
        (2, "globex", "large", Some(u128::MAX)),
        // Not in the database.
        (3, "claviger", "claviger", None),
    ] {
        database.add_workspace(&a_workspace(workspace).catalog(catalog).build()).await;
        let key = a_key(number).workspace(workspace).build();
        database.add_keys(std::slice::from_ref(&key)).await;
        let stored = database.store.keys().find_by_digest(&digest_of(&key)).await.unwrap().unwrap();
        assert_eq!(stored.key, key);
        assert_eq!(stored.tenant.catalog, catalog_id(catalog));
        assert_eq!(stored.tenant.catalog_revision, revision.map(Uuid::from_u128));
    }
}

async fn what_is_not_there_is_not_found(database: Database) {
    database.add_workspaces(&["acme", "other"]).await;
    let key = a_key(1).build();
    database.add_keys(std::slice::from_ref(&key)).await;
    let keys = database.store.keys();
    assert!(keys.find_by_digest(&SecretDigest::of(b"unknown")).await.unwrap().is_none());
    for (workspace, number) in [("acme", 2), ("other", 1), ("nowhere", 1)] {
        let name = KeyName { workspace: workspace_id(workspace), id: Uuid::from_u128(number) };
        assert_eq!(keys.find(&name).await.unwrap(), None, "{name}");
    }
}

async fn a_digest_belongs_to_one_key(database: Database) {
    database.add_workspaces(&["acme", "other"]).await;
    let first = a_key(1).build();
    database.add_keys(std::slice::from_ref(&first)).await;
    for (second, digest) in [
        (a_key(2).build(), digest_of(&first)),
        (a_key(3).workspace("other").build(), digest_of(&first)),
        // Nor does an id belong to two, in whichever workspace.
        (a_key(1).workspace("other").build(), SecretDigest::of(b"another")),
    ] {
        let refused = database.try_add_key(&second, digest).await.unwrap_err();
        assert!(refused.is_of_database(), "{refused:?}");
        assert_eq!(database.store.keys().find(&second.name).await.unwrap(), None);
    }
    let stored = database.store.keys().find_by_digest(&digest_of(&first)).await.unwrap();
    assert_eq!(stored.unwrap().key, first);
}

async fn a_key_needs_a_workspace(database: Database) {
    let key = a_key(1).build();
    let refused = database.try_add_key(&key, digest_of(&key)).await.unwrap_err();
    assert!(refused.is_of_database(), "{refused:?}");
    assert!(database.store.keys().find_by_digest(&digest_of(&key)).await.unwrap().is_none());
}

/// They may be equal, too: the name of a key is its id.
async fn display_names_are_kept_byte_for_byte(database: Database) {
    const NAMES: [&str; 14] = [
        "cle",
        "Cle",
        "clé",
        "CLÉ",
        "cle\u{301}",
        "clé ",
        " clé",
        "clé  ",
        "clé\u{A0}",
        "c\u{FF4C}é",
        "strasse",
        "straße",
        "stra\u{1E9E}e",
        "clé",
    ];
    database.add_workspaces(&["acme"]).await;
    let keys: Vec<Key> = (1_u128..)
        .zip(NAMES)
        .map(|(number, name)| a_key(number).display_name(name).created_by(name).build())
        .collect();
    database.add_keys(&keys).await;
    for key in &keys {
        let found = database.store.keys().find(&key.name).await.unwrap().unwrap();
        assert_eq!(found.display_name.as_str(), key.display_name.as_str());
        // The name of a creator is the one name that is compared as a whole.
        let filter = KeyFilter { created_by: key.created_by.clone(), ..KeyFilter::default() };
        let listed = database.store.keys().list(&workspace_id("acme"), &filter, None, 100).await;
        let mut same = keys.clone();
        same.retain(|other| other.display_name == key.display_name);
        same.reverse();
        assert_eq!(listed.unwrap(), same, "{:?}", key.display_name);
    }
}

async fn a_key_is_deleted_by_its_whole_name(database: Database) {
    database.add_workspaces(&["acme", "other"]).await;
    let (key, kept) = (a_key(1).build(), a_key(2).build());
    database.add_keys(&[key.clone(), kept.clone()]).await;
    let elsewhere = KeyName { workspace: workspace_id("other"), ..key.name.clone() };
    assert!(!database.delete_key(&elsewhere).await);
    assert!(database.store.keys().find(&key.name).await.unwrap().is_some());
    assert!(database.delete_key(&key.name).await);
    assert!(!database.delete_key(&key.name).await);
    assert_eq!(database.store.keys().find(&key.name).await.unwrap(), None);
    assert!(database.store.keys().find_by_digest(&digest_of(&key)).await.unwrap().is_none());
    assert_eq!(database.store.keys().find(&kept.name).await.unwrap(), Some(kept));
}

async fn all_keys_of_a_workspace_are_deleted(database: Database) {
    database.add_workspaces(&["acme", "other"]).await;
    let kept = a_key(3).workspace("other").build();
    database.add_keys(&[a_key(1).build(), a_key(2).build(), kept.clone()]).await;
    let delete = database.transact(workspace_id("acme"), |acme, tx| {
        Box::pin(async move { Ok(tx.keys().delete_all(acme).await?) })
    });
    delete.await.unwrap();
    assert_eq!(database.store.keys().count(&workspace_id("acme")).await.unwrap(), 0);
    assert_eq!(database.store.keys().find(&kept.name).await.unwrap(), Some(kept));
}

async fn keys_are_counted_per_workspace(database: Database) {
    database.add_workspaces(&["acme", "other"]).await;
    let expired = a_key(2).expire_time(Timestamp::MIN).build();
    let keys = [a_key(1).build(), expired, a_key(3).workspace("other").build()];
    database.add_keys(&keys).await;
    for (workspace, count) in [("acme", 2), ("other", 1), ("nowhere", 0)] {
        let counted = database.store.keys().count(&workspace_id(workspace)).await.unwrap();
        assert_eq!(counted, count, "{workspace}");
    }
}

async fn other_unexpired_keys(database: Database) {
    let now = at(0);
    let (before, after) = (at(-1), at(1));
    for (index, (own, others, expected)) in [
        (None, &[][..], false),
        (None, &[None], true),
        (Some(before), &[None], true),
        (None, &[Some(after)], true),
        // A key is expired at the very instant of its expiry.
        (None, &[Some(now)], false),
        (None, &[Some(before)], false),
        (None, &[Some(before), Some(now), Some(Timestamp::MIN)], false),
        (None, &[Some(before), Some(after)], true),
        (None, &[Some(Timestamp::MAX)], true),
    ]
    .into_iter()
    .enumerate()
    {
        // A workspace for each row: the other rows' keys do not count.
        let workspace = format!("row-{index}");
        database.add_workspaces(&[&workspace]).await;
        let first = u128::try_from(index).unwrap() * 100;
        let keys: Vec<Key> = (first..)
            .zip(std::iter::once(&own).chain(others))
            .map(|(number, expire_time)| Key {
                expire_time: *expire_time,
                ..a_key(number).workspace(&workspace).build()
            })
            .collect();
        database.add_keys(&keys).await;
        let found = database.store.keys().has_other_unexpired(&keys[0].name, now).await.unwrap();
        assert_eq!(found, expected, "{workspace}");
    }
}

async fn operator_keys(database: Database) {
    database.add_workspaces(&["acme", "claviger"]).await;
    let control_key = |number| a_key(number).workspace("claviger").permissions(grants(&["*"]));
    assert_eq!(database.store.keys().operator_keys().await.unwrap(), []);
    let operator = control_key(1).build();
    let another = control_key(2)
        .permissions(grants(&["claviger.authorize", "*"]))
        .created_by("operator")
        .build();
    database
        .add_keys(&[
            operator.clone(),
            another.clone(),
            control_key(3).permissions(grants(&["claviger.*", "claviger.authorize"])).build(),
            control_key(4).permissions(Vec::new()).build(),
            control_key(5).workspace_scope(&["acme"]).build(),
            control_key(6).expire_time(Timestamp::MAX).build(),
            control_key(7).allowed_ips(&["192.0.2.1"]).build(),
            control_key(8).workspace("acme").build(),
        ])
        .await;
    let mut found = database.store.keys().operator_keys().await.unwrap();
    found.sort_by_key(|key| key.name.id);
    assert_eq!(found, [operator, another]);
}

async fn a_holder_is_found_by_exact_grants(database: Database) {
    for (workspace, catalog) in
        [("acme", "small"), ("globex", "small"), ("other", "large"), ("claviger", "claviger")]
    {
        database.add_workspace(&a_workspace(workspace).catalog(catalog).build()).await;
    }
    database
        .add_keys(&[
            a_key(1).permissions(grants(&["*"])).build(),
            a_key(2).permissions(grants(&["users.*"])).build(),
            a_key(3).permissions(grants(&["users.track", "items.get"])).build(),
            a_key(4).permissions(grants(&["users.track", "items.get"])).build(),
            a_key(5).workspace("globex").permissions(grants(&["sso.*", "sso.login"])).build(),
            a_key(6).workspace("other").permissions(grants(&["users.delete"])).build(),
        ])
        .await;
    for (catalog, permissions, holders, held) in [
        ("small", &["users.track"][..], &[3, 4][..], "users.track"),
        ("small", &["items.get", "users.delete"], &[3, 4], "items.get"),
        ("small", &["sso.login"], &[5], "sso.login"),
        ("large", &["users.track", "users.delete", "users"], &[6], "users.delete"),
        // By pattern only, in another catalogue only, as a part of a name only, nothing asked.
        ("small", &["users.delete"], &[], ""),
        ("large", &["users.track"], &[], ""),
        ("claviger", &["users.track"], &[], ""),
        ("small", &["users.trac", "track", "users", "sso"], &[], ""),
        ("small", &[], &[], ""),
    ] {
        let names: Vec<_> = permissions.iter().map(|name| permission_name(name)).collect();
        let asked: HashSet<_> = names.iter().collect();
        let found = database.store.keys().find_holder(&catalog_id(catalog), &asked).await.unwrap();
        match found {
            Some((key, permission)) => {
                assert_eq!(permission.as_str(), held, "{catalog} {permissions:?}");
                assert!(holders.contains(&key.id.as_u128()), "{catalog} {permissions:?}: {key}");
                assert_eq!(database.store.keys().find(&key).await.unwrap().unwrap().name, key);
            }
            None => assert_eq!(holders, [], "{catalog} {permissions:?}"),
        }
    }
}

/// An engine may look at no more than the beginning of long texts when it leaves out duplicates.
async fn holders_with_long_grants_are_told_apart(database: Database) {
    database.add_workspaces(&["acme"]).await;
    let common = longest_names(MAX_GRANTS - 1);
    let lasts = ["users.track", "users.delete"].map(permission_name);
    for (number, last) in (1..).zip(&lasts) {
        let permissions = common.iter().chain([last]).cloned().map(Grant::Exactly).collect();
        database.add_keys(&[a_key(number).permissions(permissions).build()]).await;
    }
    for (number, last) in (1..).zip(lasts) {
        let asked = HashSet::from([&last]);
        let found = database.store.keys().find_holder(&catalog_id("small"), &asked).await.unwrap();
        let name = KeyName { workspace: workspace_id("acme"), id: Uuid::from_u128(number) };
        assert_eq!(found, Some((name, last)));
    }
}

async fn when_keys_were_last_seen_is_written_together_and_never_moves_backwards(
    database: Database,
) {
    database.add_workspaces(&["acme"]).await;
    let keys = [
        a_key(1).build(),
        a_key(2).last_seen_time(at(5)).build(),
        a_key(3).last_seen_time(at(30)).build(),
        // Later than what is written of it, earlier than what is written of another.
        a_key(4).last_seen_time(at(15)).build(),
        a_key(5).build(),
    ];
    database.add_keys(&keys).await;
    let id = |number: usize| keys[number - 1].name.id;
    // Of one there is nothing any more.
    let seen =
        vec![(at(10), vec![id(1), id(3), id(4)]), (at(20), vec![id(2), Uuid::from_u128(99)])];
    let see =
        database.transact(seen, |seen, tx| Box::pin(async move { Ok(tx.keys().see(seen).await?) }));
    see.await.unwrap();
    let mut times = Vec::new();
    for key in &keys {
        times.push(database.store.keys().find(&key.name).await.unwrap().unwrap().last_seen_time);
    }
    assert_eq!(times, [Some(at(10)), Some(at(20)), Some(at(30)), Some(at(15)), None]);
}
