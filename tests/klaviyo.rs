//! Klaviyo by configuration alone: one test for each requirement.

mod support;

use claviger::proto::{
    ApplyCatalogRequest, GetCatalogRequest, GetWorkspaceRequest, Policy, Reason, Role,
};
use support::builders::{a_key, a_question};
use support::products::{self, KLAVIYO};
use support::server::{Client, TestServer};
use support::status::refusal;
use tonic::Code;

/// A server with Klaviyo's files applied, and an owner's dashboard.
async fn product() -> (TestServer, Client) {
    let server = TestServer::start_with(products::settings()).await;
    products::set_up(&server, "klaviyo").await;
    let owner = products::dashboard(&server, KLAVIYO, Role::Owner).await;
    (server, owner)
}

async fn public_key(server: &TestServer, workspace: &str) -> String {
    let request = GetWorkspaceRequest { name: workspace.to_owned() };
    let workspace = server.operator().workspaces.get_workspace(request).await.unwrap();
    workspace.into_inner().workspace.unwrap().public_key
}

#[tokio::test]
async fn k1_a_public_key_is_short_and_opens_what_is_public_only() {
    let (server, owner) = product().await;
    let operator = server.operator();
    let public = public_key(&server, KLAVIYO).await;
    assert_eq!(public.len(), 6);
    assert!(public.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{public}");
    for (method, path, reason) in [
        ("POST", "/client/events", Reason::Allowed),
        ("GET", "/api/profiles", Reason::PublicKeyNotAllowed),
        ("POST", "/api/lists", Reason::PublicKeyNotAllowed),
        ("POST", "/client/nothing", Reason::RouteUnknown),
    ] {
        let question = a_question(&public).http(method, path).build();
        let response = operator.authorize(question).await.unwrap();
        assert_eq!(response.reason(), reason, "{method} {path}");
        assert_eq!(response.allowed, reason == Reason::Allowed);
        assert_eq!((response.workspace.as_str(), response.key.as_str()), (KLAVIYO, ""));
    }
    let ask = async |question: support::builders::QuestionBuilder| {
        operator.authorize(question.build()).await.unwrap().reason()
    };
    // It is no good for nothing in particular, and as a header it is the same.
    assert_eq!(ask(a_question(&public)).await, Reason::PublicKeyNotAllowed);
    let header = a_question("").header(&format!("Bearer {public}")).permission("client.events");
    assert_eq!(ask(header).await, Reason::Allowed);
    // It is one workspace's, and case counts.
    operator.create_workspace("other", "catalogs/klaviyo", Policy::default()).await.unwrap();
    let elsewhere =
        || a_question(&public).permission("client.events").workspace("workspaces/other");
    assert_eq!(ask(elsewhere()).await, Reason::WorkspaceMismatch);
    let other = public_key(&server, "workspaces/other").await;
    assert_ne!(other, public);
    let swapped: String =
        public
            .chars()
            .map(|c| {
                if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
            })
            .collect();
    if swapped != public {
        let question = a_question(&swapped).permission("client.events");
        assert_eq!(ask(question).await, Reason::KeyUnknown);
    }
    // It does not stand in for a private key, nor a private key of nothing for it.
    let none = a_key("reads lists").permissions(&["lists:read"]).build();
    let none = owner.create_key(KLAVIYO, none).await.unwrap().secret;
    let question = a_question(&none).permission("client.events");
    assert_eq!(ask(question).await, Reason::PermissionDenied);
    // As a control key it is nothing.
    let refused = refusal(server.caller(&public).list_keys(KLAVIYO).await);
    assert_eq!(refused, (Code::Unauthenticated, "CONTROL_KEY_INVALID".to_owned()));
}

#[tokio::test]
async fn k1_b12_a_public_key_does_not_use_up_what_private_keys_have() {
    let (server, owner) = product().await;
    let operator = server.operator();
    let roles = vec![Role::Owner.into(), Role::Admin.into()];
    let policy = Policy { requests_per_hour: 2, key_manager_roles: roles, ..Policy::default() };
    operator.set_policy(KLAVIYO, policy).await.unwrap();
    let public = public_key(&server, KLAVIYO).await;
    let private = a_key("k").permissions(&["*"]).build();
    let private = owner.create_key(KLAVIYO, private).await.unwrap().secret;
    let mut reasons = Vec::new();
    for secret in [&public, &public, &public, &private, &private, &private] {
        let question = a_question(secret).permission("client.events").build();
        reasons.push(operator.authorize(question).await.unwrap().reason());
    }
    let used_up = [Reason::Allowed, Reason::Allowed, Reason::RateLimited];
    assert_eq!(reasons, [used_up, used_up].concat());
}

#[tokio::test]
async fn k2_private_keys_are_without_limit() {
    let (server, owner) = product().await;
    for _ in 0..50 {
        owner.create_key(KLAVIYO, a_key("k").permissions(&["*"]).build()).await.unwrap();
    }
    assert_eq!(server.operator().list_keys(KLAVIYO).await.unwrap().len(), 50);
}

#[tokio::test]
async fn k3_only_owners_and_admins_see_the_page() {
    let (server, owner) = product().await;
    owner.list_keys(KLAVIYO).await.unwrap();
    for (role, may) in [(Role::Admin, true), (Role::Developer, false), (Role::Viewer, false)] {
        let person = products::dashboard(&server, KLAVIYO, role).await;
        let key = a_key("k").permissions(&["*"]).build();
        let outcomes = [
            person.list_keys(KLAVIYO).await.map(drop),
            person.create_key(KLAVIYO, key).await.map(drop),
        ];
        for outcome in outcomes {
            assert_eq!(outcome.is_ok(), may, "{role:?}");
        }
    }
}

#[tokio::test]
async fn k4_a_private_key_is_never_seen_again() {
    let (_server, owner) = product().await;
    let created = owner.create_key(KLAVIYO, a_key("k").permissions(&["*"]).build()).await.unwrap();
    let key = created.key.unwrap();
    let refused = refusal(owner.reveal_key(&key.name).await);
    assert_eq!(refused, (Code::FailedPrecondition, "SECRET_SHOWN_ONCE".to_owned()));
    let listed = owner.list_keys(KLAVIYO).await.unwrap();
    assert_eq!(listed[0].display_name, "k");
    assert!(created.secret.ends_with(listed[0].hint.rsplit('.').next().unwrap()));
    assert!(!format!("{listed:?}").contains(&created.secret));
}

#[tokio::test]
async fn k5_a_clone_has_the_same_name_and_scopes_and_a_secret_of_its_own() {
    let (server, owner) = product().await;
    let key = a_key("Reporting")
        .permissions(&["lists:full", "profiles:read"])
        .allowed_ips(&["203.0.113.0/24"])
        .build();
    let original = owner.create_key(KLAVIYO, key).await.unwrap();
    let clone = owner.clone_key(&original.key.as_ref().unwrap().name).await.unwrap();
    assert_ne!(clone.secret, original.secret);
    let (original_key, clone_key) = (original.key.unwrap(), clone.key.unwrap());
    assert_eq!(clone_key.display_name, "Reporting");
    assert_eq!(clone_key.permissions, original_key.permissions);
    assert_eq!(clone_key.allowed_ips, original_key.allowed_ips);
    // Each lives without the other.
    owner.delete_key(&original_key.name).await.unwrap();
    let question = a_question(&clone.secret).http("POST", "/api/lists").from("203.0.113.9").build();
    assert!(server.operator().authorize(question).await.unwrap().allowed);
}

#[tokio::test]
async fn k6_scopes_are_none_read_only_full_or_everything() {
    let (server, owner) = product().await;
    let operator = server.operator();
    let requests = [("GET", "/api/lists"), ("POST", "/api/lists"), ("GET", "/api/profiles")];
    for (grants, allowed) in [
        (&["profiles:read"][..], [false, false, true]),
        (&["lists:read"], [true, false, false]),
        (&["lists:full"], [true, true, false]),
        (&["lists:*"], [true, true, false]),
        (&["lists:full", "profiles:read"], [true, true, true]),
        (&["*"], [true, true, true]),
    ] {
        let key = a_key("k").permissions(grants).build();
        let secret = owner.create_key(KLAVIYO, key).await.unwrap().secret;
        for ((method, path), allowed) in requests.into_iter().zip(allowed) {
            let question = a_question(&secret).http(method, path).build();
            let response = operator.authorize(question).await.unwrap();
            assert_eq!(response.allowed, allowed, "{grants:?} {method} {path}");
        }
    }
    // Every full scope implies its read-only one.
    let get = GetCatalogRequest { name: "catalogs/klaviyo".to_owned() };
    let catalog = operator.catalogs.clone().get_catalog(get).await.unwrap().into_inner().catalog;
    let catalog = catalog.unwrap();
    let full: Vec<_> = catalog.permissions.iter().filter(|p| p.name.ends_with(":full")).collect();
    assert_eq!(full.len(), 18);
    for permission in full {
        assert_eq!(permission.implies, [permission.name.replace(":full", ":read")]);
    }
    // What was read can be applied again: public, implies and routes are all there.
    let apply = ApplyCatalogRequest { catalog: Some(catalog.clone()) };
    let applied = operator.catalogs.clone().apply_catalog(apply).await.unwrap().into_inner();
    assert_eq!(applied.catalog.unwrap().permissions, catalog.permissions);
}
