//! Lists of keys: order, pages, search and filters.

use claviger::domain::{Key, KeyFilter, Timestamp};
use claviger::store::Cursor;

use super::builders::{a_key, at, numbers, workspace_id};
use super::database::Database;

conformance! {
    the_newest_key_comes_first,
    keys_of_one_instant_are_in_the_order_of_their_ids,
    pages_follow_on_one_another_at_every_size,
    pages_hold_each_key_once_while_others_come_and_go,
    search_ignores_case_and_nothing_else,
    every_character_of_a_search_stands_for_itself,
    filters_hold_alone_and_together,
}

async fn list(
    database: &Database,
    filter: &KeyFilter,
    after: Option<Cursor>,
    limit: u64,
) -> Vec<u128> {
    let keys = database.store.keys().list(&workspace_id("acme"), filter, after, limit).await;
    numbers(&keys.unwrap())
}

async fn list_all(database: &Database, filter: &KeyFilter) -> Vec<u128> {
    list(database, filter, None, 1_000).await
}

fn behind(key: &Key) -> Cursor {
    Cursor { create_time: key.create_time, id: key.name.id }
}

async fn the_newest_key_comes_first(database: Database) {
    database.add_workspaces(&["acme", "other", "empty"]).await;
    let epoch = Timestamp::from_micros(0).unwrap();
    // Neither in the order of the ids nor in that of insertion.
    database
        .add_keys(&[
            a_key(1).create_time(at(1)).build(),
            a_key(5).create_time(epoch).build(),
            a_key(2).create_time(Timestamp::MAX).build(),
            a_key(3).create_time(at(0)).build(),
            a_key(4).create_time(Timestamp::from_micros(-1).unwrap()).build(),
            a_key(6).create_time(Timestamp::MIN).build(),
            a_key(7).workspace("other").build(),
        ])
        .await;
    let everything = KeyFilter::default();
    assert_eq!(list_all(&database, &everything).await, [2, 1, 3, 5, 4, 6]);
    for workspace in ["empty", "nowhere"] {
        let keys = database.store.keys().list(&workspace_id(workspace), &everything, None, 9).await;
        assert_eq!(keys.unwrap(), []);
    }
}

async fn keys_of_one_instant_are_in_the_order_of_their_ids(database: Database) {
    database.add_workspaces(&["acme"]).await;
    // A bit in every part of an id: one that is compared by parts, by signs, or backwards is noticed.
    let ids: Vec<u128> = (0..16).map(|byte| 0x80 << (8 * byte)).chain([u128::MAX]).collect();
    let keys: Vec<Key> = ids.iter().map(|id| a_key(*id).create_time(at(0)).build()).collect();
    database.add_keys(&keys).await;
    let everything = KeyFilter::default();
    let descending: Vec<u128> = ids.iter().rev().copied().collect();
    assert_eq!(list_all(&database, &everything).await, descending);
    for (key, rest) in keys.iter().rev().zip(1..) {
        let behind = list(&database, &everything, Some(behind(key)), 100).await;
        assert_eq!(behind, descending[rest..], "behind {}", key.name.id);
    }
}

async fn pages_follow_on_one_another_at_every_size(database: Database) {
    database.add_workspaces(&["acme"]).await;
    // Four instants, three keys each.
    let keys: Vec<Key> =
        (0..12).map(|n| a_key(n).create_time(at(i64::try_from(n / 3).unwrap())).build()).collect();
    database.add_keys(&keys).await;
    let everything = KeyFilter::default();
    let newest_first: Vec<u128> = (0..12).rev().collect();
    assert_eq!(list(&database, &everything, None, 0).await, []);
    for limit in [1, 2, 3, 5, 12, 13] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = list(&database, &everything, after, limit).await;
            let Some(last) = page.last() else { break };
            after = Some(behind(&keys[usize::try_from(*last).unwrap()]));
            seen.extend(page);
        }
        assert_eq!(seen, newest_first, "{limit} on a page");
    }
}

/// The cursor is a place, not a key: the key that it was made of may be gone.
async fn pages_hold_each_key_once_while_others_come_and_go(database: Database) {
    database.add_workspaces(&["acme"]).await;
    let a_key = |number, time| a_key(number).create_time(at(time)).build();
    let [k10, k20, k30, k40, k50, k60] =
        [(10, 1), (20, 2), (30, 2), (40, 2), (50, 3), (60, 4)].map(|(n, time)| a_key(n, time));
    let all = [&k10, &k20, &k30, &k40, &k50, &k60].map(Clone::clone);
    database.add_keys(&all).await;
    let everything = KeyFilter::default();
    assert_eq!(list(&database, &everything, None, 2).await, [60, 50]);

    // A newer key comes, and one that was seen goes.
    database.add_keys(&[a_key(70, 5)]).await;
    database.delete_key(&k60.name).await;
    assert_eq!(list(&database, &everything, Some(behind(&k50)), 2).await, [40, 30]);

    // Of the instant at which the cursor stands: one key comes before it, one behind it, and the
    // key that it was made of goes.
    database.add_keys(&[a_key(35, 2), a_key(25, 2)]).await;
    database.delete_key(&k30.name).await;
    assert_eq!(list(&database, &everything, Some(behind(&k30)), 2).await, [25, 20]);

    // One that was not seen yet goes, and an older one comes.
    database.delete_key(&k10.name).await;
    database.add_keys(&[a_key(5, 0)]).await;
    assert_eq!(list(&database, &everything, Some(behind(&k20)), 2).await, [5]);
}

async fn search(database: &Database, names: &[&str], text: &str) -> Vec<String> {
    let filter = KeyFilter { display_name_contains: Some(text.to_owned()), ..KeyFilter::default() };
    let mut found = list_all(database, &filter).await;
    found.sort_unstable();
    found.into_iter().map(|n| names[usize::try_from(n).unwrap()].to_owned()).collect()
}

async fn add_named(database: &Database, names: &[&str]) {
    database.add_workspaces(&["acme", "other"]).await;
    let keys: Vec<Key> =
        (0..).zip(names).map(|(number, name)| a_key(number).display_name(name).build()).collect();
    let elsewhere: Vec<Key> = (1_000..)
        .zip(names)
        .map(|(number, name)| a_key(number).workspace("other").display_name(name).build())
        .collect();
    database.add_keys(&keys).await;
    database.add_keys(&elsewhere).await;
}

async fn search_ignores_case_and_nothing_else(database: Database) {
    const NAMES: [&str; 13] = [
        "Billing",
        "École",
        "E\u{301}cole",
        "Ecole",
        "Straße",
        "STRASSE 2",
        "ΟΔΥΣΣΕΥΣ",
        "İstanbul",
        "Istanbul",
        "двор",
        "鍵 the key ",
        "鍵 the keys",
        "\u{FF21}",
    ];
    add_named(&database, &NAMES).await;
    for (text, found) in [
        ("Billing", &["Billing"][..]),
        ("BILL", &["Billing"]),
        ("ling", &["Billing"]),
        ("billings", &[]),
        ("école", &["École"]),
        ("ÉCOLE", &["École"]),
        ("e\u{301}C", &["E\u{301}cole"]),
        ("ecole", &["Ecole"]),
        ("cole", &["École", "E\u{301}cole", "Ecole"]),
        ("strasse", &["Straße", "STRASSE 2"]),
        ("STRAẞE", &["Straße", "STRASSE 2"]),
        ("straße 2", &["STRASSE 2"]),
        ("σευς", &["ΟΔΥΣΣΕΥΣ"]),
        ("δυσ", &["ΟΔΥΣΣΕΥΣ"]),
        ("istanbul", &["Istanbul"]),
        ("ДВОР", &["двор"]),
        ("THE KEY", &["鍵 the key ", "鍵 the keys"]),
        ("key ", &["鍵 the key "]),
        ("鍵", &["鍵 the key ", "鍵 the keys"]),
        // Full width: another letter, not another case.
        ("\u{FF41}", &["\u{FF21}"]),
        ("a", &["İstanbul", "Istanbul", "Straße", "STRASSE 2"]),
        ("", &NAMES),
    ] {
        let mut expected: Vec<&str> = NAMES.to_vec();
        expected.retain(|name| found.contains(name));
        assert_eq!(search(&database, &NAMES, text).await, expected, "{text:?}");
    }
}

async fn every_character_of_a_search_stands_for_itself(database: Database) {
    const NAMES: [&str; 12] = [
        "100%", "100x", "1000", "a_b", "axb", "a\\b", "a\\%b", "a\\xb", "o'clock", "a*b", "[a-z]",
        "what?",
    ];
    add_named(&database, &NAMES).await;
    for (text, found) in [
        ("%", &["100%", "a\\%b"][..]),
        ("100%", &["100%"]),
        ("%%", &[]),
        ("_", &["a_b"]),
        ("a_b", &["a_b"]),
        ("\\", &["a\\b", "a\\%b", "a\\xb"]),
        ("a\\b", &["a\\b"]),
        ("\\%", &["a\\%b"]),
        ("\\_", &[]),
        ("\\\\", &[]),
        ("%b", &["a\\%b"]),
        ("'", &["o'clock"]),
        ("' OR '1'='1", &[]),
        ("*", &["a*b"]),
        ("[a-z]", &["[a-z]"]),
        ("?", &["what?"]),
        ("$1", &[]),
        // No name holds one of these.
        ("\0", &[]),
        ("b\0", &[]),
    ] {
        assert_eq!(search(&database, &NAMES, text).await, found, "{text:?}");
    }
}

async fn filters_hold_alone_and_together(database: Database) {
    database.add_workspaces(&["acme", "other"]).await;
    let of_ann = |number| a_key(number).display_name("Ann's key").created_by("Ann");
    database
        .add_keys(&[
            of_ann(1).build(),
            of_ann(2).expire_time(at(0)).last_seen_time(at(0)).build(),
            of_ann(3).expire_time(at(-1)).last_seen_time(at(-1)).build(),
            of_ann(4).expire_time(at(1)).last_seen_time(at(1)).build(),
            of_ann(5).expire_time(Timestamp::MIN).last_seen_time(Timestamp::MAX).build(),
            of_ann(6).expire_time(Timestamp::MAX).last_seen_time(Timestamp::MIN).build(),
            a_key(7).display_name("ANN'S KEY").created_by("ann").build(),
            a_key(8).display_name("other").created_by("Ann ").expire_time(at(-1)).build(),
            a_key(9).display_name("Ann").build(),
            of_ann(10).workspace("other").expire_time(at(-1)).build(),
        ])
        .await;
    let named = |text: &str| Some(text.to_owned());
    let (everything, [ann, key]) = (KeyFilter::default(), ["Ann", "key"].map(named));
    for (filter, found) in [
        (everything.clone(), &[9, 8, 7, 6, 5, 4, 3, 2, 1][..]),
        (KeyFilter { created_by: ann.clone(), ..everything.clone() }, &[6, 5, 4, 3, 2, 1]),
        (KeyFilter { created_by: named("ann"), ..everything.clone() }, &[7]),
        (KeyFilter { created_by: named("Ann "), ..everything.clone() }, &[8]),
        (KeyFilter { created_by: named("An"), ..everything.clone() }, &[]),
        (KeyFilter { created_by: named("A%"), ..everything.clone() }, &[]),
        (KeyFilter { created_by: named(""), ..everything.clone() }, &[]),
        (KeyFilter { created_by: named("Ann\0"), ..everything.clone() }, &[]),
        // Earlier, not at the same instant; and never is not before anything.
        (KeyFilter { expire_time_before: Some(at(0)), ..everything.clone() }, &[8, 5, 3]),
        (KeyFilter { expire_time_before: Some(at(2)), ..everything.clone() }, &[8, 5, 4, 3, 2]),
        (KeyFilter { expire_time_before: Some(Timestamp::MIN), ..everything.clone() }, &[]),
        // Earlier, not at the same instant; but never is before everything.
        (KeyFilter { not_seen_since: Some(at(0)), ..everything.clone() }, &[9, 8, 7, 6, 3, 1]),
        (KeyFilter { not_seen_since: Some(Timestamp::MIN), ..everything.clone() }, &[9, 8, 7, 1]),
        (
            KeyFilter {
                created_by: ann.clone(),
                not_seen_since: Some(at(0)),
                ..everything.clone()
            },
            &[6, 3, 1],
        ),
        (
            KeyFilter {
                expire_time_before: Some(at(1)),
                not_seen_since: Some(at(1)),
                ..everything.clone()
            },
            &[8, 3, 2],
        ),
        (
            KeyFilter {
                display_name_contains: key.clone(),
                not_seen_since: Some(at(0)),
                ..everything.clone()
            },
            &[7, 6, 3, 1],
        ),
        (
            KeyFilter {
                display_name_contains: key,
                created_by: ann,
                permission: None,
                expire_time_before: Some(at(1)),
                not_seen_since: Some(at(0)),
            },
            &[3],
        ),
        // What only a catalogue can tell is left to the caller.
        (
            KeyFilter { permission: Some("no.such".parse().unwrap()), ..everything.clone() },
            &[9, 8, 7, 6, 5, 4, 3, 2, 1],
        ),
    ] {
        assert_eq!(list_all(&database, &filter).await, found, "{filter:?}");
        // A page of a filtered list begins behind the cursor, as well.
        if let Some((first, rest)) = found.split_first() {
            let first = Some(behind(&a_key(*first).build()));
            assert_eq!(list(&database, &filter, first, 1_000).await, rest, "{filter:?}");
        }
    }
}
