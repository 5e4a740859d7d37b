//! `CreateKey`, `GetKey` and `DeleteKey`.

use std::time::Duration;

use claviger::proto::{
    CreateKeyRequest, CreateKeyResponse, DeleteKeyRequest, GetKeyRequest, Key, Policy,
};
use prost_types::Timestamp;
use tonic::{Code, Status};

use super::support::builders::{KeyBuilder, a_key};
use super::support::clock::FakeClock;
use super::support::server::{Client, TestServer};
use super::{assert_refused, invalid, refused};

/// The first of very many bad networks: only so many are told.
const NETWORKS: [&str; 12] = [
    "key.allowed_ips[0]",
    "key.allowed_ips[1]",
    "key.allowed_ips[2]",
    "key.allowed_ips[3]",
    "key.allowed_ips[4]",
    "key.allowed_ips[5]",
    "key.allowed_ips[6]",
    "key.allowed_ips[7]",
    "key.allowed_ips[8]",
    "key.allowed_ips[9]",
    "key.allowed_ips[10]",
    "key.allowed_ips[11]",
];
const ACME: &str = "workspaces/acme";

fn a_good_key() -> KeyBuilder {
    a_key("k").permissions(&["users.track"])
}

#[tokio::test]
async fn a_key_that_cannot_be_created() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let too_long = "x".repeat(129);
    let named = |name: &str| a_key(name).permissions(&["users.track"]).build();
    let from = |network: &str| a_good_key().allowed_ips(&[network]).build();
    let holding = |grants: &[&str]| a_key("k").permissions(grants).build();
    let until = |seconds, nanos| a_good_key().expire_time(Timestamp { seconds, nanos }).build();
    let name = || invalid(&["key.display_name"]);
    let network = || invalid(&["key.allowed_ips[0]"]);
    let grant = || invalid(&["key.permissions[0]"]);
    let expiry = || invalid(&["key.expire_time"]);
    let now = FakeClock::START_SECONDS;
    for (row, key, expected) in [
        ("no name", named(""), name()),
        ("a blank name", named(" \t"), name()),
        ("a name of ideographic spaces", named("\u{3000}\u{3000}"), name()),
        ("a name of 129 characters", named(&too_long), name()),
        ("NUL in a name", named("a\0b"), name()),
        ("CR LF in a name", named("a\r\nb"), name()),
        ("a right-to-left override in a name", named("a\u{202E}b"), name()),
        ("a bidirectional isolate in a name", named("a\u{2066}b"), name()),
        ("a zero-width space in a name", named("a\u{200B}b"), name()),
        ("a zero-width joiner in a name", named("a\u{200D}b"), name()),
        ("a byte order mark in a name", named("\u{FEFF}a"), name()),
        ("an escape character in a name", named("\u{1B}[31m"), name()),
        ("a line separator in a name", named("a\u{2028}b"), name()),
        ("a prefix that is too long", from("10.0.0.0/33"), network()),
        ("host bits", from("10.1.2.3/8"), network()),
        ("a leading zero", from("010.0.0.1"), network()),
        ("too few octets", from("10.0/8"), network()),
        ("a zone", from("fe80::1%eth0"), network()),
        ("a mapped network", from("::ffff:10.0.0.0/104"), network()),
        ("a mapped address", from("::ffff:10.0.0.1"), network()),
        ("a leading zero in a prefix", from("10.0.0.0/08"), network()),
        ("a netmask", from("10.0.0.0/255.0.0.0"), network()),
        ("a range", from("10.0.0.1-10.0.0.9"), network()),
        ("a host name", from("localhost"), network()),
        ("no address", from(""), network()),
        ("a blank around an address", from(" 10.0.0.1"), network()),
        ("an address with a port", from("10.0.0.1:80"), network()),
        ("IPv6 host bits", from("2001:db8::1/32"), network()),
        ("an IPv6 prefix that is too long", from("2001:db8::/129"), network()),
        (
            "1,001 networks",
            a_good_key().allowed_ips(&["10.0.0.1"; 1_001]).build(),
            invalid(&["key.allowed_ips"]),
        ),
        (
            "the third of three networks",
            a_good_key().allowed_ips(&["10.0.0.1", "::1", "x"]).build(),
            { invalid(&["key.allowed_ips[2]"]) },
        ),
        ("a typo in a permission", holding(&["users.trak"]), grant()),
        ("a pattern that matches nothing", holding(&["user.*"]), grant()),
        ("a star within a name", holding(&["users*"]), grant()),
        ("two stars", holding(&["**"]), grant()),
        ("upper case in a permission", holding(&["Users.track"]), grant()),
        ("an empty permission", holding(&[""]), grant()),
        ("the second of two permissions", holding(&["users.track", "users.x"]), {
            invalid(&["key.permissions[1]"])
        }),
        ("no permission, and no default", holding(&[]), invalid(&["key.permissions"])),
        ("1,001 permissions", holding(&["users.track"; 1_001]), invalid(&["key.permissions"])),
        ("a permission of Claviger's own", holding(&["claviger.authorize"]), grant()),
        ("expiry now", until(now, 0), expiry()),
        ("expiry a microsecond ago", until(now - 1, 999_999_000), expiry()),
        ("expiry less than a microsecond ahead", until(now, 999), expiry()),
        ("expiry before the epoch", until(-1, 0), expiry()),
        ("expiry in the year 10000", until(253_402_300_800, 0), expiry()),
        ("expiry at the end of time", until(i64::MAX, 0), expiry()),
        ("expiry before time", until(i64::MIN, 0), expiry()),
        ("negative nanoseconds", until(now + 60, -1), expiry()),
        ("a second of nanoseconds", until(now + 60, 1_000_000_000), expiry()),
        (
            "a scope on a customer's key",
            a_good_key().workspace_scope(&[ACME]).build(),
            invalid(&["key.workspace_scope"]),
        ),
        (
            "a network set that is not there",
            a_good_key().network_sets(&["networkSets/x"]).build(),
            invalid(&["key.network_sets[0]"]),
        ),
        (
            "no network sets' names",
            a_good_key().network_sets(&["x", "networkSets/", "networkSets/X"]).build(),
            invalid(&["key.network_sets[0]", "key.network_sets[1]", "key.network_sets[2]"]),
        ),
        (
            "too many network sets",
            a_good_key().network_sets(&["networkSets/x"; 101]).build(),
            invalid(&["key.network_sets"]),
        ),
        (
            "everything at once",
            a_key("").permissions(&["X"]).allowed_ips(&["y"]).build(),
            invalid(&["key.display_name", "key.permissions[0]", "key.allowed_ips[0]"]),
        ),
        (
            "forty bad networks",
            a_good_key().allowed_ips(&["x"; 40]).build(),
            // Only so many are told: they travel in headers.
            invalid(&NETWORKS),
        ),
        ("no key at all", Key::default(), name()),
    ] {
        assert_refused(row, operator.create_key(ACME, key).await, &expected);
    }
    let typo = operator.create_key(ACME, holding(&["users.trak"])).await.unwrap_err();
    assert!(typo.message().contains("`users.trak`"), "it names the typo: {}", typo.message());
}

#[tokio::test]
async fn a_parent_that_is_none() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    for (row, parent, expected) in [
        ("no parent", "", invalid(&["parent"])),
        ("an id without collection", "acme", invalid(&["parent"])),
        ("another collection", "catalogs/small", invalid(&["parent"])),
        ("upper case", "workspaces/Acme", invalid(&["parent"])),
        ("a trailing slash", "workspaces/acme/", invalid(&["parent"])),
        ("a wildcard", "workspaces/-", invalid(&["parent"])),
        ("a workspace that is not there", "workspaces/nobody", {
            refused(Code::NotFound, "WORKSPACE_NOT_FOUND")
        }),
    ] {
        assert_refused(row, operator.create_key(parent, a_good_key().build()).await, &expected);
    }
}

#[tokio::test]
async fn output_only_fields_are_ignored() {
    let server = TestServer::with_acme().await;
    let key = Key {
        name: "not a name".to_owned(),
        hint: "mine".to_owned(),
        created_by: Some("somebody".to_owned()),
        create_time: Some(Timestamp { seconds: 1, nanos: 0 }),
        last_seen_time: Some(Timestamp { seconds: 1, nanos: 0 }),
        ..a_good_key().build()
    };
    let created = server.operator().create_key(ACME, key).await.unwrap().key.unwrap();
    assert!(created.name.starts_with("workspaces/acme/keys/"));
    assert!(created.hint.starts_with("key_..."));
    assert_eq!(created.created_by.as_deref(), Some("Operator key"));
    assert_eq!(created.create_time, Some(FakeClock::at(0)));
    assert_eq!(created.last_seen_time, None);
}

async fn create(
    client: &Client,
    parent: &str,
    key: &Key,
    request_id: &str,
) -> Result<CreateKeyResponse, Status> {
    let (parent, request_id) = (parent.to_owned(), request_id.to_owned());
    let request = CreateKeyRequest { parent, key: Some(key.clone()), request_id };
    Ok(client.keys.clone().create_key(request).await?.into_inner())
}

async fn delete(client: &Client, name: &str) -> Result<(), Status> {
    let request = DeleteKeyRequest { name: name.to_owned() };
    client.keys.clone().delete_key(request).await.map(drop)
}

#[tokio::test]
async fn a_request_id_names_one_request() {
    const ID: &str = "6b1f2a3c-1111-4222-8333-444455556666";
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    for id in [
        "x",
        "6b1f2a3c111142228333444455556666",
        "6B1F2A3C-1111-4222-8333-444455556666",
        "{6b1f2a3c-1111-4222-8333-444455556666}",
        " 6b1f2a3c-1111-4222-8333-444455556666",
    ] {
        let answer = create(&operator, ACME, &a_good_key().build(), id).await;
        assert_refused(id, answer, &invalid(&["request_id"]));
    }

    let policy = Policy { max_keys: 1, ..Policy::default() };
    operator.create_workspace("one", "catalogs/small", policy).await.unwrap();
    let one = "workspaces/one";
    let key = || a_good_key().allowed_ips(&["10.0.0.1"]).expire_time(FakeClock::at(600));
    let first = create(&operator, one, &key().build(), ID).await.unwrap();
    // The same again, though the limit is reached, it is written differently, and is expired now.
    server.clock.advance(Duration::from_secs(3_600));
    let same = key().allowed_ips(&["10.0.0.1/32"]).build();
    let again = create(&operator, one, &same, ID).await.unwrap();
    assert_eq!(again.key, first.key);
    assert_eq!((again.secret.as_str(), again.authorization_header.as_str()), ("", ""));
    let reused = refused(Code::AlreadyExists, "REQUEST_ID_REUSED");
    for (row, other) in [
        ("another name", a_key("other").permissions(&["users.track"]).allowed_ips(&["10.0.0.1"])),
        ("other permissions", key().permissions(&["users.*"])),
        ("other addresses", key().allowed_ips(&[])),
        ("another expiry", key().expire_time(FakeClock::at(601))),
    ] {
        assert_refused(row, create(&operator, one, &other.build(), ID).await, &reused);
    }
    // Elsewhere it is another request.
    let elsewhere = create(&operator, ACME, &a_good_key().build(), ID).await.unwrap();
    assert_ne!(elsewhere.secret, "");

    let name = first.key.unwrap().name;
    delete(&operator, &name).await.unwrap();
    let gone = refused(Code::FailedPrecondition, "REQUEST_KEY_DELETED");
    assert_refused("deleted", create(&operator, one, &key().build(), ID).await, &gone);
    // To the last instant of the 24 hours, and not beyond.
    server.clock.advance(Duration::from_secs(23 * 3_600));
    assert_refused("in a day", create(&operator, one, &key().build(), ID).await, &gone);
    server.clock.advance(Duration::from_micros(1));
    let anew = create(&operator, one, &a_good_key().build(), ID).await.unwrap();
    assert_ne!(anew.key.unwrap().name, name);
}

#[tokio::test]
async fn a_key_that_is_not_there_is_not_found_whatever_the_cause() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    operator.create_workspace("other", "catalogs/small", Policy::default()).await.unwrap();
    let created = operator.create_key("workspaces/other", a_good_key().build()).await.unwrap();
    let others = created.key.unwrap().name;
    let elsewhere = others.replace("workspaces/other", ACME);
    let deleted = operator.create_key(ACME, a_good_key().build()).await.unwrap().key.unwrap().name;
    delete(&operator, &deleted).await.unwrap();
    let names = [
        "workspaces/acme/keys/0198a1b2-0000-7000-8000-00000000000a",
        "workspaces/nobody/keys/0198a1b2-0000-7000-8000-00000000000a",
        &elsewhere,
        &deleted,
    ];
    let mut answers = Vec::new();
    for name in names {
        let status = delete(&operator, name).await.unwrap_err();
        answers.push((status.code(), status.message().to_owned(), status.details().to_vec()));
        let request = GetKeyRequest { name: name.to_owned() };
        let got = operator.keys.clone().get_key(request).await;
        assert_refused(name, got, &refused(Code::NotFound, "KEY_NOT_FOUND"));
    }
    assert_eq!(answers[0].0, Code::NotFound);
    answers.dedup();
    assert_eq!(answers.len(), 1, "byte for byte the same: {answers:?}");
    assert!(delete(&operator, &others).await.is_ok(), "and it was left alone");
}

#[tokio::test]
async fn a_name_that_is_none_is_not_echoed() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let secret = operator.create_key(ACME, a_good_key().build()).await.unwrap().secret;
    for name in [
        &secret,
        "",
        "workspaces/acme",
        "workspaces/acme/keys/",
        "workspaces/acme/keys/01A1FFC6-1432-76B6-9FBB-59574A6E633C",
        "workspaces/acme/keys/01a1ffc6143276b69fbb59574a6e633c",
        &format!("workspaces/acme/keys/{secret}"),
        "workspaces/acme/keys/0198a1b2-0000-7000-8000-00000000000a/x",
    ] {
        let status = delete(&operator, name).await.unwrap_err();
        let said = format!("{status:?}{}", String::from_utf8_lossy(status.details()));
        assert!(!said.contains(&secret), "{said}");
        assert_refused("delete", Err::<(), _>(status), &invalid(&["name"]));
        let request = GetKeyRequest { name: name.to_owned() };
        let got = operator.keys.clone().get_key(request).await;
        assert_refused("get", got, &invalid(&["name"]));
    }
}

/// An error travels in headers, and many clients take eight kilobytes of these and no more.
#[tokio::test]
async fn an_error_fits_into_headers() {
    let server = TestServer::with_acme().await;
    let long: Vec<String> =
        (0..1_000).map(|number| format!("{number:04}{}", "x".repeat(124))).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    for key in [
        a_key("k").permissions(&long).build(),
        a_key("k").permissions(&["*"]).allowed_ips(&["2001:db8:1:2:3:4:5:6/64"; 1_000]).build(),
        a_key("k").permissions(&["*"]).network_sets(&["networkSets/not-there"; 100]).build(),
    ] {
        let status = server.operator().create_key("workspaces/acme", key).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        assert!(!super::fields(&status).is_empty());
        assert!(status.message().ends_with("; and more"), "{}", status.message());
        // Base64 makes four of three, percent-encoding at the most three of one.
        let size = status.details().len() * 4 / 3 + status.message().len() * 5 / 4;
        assert!(size < 7 * 1_024, "{size} bytes");
    }
}
