//! Codat by configuration alone: one test for each requirement.

mod support;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use claviger::proto::{Reason, Role};
use support::builders::{a_key, a_question};
use support::clock::FakeClock;
use support::products::{self, CODAT};
use support::server::{Client, TestServer};
use support::status::refusal;
use tonic::Code;

/// A server with Codat's files applied, the secret of the first key, and a developer's dashboard.
async fn product() -> (TestServer, String, Client) {
    let server = TestServer::start_with(products::settings()).await;
    let said = products::set_up(&server, "codat").await;
    let secret = said.split_whitespace().find(|word| word.starts_with("codat_")).unwrap();
    let developer = products::dashboard(&server, CODAT, Role::Developer).await;
    (server, secret.to_owned(), developer)
}

fn named(name: &str) -> claviger::proto::Key {
    a_key(name).build()
}

#[tokio::test]
async fn c1_the_key_travels_in_a_basic_header() {
    let (server, secret, _) = product().await;
    let basic = |text: &str| BASE64_STANDARD.encode(text);
    for (header, reason) in [
        (format!("Basic {}", basic(&secret)), Reason::Allowed),
        (format!("Basic {}", basic(&format!("{secret}:"))), Reason::Allowed),
        (format!("basic {}", basic(&secret)), Reason::Allowed),
        (format!("Bearer {secret}"), Reason::Allowed),
        (format!("Basic {secret}"), Reason::KeyMalformed),
        (format!("Basic {}", basic(&format!("{secret}:password"))), Reason::KeyUnknown),
        (String::new(), Reason::KeyMissing),
    ] {
        let question = a_question("").header(&header).permission("api").build();
        let response = server.operator().authorize(question).await.unwrap();
        assert_eq!(response.reason(), reason, "{header}");
    }
}

#[tokio::test]
async fn c2_creating_a_key_returns_it_raw_and_as_a_header() {
    let (server, _, developer) = product().await;
    let created = developer.create_key(CODAT, named("My key")).await.unwrap();
    let encoded = created.authorization_header.strip_prefix("Basic ").unwrap();
    assert_eq!(BASE64_STANDARD.decode(encoded).unwrap(), created.secret.as_bytes());
    let question = a_question("").header(&created.authorization_header).permission("api").build();
    assert!(server.operator().authorize(question).await.unwrap().allowed);
}

#[tokio::test]
async fn c3_a_new_client_starts_with_one_key() {
    let (server, secret, developer) = product().await;
    let keys = developer.list_keys(CODAT).await.unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].permissions, ["*"]);
    let question = a_question(&secret).permission("api").build();
    let response = server.operator().authorize(question).await.unwrap();
    assert_eq!((response.reason(), response.key), (Reason::Allowed, keys[0].name.clone()));
}

#[tokio::test]
async fn c4_keys_are_named_and_names_need_not_be_unique() {
    let (_server, _, developer) = product().await;
    for name in ["Sync", "Sync", "Rapprochement bancaire"] {
        developer.create_key(CODAT, named(name)).await.unwrap();
    }
    let mut names: Vec<String> =
        developer.list_keys(CODAT).await.unwrap().into_iter().map(|key| key.display_name).collect();
    names.sort();
    assert_eq!(names, ["First key", "Rapprochement bancaire", "Sync", "Sync"]);
}

#[tokio::test]
async fn c5_headers_are_in_no_list_and_no_get() {
    let (_server, first, developer) = product().await;
    let created = developer.create_key(CODAT, named("k")).await.unwrap();
    let listed = developer.list_keys(CODAT).await.unwrap();
    let got = developer.get_key(&created.key.unwrap().name).await.unwrap();
    let shown = format!("{listed:?} {got:?}");
    for secret in [&first, &created.secret] {
        let encoded = BASE64_STANDARD.encode(secret);
        assert!(!shown.contains(secret.as_str()) && !shown.contains(&encoded));
    }
    developer.delete_key(&got.name).await.unwrap();
    assert_eq!(developer.list_keys(CODAT).await.unwrap().len(), 1);
}

#[tokio::test]
async fn c6_only_administrators_and_developers_create_view_copy_and_delete() {
    let (server, _, developer) = product().await;
    let first = developer.list_keys(CODAT).await.unwrap()[0].name.clone();
    for (role, may) in
        [(Role::Admin, true), (Role::Developer, true), (Role::Owner, false), (Role::Viewer, false)]
    {
        let person = match role {
            Role::Developer => developer.clone(),
            role => products::dashboard(&server, CODAT, role).await,
        };
        let created = person.create_key(CODAT, named("k")).await;
        let outcomes = [
            created.as_ref().map(drop).map_err(Clone::clone),
            person.list_keys(CODAT).await.map(drop),
            person.get_key(&first).await.map(drop),
            person.reveal_key(&first).await.map(drop),
            person.clone_key(&first).await.map(drop),
        ];
        for outcome in outcomes {
            if may {
                outcome.unwrap();
            } else {
                let refused = (Code::PermissionDenied, "ACTOR_ROLE".to_owned());
                assert_eq!(refusal(outcome), refused, "{role:?}");
            }
        }
        let name = created.map_or(first.clone(), |created| created.key.unwrap().name);
        assert_eq!(person.delete_key(&name).await.is_ok(), may, "{role:?}");
    }
}

#[tokio::test]
async fn c7_ten_keys_at_the_most_and_expired_ones_count() {
    let (server, _, developer) = product().await;
    let first = developer.list_keys(CODAT).await.unwrap()[0].name.clone();
    let expiring = a_key("expiring").expire_time(FakeClock::at(60)).build();
    let expiring = developer.create_key(CODAT, expiring).await.unwrap().key.unwrap();
    for _ in 0..8 {
        developer.create_key(CODAT, named("k")).await.unwrap();
    }
    server.clock.advance(std::time::Duration::from_secs(60));
    for refused in [
        developer.create_key(CODAT, named("one more")).await.map(drop),
        developer.clone_key(&first).await.map(drop),
    ] {
        let status = refused.unwrap_err();
        assert!(status.message().contains("delete one first"), "{}", status.message());
        let expected = (Code::FailedPrecondition, "MAX_KEYS_REACHED".to_owned());
        assert_eq!(refusal(Err::<(), _>(status)), expected);
    }
    developer.delete_key(&expiring.name).await.unwrap();
    developer.create_key(CODAT, named("one more")).await.unwrap();
}

#[tokio::test]
async fn c8_the_last_key_that_is_good_cannot_be_deleted() {
    let (_server, _, developer) = product().await;
    let first = developer.list_keys(CODAT).await.unwrap()[0].name.clone();
    let status = developer.delete_key(&first).await.unwrap_err();
    assert!(status.message().contains("create another first"), "{}", status.message());
    assert_eq!(refusal(Err::<(), _>(status)), (Code::FailedPrecondition, "LAST_KEY".to_owned()));
    developer.create_key(CODAT, named("another")).await.unwrap();
    developer.delete_key(&first).await.unwrap();
}
