//! Keys through the wire: what a key page needs.

mod support;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use claviger::proto::{
    CloneKeyRequest, CreateKeyRequest, CreateKeyResponse, DeleteKeyRequest,
    DeleteNetworkSetRequest, DeleteWorkspaceRequest, GetKeyRequest, GetNetworkSetRequest,
    GetWorkspaceRequest, Key, ListKeysRequest, Policy, Reason, Role, UpdateWorkspaceRequest,
    Workspace,
};
use prost_types::FieldMask;
use support::builders::{a_key, a_question};
use support::clock::FakeClock;
use support::fire::limits_hold_under_fire;
use support::server::{Client, TestServer};
use support::status::refusal;
use tonic::{Code, Status};

const ACME: &str = "workspaces/acme";

async fn get(client: &Client, name: &str) -> Key {
    let request = GetKeyRequest { name: name.to_owned() };
    client.keys.clone().get_key(request).await.unwrap().into_inner().key.unwrap()
}

async fn delete(client: &Client, name: &str) {
    let request = DeleteKeyRequest { name: name.to_owned() };
    client.keys.clone().delete_key(request).await.unwrap();
}

/// The display names of all keys that a query finds, over as many pages as it takes.
async fn list(client: &Client, query: ListKeysRequest) -> Vec<String> {
    let mut request = ListKeysRequest { parent: ACME.to_owned(), ..query };
    let mut names = Vec::new();
    loop {
        let page = client.keys.clone().list_keys(request.clone()).await.unwrap().into_inner();
        names.extend(page.keys.into_iter().map(|key| key.display_name));
        if page.next_page_token.is_empty() {
            return names;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn b2_b9_a_key_has_a_name_addresses_and_permissions() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let key = a_key("Shop back end – Zürich 🏔")
        .permissions(&["users.track", "items.*"])
        .allowed_ips(&["203.0.113.0/24", "2001:db8::/32", "192.0.2.7/32"])
        .expire_time(FakeClock::at(3_600))
        .build();
    let created = operator.create_key(ACME, key).await.unwrap().key.unwrap();
    assert_eq!(created.display_name, "Shop back end – Zürich 🏔");
    assert_eq!(created.permissions, ["users.track", "items.*"]);
    assert_eq!(created.allowed_ips, ["203.0.113.0/24", "2001:db8::/32", "192.0.2.7"]);
    assert_eq!(created.expire_time, Some(FakeClock::at(3_600)));
    assert_eq!(get(&operator, &created.name).await, created);
}

#[tokio::test]
async fn b1_a_key_is_worth_nothing_outside_its_workspace() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    operator.create_workspace("other", "catalogs/small", Policy::default()).await.unwrap();
    let key = a_key("k").permissions(&["*"]).build();
    let secret = operator.create_key(ACME, key).await.unwrap().secret;
    for (workspace, reason) in [
        ("", Reason::Allowed),
        (ACME, Reason::Allowed),
        ("workspaces/other", Reason::WorkspaceMismatch),
        ("workspaces/not-there", Reason::WorkspaceMismatch),
    ] {
        let question = a_question(&secret).permission("users.track").workspace(workspace).build();
        assert_eq!(operator.authorize(question).await.unwrap().reason(), reason, "{workspace}");
    }
}

/// No RPC, whatever it is called, takes a key to change: every one that takes a `Key` creates it.
#[test]
fn b7_there_is_no_call_that_changes_a_key() {
    use prost::Message;
    let set = prost_types::FileDescriptorSet::decode(claviger::proto::FILE_DESCRIPTOR_SET).unwrap();
    let mut messages = HashMap::new();
    for file in &set.file {
        let mut to_list: Vec<(String, &prost_types::DescriptorProto)> = Vec::new();
        to_list.extend(file.message_type.iter().map(|one| (format!(".{}", file.package()), one)));
        while let Some((parent, message)) = to_list.pop() {
            let name = format!("{parent}.{}", message.name());
            to_list.extend(message.nested_type.iter().map(|nested| (name.clone(), nested)));
            messages.insert(name, message);
        }
    }
    // What says what a key may do, wherever it stands in the request of any call: all fields of a
    // key but what it is called and what the server writes.
    let written = ["name", "display_name", "hint", "created_by", "create_time", "last_seen_time"];
    let fields =
        messages[".claviger.v1.Key"].field.iter().map(prost_types::FieldDescriptorProto::name);
    let says: Vec<&str> = fields.filter(|field| !written.contains(field)).collect();
    assert_eq!(
        says,
        ["permissions", "allowed_ips", "network_sets", "expire_time", "workspace_scope"]
    );
    let mut found = HashSet::new();
    for method in set.file.iter().flat_map(|file| &file.service).flat_map(|one| &one.method) {
        let mut to_walk = vec![(method.name().to_owned(), method.input_type())];
        let mut walked = HashSet::new();
        while let Some((path, name)) = to_walk.pop() {
            let Some(message) = messages.get(name) else { continue };
            if !walked.insert(name) {
                continue;
            }
            for field in &message.field {
                let path = format!("{path}.{}", field.name());
                if says.contains(&field.name()) {
                    found.insert(path.clone());
                }
                to_walk.push((path, field.type_name()));
            }
        }
    }
    let expected = says.iter().map(|field| format!("CreateKey.key.{field}"));
    // The permissions that a catalogue has, not those that a key was granted.
    let catalog = "ApplyCatalog.catalog.permissions".to_owned();
    assert_eq!(found, expected.chain([catalog]).collect());

    let methods: Vec<&str> = set
        .file
        .iter()
        .flat_map(|file| &file.service)
        .filter(|service| service.name() == "KeyService")
        .flat_map(|service| service.method.iter().map(prost_types::MethodDescriptorProto::name))
        .collect();
    assert_eq!(methods, ["CreateKey", "CloneKey", "RevealKey", "GetKey", "ListKeys", "DeleteKey"]);
}

#[tokio::test]
async fn b8_c4_the_list_shows_who_and_when_and_names_need_not_be_unique() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let dashboard = a_key("Dashboard").permissions(&["claviger.keys.*"]).build();
    let dashboard = operator.create_key("workspaces/claviger", dashboard).await.unwrap().secret;
    let dashboard = server.caller(&dashboard);
    for _ in 0..2 {
        let key = a_key("same").permissions(&["*"]).build();
        let key = Key { created_by: Some("somebody else".to_owned()), ..key };
        dashboard.create_key(ACME, key).await.unwrap();
        server.clock.advance(Duration::from_secs(1));
    }
    let request = ListKeysRequest { parent: ACME.to_owned(), ..ListKeysRequest::default() };
    let keys = operator.keys.clone().list_keys(request).await.unwrap().into_inner().keys;
    assert_eq!(keys.len(), 2);
    for (key, created) in keys.iter().zip([1, 0]) {
        assert_eq!(key.display_name, "same");
        assert_eq!(key.created_by.as_deref(), Some("Dashboard"));
        assert_eq!(key.create_time, Some(FakeClock::at(created)));
        assert_eq!(key.last_seen_time, None);
        assert!(key.hint.starts_with("key_..."), "{}", key.hint);
    }
}

#[tokio::test]
async fn b8_last_seen_is_absent_until_first_use_and_moves_on_every_verdict() {
    let mut server = TestServer::with_acme().await;
    let key = a_key("k").permissions(&["users.track"]).allowed_ips(&["10.0.0.1"]);
    let created = server.operator().create_key(ACME, key.build()).await.unwrap();
    let name = created.key.unwrap().name;
    let unused = a_key("unused").permissions(&["*"]).build();
    server.operator().create_key(ACME, unused).await.unwrap();
    assert_eq!(get(&server.operator(), &name).await.last_seen_time, None);
    let question = || a_question(&created.secret);
    for (minute, question, reason) in [
        (1, question().permission("users.track").from("10.0.0.1"), Reason::Allowed),
        (2, question().permission("users.track").from("10.0.0.2"), Reason::IpDenied),
        (3, question().permission("users.delete"), Reason::PermissionDenied),
        (4, question().permission("not.there"), Reason::PermissionUnknown),
        (5, question().workspace("workspaces/other"), Reason::WorkspaceMismatch),
    ] {
        server.clock.advance(Duration::from_secs(60));
        let response = server.operator().authorize(question.build()).await.unwrap();
        assert_eq!(response.reason(), reason);
        // It is written at the latest at shutdown.
        server = server.restart().await;
        let seen = get(&server.operator(), &name).await.last_seen_time;
        assert_eq!(seen, Some(FakeClock::at(60 * minute)), "{reason:?}");
    }
    let keys = |since: i64| {
        let not_seen_since = Some(FakeClock::at(since));
        ListKeysRequest { not_seen_since, ..ListKeysRequest::default() }
    };
    assert_eq!(list(&server.operator(), keys(300)).await, ["unused"]);
    assert_eq!(list(&server.operator(), keys(301)).await.len(), 2);
}

#[tokio::test]
async fn b10_deleting_is_at_once_and_for_good() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let key = a_key("k").permissions(&["*"]).build();
    let CreateKeyResponse { key, secret, .. } = operator.create_key(ACME, key).await.unwrap();
    let name = key.unwrap().name;
    delete(&operator, &name).await;
    let response = operator.authorize(a_question(&secret).build()).await.unwrap();
    assert_eq!(response.reason(), Reason::KeyUnknown);
    let request = GetKeyRequest { name };
    assert_eq!(refusal(operator.keys.clone().get_key(request).await).0, Code::NotFound);
    assert_eq!(list(&operator, ListKeysRequest::default()).await, [""; 0]);
}

#[tokio::test]
async fn c2_c5_the_secret_and_its_header_are_in_the_answer_to_create_and_nowhere_else() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let key = a_key("k").permissions(&["*"]).build();
    let created = operator.create_key(ACME, key).await.unwrap();
    let expected = format!("Basic {}", BASE64_STANDARD.encode(&created.secret));
    assert_eq!(created.authorization_header, expected);
    let key = created.key.unwrap();
    let request = ListKeysRequest { parent: ACME.to_owned(), ..ListKeysRequest::default() };
    let listed = operator.keys.clone().list_keys(request).await.unwrap().into_inner();
    for shown in [
        format!("{key:?}"),
        format!("{:?}", get(&operator, &key.name).await),
        format!("{listed:?}"),
    ] {
        assert!(!shown.contains(&created.secret) && !shown.contains("Basic "), "{shown}");
    }
}

#[tokio::test]
async fn c3_a_workspace_can_start_with_a_key() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    for (id, defaults, permission, reason) in [
        ("any", &[][..], "users.delete", Reason::Allowed),
        ("some", &["users.track"], "users.track", Reason::Allowed),
        ("less", &["users.track"], "users.delete", Reason::PermissionDenied),
    ] {
        let policy = Policy {
            provision_first_key: true,
            default_permissions: defaults.iter().map(ToString::to_string).collect(),
            ..Policy::default()
        };
        let created = operator.create_workspace(id, "catalogs/small", policy).await.unwrap();
        let first = created.first_key.unwrap();
        assert!(first.authorization_header.starts_with("Basic "));
        assert_eq!(first.key.unwrap().display_name, "First key");
        let question = a_question(&first.secret).permission(permission).build();
        assert_eq!(operator.authorize(question).await.unwrap().reason(), reason, "{id}");
    }
}

#[tokio::test]
async fn c7_k2_a_workspace_has_a_limit_of_keys_or_none() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let policy = Policy { max_keys: 10, ..Policy::default() };
    operator.create_workspace("ten", "catalogs/small", policy).await.unwrap();
    let key = || a_key("k").permissions(&["*"]).expire_time(FakeClock::at(60)).build();
    let mut last = String::new();
    for _ in 0..10 {
        last = operator.create_key("workspaces/ten", key()).await.unwrap().key.unwrap().name;
        operator.create_key(ACME, key()).await.unwrap();
    }
    // Expired ones count.
    server.clock.advance(Duration::from_secs(61));
    let key = || a_key("k").permissions(&["*"]).build();
    let status = operator.create_key("workspaces/ten", key()).await.unwrap_err();
    assert!(status.message().contains("delete one first"), "{}", status.message());
    assert_eq!(
        refusal::<()>(Err(status)),
        (Code::FailedPrecondition, "MAX_KEYS_REACHED".to_owned())
    );
    delete(&operator, &last).await;
    operator.create_key("workspaces/ten", key()).await.unwrap();
    operator.create_key(ACME, key()).await.unwrap();
}

#[tokio::test]
async fn c8_the_last_key_that_is_good_stays() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let policy = Policy { keep_last_key: true, ..Policy::default() };
    operator.create_workspace("kept", "catalogs/small", policy).await.unwrap();
    let parent = "workspaces/kept";
    let key = || a_key("k").permissions(&["*"]);
    let expiring = key().expire_time(FakeClock::at(60)).build();
    let expiring = operator.create_key(parent, expiring).await.unwrap().key.unwrap().name;
    let last = operator.create_key(parent, key().build()).await.unwrap().key.unwrap().name;
    server.clock.advance(Duration::from_secs(60));
    let request = || DeleteKeyRequest { name: last.clone() };
    let status = operator.keys.clone().delete_key(request()).await.unwrap_err();
    assert!(status.message().contains("create another first"), "{}", status.message());
    assert_eq!(refusal::<()>(Err(status)), (Code::FailedPrecondition, "LAST_KEY".to_owned()));
    delete(&operator, &expiring).await;
    operator.create_key(parent, key().build()).await.unwrap();
    delete(&operator, &last).await;
}

#[tokio::test]
async fn keys_are_listed_newest_first_and_filtered() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    for (name, permissions, expires) in [
        ("Alpha", &["users.track"][..], None),
        ("ALPHA_beta", &["users.*"], Some(100)),
        ("100%", &["items.get"], Some(50)),
        ("École", &["*"], None),
    ] {
        let mut key = a_key(name).permissions(permissions);
        if let Some(seconds) = expires {
            key = key.expire_time(FakeClock::at(seconds));
        }
        operator.create_key(ACME, key.build()).await.unwrap();
        server.clock.advance(Duration::from_secs(1));
    }
    let query = ListKeysRequest::default;
    for (query, expected) in [
        (query(), &["École", "100%", "ALPHA_beta", "Alpha"][..]),
        (ListKeysRequest { page_size: 1, ..query() }, &["École", "100%", "ALPHA_beta", "Alpha"]),
        (ListKeysRequest { page_size: 3, ..query() }, &["École", "100%", "ALPHA_beta", "Alpha"]),
        (
            ListKeysRequest { display_name_contains: "alpha".into(), ..query() },
            &["ALPHA_beta", "Alpha"],
        ),
        (ListKeysRequest { display_name_contains: "%".into(), ..query() }, &["100%"]),
        (ListKeysRequest { display_name_contains: "_".into(), ..query() }, &["ALPHA_beta"]),
        (ListKeysRequest { display_name_contains: "éCOLE".into(), ..query() }, &["École"]),
        (ListKeysRequest { display_name_contains: "\\".into(), ..query() }, &[]),
        (
            ListKeysRequest { permission: "users.track".into(), page_size: 1, ..query() },
            &["École", "ALPHA_beta", "Alpha"],
        ),
        (ListKeysRequest { permission: "items.get".into(), ..query() }, &["École", "100%"]),
        (ListKeysRequest { permission: "not.there".into(), ..query() }, &[]),
        (ListKeysRequest { expire_time_before: Some(FakeClock::at(100)), ..query() }, &["100%"]),
        (
            ListKeysRequest { created_by: "Operator key".into(), page_size: 3, ..query() },
            &["École", "100%", "ALPHA_beta", "Alpha"],
        ),
        (ListKeysRequest { created_by: "operator key".into(), ..query() }, &[]),
        (
            ListKeysRequest { not_seen_since: Some(FakeClock::at(0)), ..query() },
            &["École", "100%", "ALPHA_beta", "Alpha"],
        ),
        (
            ListKeysRequest {
                permission: "users.track".into(),
                display_name_contains: "a".into(),
                expire_time_before: Some(FakeClock::at(1_000)),
                ..query()
            },
            &["ALPHA_beta"],
        ),
    ] {
        assert_eq!(list(&operator, query.clone()).await, expected, "{query:?}");
    }
}

#[tokio::test]
async fn a_policy_changes_by_the_fields_that_are_named() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let update = |policy: Policy, paths: &[&str]| {
        let mut workspaces = operator.workspaces.clone();
        let workspace = Workspace {
            name: ACME.to_owned(),
            display_name: "Acme & Sons".to_owned(),
            policy: Some(policy),
            ..Workspace::default()
        };
        let mask = FieldMask { paths: paths.iter().map(ToString::to_string).collect() };
        let update_mask = (!paths.is_empty()).then_some(mask);
        let request = UpdateWorkspaceRequest { workspace: Some(workspace), update_mask };
        async move {
            workspaces.update_workspace(request).await.unwrap().into_inner().workspace.unwrap()
        }
    };
    let policy = || Policy {
        max_keys: 3,
        keep_last_key: true,
        default_permissions: vec!["users.*".to_owned()],
        key_prefix: "acme".to_owned(),
        ..Policy::default()
    };
    let before = update(policy(), &["policy.max_keys"]).await;
    assert_eq!(before.display_name, "acme");
    let changed = before.policy.unwrap();
    assert_eq!((changed.max_keys, changed.keep_last_key), (3, false));
    assert_eq!(changed.key_prefix, "key");
    // Without a mask, what is set.
    let all = update(policy(), &[]).await;
    assert_eq!(all.display_name, "Acme & Sons");
    let changed = all.policy.clone().unwrap();
    assert_eq!((changed.max_keys, changed.keep_last_key), (3, true));
    assert_eq!(changed.key_prefix, "acme");
    let request = GetWorkspaceRequest { name: ACME.to_owned() };
    let read = operator.workspaces.clone().get_workspace(request).await.unwrap().into_inner();
    assert_eq!(read.workspace, Some(all.clone()));
    // What was read can be written back as a whole.
    let request = UpdateWorkspaceRequest {
        workspace: Some(all.clone()),
        update_mask: Some(FieldMask { paths: vec!["*".to_owned()] }),
    };
    let again = operator.workspaces.clone().update_workspace(request).await.unwrap().into_inner();
    assert_eq!(again.workspace, Some(all));
    // New keys have the new prefix and the default; there is a default now.
    let created = operator.create_key(ACME, a_key("k").build()).await.unwrap();
    assert!(created.secret.starts_with("acme_"));
    assert_eq!(created.key.unwrap().permissions, ["users.*"]);
}

#[tokio::test]
async fn the_keys_of_a_deleted_workspace_are_unknown_keys_and_it_begins_anew() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let mut secret = String::new();
    // More than are deleted at once.
    for _ in 0..1_001 {
        let key = a_key("k").permissions(&["*"]).build();
        secret = operator.create_key(ACME, key).await.unwrap().secret;
    }
    let request = DeleteWorkspaceRequest { name: ACME.to_owned(), force: true };
    operator.workspaces.clone().delete_workspace(request).await.unwrap();
    let unknown = || async {
        let response = operator.authorize(a_question(&secret).build()).await.unwrap();
        assert_eq!(response.reason(), Reason::KeyUnknown);
    };
    unknown().await;
    operator.create_workspace("acme", "catalogs/small", Policy::default()).await.unwrap();
    unknown().await;
    assert_eq!(list(&operator, ListKeysRequest::default()).await, [""; 0]);
}

/// Klaviyo's scopes: none, read-only, full (which implies read), or everything.
#[tokio::test]
async fn k6_scopes_over_the_wire() {
    use claviger::proto::{ApplyCatalogRequest, Catalog, Permission};
    use support::builders::a_permission;
    let server = TestServer::start().await;
    let operator = server.operator();
    let full = |name: &str, read: &str| Permission {
        implies: vec![read.to_owned()],
        ..a_permission(name)
    };
    let catalog = Catalog {
        name: "catalogs/scopes".to_owned(),
        permissions: vec![
            a_permission("accounts:read"),
            full("accounts:full", "accounts:read"),
            a_permission("lists:read"),
            full("lists:full", "lists:read"),
        ],
        ..Catalog::default()
    };
    let request = ApplyCatalogRequest { catalog: Some(catalog) };
    operator.catalogs.clone().apply_catalog(request).await.unwrap();
    operator.create_workspace("acme", "catalogs/scopes", Policy::default()).await.unwrap();
    let scopes = ["accounts:read", "accounts:full", "lists:read", "lists:full"];
    for (held, allowed) in [
        (&["accounts:read"][..], [true, false, false, false]),
        (&["accounts:full"], [true, true, false, false]),
        (&["accounts:read", "lists:full"], [true, false, true, true]),
        (&["accounts:*"], [true, true, false, false]),
        (&["*"], [true; 4]),
    ] {
        let key = a_key("k").permissions(held).build();
        let secret = operator.create_key(ACME, key).await.unwrap().secret;
        for (scope, allowed) in scopes.into_iter().zip(allowed) {
            let question = a_question(&secret).permission(scope).build();
            let response = operator.authorize(question).await.unwrap();
            assert_eq!(response.allowed, allowed, "{held:?} {scope}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_limits_hold_exactly_under_fire() {
    limits_hold_under_fire(&[&TestServer::with_acme().await]).await;
}

#[tokio::test]
async fn k5_a_clone_differs_in_secret_id_and_creation_and_in_nothing_else() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    operator.apply_network_set("networkSets/platform", &["192.0.2.0/24"]).await.unwrap();
    let key = a_key("Schlüssel")
        .permissions(&["users.*", "items.get"])
        .allowed_ips(&["203.0.113.0/24", "2001:db8::/32"])
        .network_sets(&["networkSets/platform"])
        .expire_time(FakeClock::at(3_600))
        .build();
    let original = operator.create_key("workspaces/acme", key).await.unwrap();
    operator.authorize(a_question(&original.secret).build()).await.unwrap();
    server.clock.advance(Duration::from_secs(60));
    operator.add_member("workspaces/acme", "jane@acme.com", Role::Admin).await.unwrap();
    let jane = server.dashboard(server.operator_key.expose(), "jane@acme.com");
    let name = original.key.as_ref().unwrap().name.clone();
    let clone = jane.clone_key(&name).await.unwrap();

    let (before, after) = (original.key.unwrap(), clone.key.unwrap());
    assert_ne!(after.name, before.name);
    assert_ne!(after.hint, before.hint);
    assert_ne!(clone.secret, original.secret);
    assert_eq!(after.create_time, Some(FakeClock::at(60)));
    assert_eq!(after.created_by.as_deref(), Some("jane@acme.com"));
    assert_eq!(after.last_seen_time, None);
    let mut same = after.clone();
    same.name = before.name.clone();
    same.hint = before.hint.clone();
    same.create_time = before.create_time;
    same.created_by = before.created_by.clone();
    assert_eq!(same, before);
    // The two are decided on alike.
    for address in ["203.0.113.1", "192.0.2.1", "198.51.100.1", ""] {
        for permission in ["users.track", "items.get", "sso.login"] {
            let ask = async |secret: &str| {
                let question = a_question(secret).permission(permission).from(address);
                operator.authorize(question.build()).await.unwrap().reason()
            };
            assert_eq!(ask(&original.secret).await, ask(&clone.secret).await);
        }
    }
    // A key that has ended has no clone.
    server.clock.advance(Duration::from_secs(3_600));
    let refused = refusal(operator.clone_key(&name).await);
    assert_eq!(refused, (Code::FailedPrecondition, "KEY_EXPIRED".to_owned()));
}

#[tokio::test]
async fn a_clone_can_be_asked_for_again() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let key = || a_key("k").permissions(&["*"]).build();
    let original = operator.create_key("workspaces/acme", key()).await.unwrap().key.unwrap();
    let other = operator.create_key("workspaces/acme", key()).await.unwrap().key.unwrap();
    let clone = async |name: &str| {
        let request_id = "6b1f2a3c-1111-4222-8333-000000000001".to_owned();
        let request = CloneKeyRequest { name: name.to_owned(), request_id };
        Ok::<_, Status>(operator.keys.clone().clone_key(request).await?.into_inner())
    };
    let first = clone(&original.name).await.unwrap();
    let again = clone(&original.name).await.unwrap();
    assert_eq!(again.key, first.key);
    assert_eq!((again.secret.as_str(), again.authorization_header.as_str()), ("", ""));
    let reused = (Code::AlreadyExists, "REQUEST_ID_REUSED".to_owned());
    assert_eq!(refusal(clone(&other.name).await), reused);
    // Also for another kind of call.
    let request = CreateKeyRequest {
        parent: "workspaces/acme".to_owned(),
        key: Some(key()),
        request_id: "6b1f2a3c-1111-4222-8333-000000000001".to_owned(),
    };
    assert_eq!(refusal(operator.keys.clone().create_key(request).await), reused);
    assert_eq!(operator.list_keys("workspaces/acme").await.unwrap().len(), 3);
    // Also when the original is gone.
    operator.delete_key(&original.name).await.unwrap();
    assert_eq!(clone(&original.name).await.unwrap().key, first.key);
}

#[tokio::test]
async fn a_control_key_is_cloned_within_the_ceiling() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let parent = "workspaces/claviger";
    let wide = operator.create_key(parent, a_key("c").permissions(&["*"]).build()).await.unwrap();
    let narrow = server.caller_with(&["claviger.control_keys.*"]).await;
    let name = wide.key.unwrap().name;
    let refused = refusal(narrow.clone_key(&name).await);
    assert_eq!(refused, (Code::PermissionDenied, "CONTROL_KEY_CEILING".to_owned()));
    let clone = operator.clone_key(&name).await.unwrap();
    server.caller(&clone.secret).list_keys(parent).await.unwrap();

    // Everything that limits it is cloned, too.
    operator.apply_network_set("networkSets/office", &["127.0.0.1"]).await.unwrap();
    let limited = a_key("c")
        .permissions(&["claviger.control_keys.*", "claviger.keys.*"])
        .workspace_scope(&["workspaces/claviger", "workspaces/acme"])
        .allowed_ips(&["127.0.0.0/8"])
        .network_sets(&["networkSets/office"])
        .expire_time(FakeClock::at(3_600))
        .build();
    let limited = operator.create_key(parent, limited).await.unwrap();
    let (secret, limited) = (limited.secret, limited.key.unwrap());
    let clone = server.caller(&secret).clone_key(&limited.name).await.unwrap().key.unwrap();
    let same = Key {
        name: limited.name.clone(),
        hint: limited.hint.clone(),
        created_by: limited.created_by.clone(),
        ..clone
    };
    assert_eq!(same, limited);
    // Nobody says where their own key may be used from.
    let applier = a_key("c")
        .permissions(&["claviger.network_sets.*"])
        .network_sets(&["networkSets/office"])
        .build();
    let applier = operator.create_key(parent, applier).await.unwrap().secret;
    let wider = server.caller(&applier).apply_network_set("networkSets/office", &["::/0"]).await;
    assert_eq!(refusal(wider), (Code::PermissionDenied, "CONTROL_KEY_CEILING".to_owned()));
    server.caller(&applier).apply_network_set("networkSets/other", &["::/0"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_set_never_goes_while_a_key_that_refers_to_it_comes() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let (mut went, mut stayed) = (0, 0);
    for round in 0..20 {
        let set = format!("networkSets/round-{round}");
        operator.apply_network_set(&set, &["203.0.113.0/24"]).await.unwrap();
        let create = async {
            let key = a_key("k").permissions(&["*"]).network_sets(&[&set]).build();
            operator.create_key(ACME, key).await
        };
        let delete = async {
            let request = DeleteNetworkSetRequest { name: set.clone() };
            operator.catalogs.clone().delete_network_set(request).await
        };
        // Either may be first.
        let (created, deleted) = if round % 2 == 0 {
            tokio::join!(create, delete)
        } else {
            let (deleted, created) = tokio::join!(delete, create);
            (created, deleted)
        };
        let there = GetNetworkSetRequest { name: set.clone() };
        let there = operator.catalogs.clone().get_network_set(there).await.is_ok();
        match (created, deleted) {
            (Ok(_), Err(status)) => {
                assert_eq!(refusal(Err::<(), _>(status)).1, "NETWORK_SET_IN_USE");
                assert!(there);
                stayed += 1;
            }
            (Err(status), Ok(_)) => {
                assert_eq!(status.code(), Code::InvalidArgument);
                assert!(!there);
                went += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(went + stayed, 20);
}
