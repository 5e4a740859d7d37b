//! Every reason of `Authorize`, and the order in which they are found.

mod support;

use claviger::proto::{ApplyCatalogRequest, CreateWorkspaceRequest, Policy, Reason, Workspace};
use support::builders::{a_key, a_question, small_catalog};
use support::clock::FakeClock;
use support::server::TestServer;

/// A request that is wrong in ways that can be chosen. Each way is one check; they are listed in
/// the published order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::enum_variant_names, reason = "they are named like the reasons")]
enum Wrong {
    KeyMissing,
    KeyMalformed,
    KeyUnknown,
    KeyExpired,
    WorkspaceMismatch,
    WrongInstance,
    PermissionUnknown,
    RouteUnknown,
    PublicKeyNotAllowed,
    PermissionDenied,
    IpMissing,
    IpDenied,
    IdentifierUnknown,
    RateLimited,
}

const ORDER: [(Wrong, Reason); 14] = [
    (Wrong::KeyMissing, Reason::KeyMissing),
    (Wrong::KeyMalformed, Reason::KeyMalformed),
    (Wrong::KeyUnknown, Reason::KeyUnknown),
    (Wrong::KeyExpired, Reason::KeyExpired),
    (Wrong::WorkspaceMismatch, Reason::WorkspaceMismatch),
    (Wrong::WrongInstance, Reason::WrongInstance),
    (Wrong::PermissionUnknown, Reason::PermissionUnknown),
    (Wrong::RouteUnknown, Reason::RouteUnknown),
    (Wrong::PublicKeyNotAllowed, Reason::PublicKeyNotAllowed),
    (Wrong::PermissionDenied, Reason::PermissionDenied),
    (Wrong::IpMissing, Reason::IpMissing),
    (Wrong::IpDenied, Reason::IpDenied),
    (Wrong::IdentifierUnknown, Reason::IdentifierUnknown),
    (Wrong::RateLimited, Reason::RateLimited),
];

/// Two ways of being wrong that no single request can combine: a credential is absent, malformed
/// or unknown, or a private key, or a public one; an action is a name or a request line; an address
/// is there or not.
fn exclude_each_other(one: Wrong, other: Wrong) -> bool {
    const KINDS: [&[Wrong]; 3] = [
        &[
            Wrong::KeyMissing,
            Wrong::KeyMalformed,
            Wrong::KeyUnknown,
            Wrong::KeyExpired,
            Wrong::PublicKeyNotAllowed,
        ],
        &[Wrong::PermissionUnknown, Wrong::RouteUnknown, Wrong::PermissionDenied],
        &[Wrong::IpMissing, Wrong::IpDenied],
    ];
    KINDS.iter().any(|kind| kind.contains(&one) && kind.contains(&other))
}

struct Fixture {
    server: TestServer,
    good: String,
    expired: String,
    public: String,
    /// A key whose workspace has used up its limit.
    limited: String,
}

impl Fixture {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let operator = server.operator();
        let catalog = Some(small_catalog());
        operator.catalogs.clone().apply_catalog(ApplyCatalogRequest { catalog }).await.unwrap();
        let mut public = String::new();
        for id in ["limited", "acme"] {
            let requests_per_hour = if id == "limited" { 1 } else { 1_000_000 };
            let workspace = Workspace {
                display_name: id.to_owned(),
                catalog: "catalogs/small".to_owned(),
                instance: "us-01".to_owned(),
                policy: Some(Policy { requests_per_hour, ..Policy::default() }),
                ..Workspace::default()
            };
            let workspace_id = id.to_owned();
            let request = CreateWorkspaceRequest { workspace_id, workspace: Some(workspace) };
            let created = operator.workspaces.clone().create_workspace(request).await.unwrap();
            public = created.into_inner().workspace.unwrap().public_key;
            let parent = format!("workspaces/{id}");
            operator.create_identifier(&parent, "app-1", "app", "App").await.unwrap();
        }
        let key = || a_key("k").permissions(&["users.track"]).allowed_ips(&["203.0.113.0/24"]);
        let good = operator.create_key("workspaces/acme", key().build()).await.unwrap().secret;
        let expiring = key().expire_time(FakeClock::at(60)).build();
        let expired = operator.create_key("workspaces/acme", expiring).await.unwrap().secret;
        // To the very instant of the expiry.
        server.clock.advance(std::time::Duration::from_secs(60));
        let limited = key().build();
        let limited = operator.create_key("workspaces/limited", limited).await.unwrap().secret;
        let first = a_question(&limited).from("203.0.113.9").build();
        assert!(operator.authorize(first).await.unwrap().allowed);
        Self { server, good, expired, public, limited }
    }

    async fn reason(&self, wrong: &[Wrong]) -> Reason {
        let has = |way| wrong.contains(&way);
        let secret = if has(Wrong::KeyMalformed) {
            "no"
        } else if has(Wrong::KeyUnknown) {
            "some-other-key"
        } else if has(Wrong::KeyExpired) {
            &self.expired
        } else if has(Wrong::PublicKeyNotAllowed) {
            &self.public
        } else if has(Wrong::RateLimited) {
            &self.limited
        } else {
            &self.good
        };
        let mut question = a_question(secret);
        if has(Wrong::KeyMissing) {
            question = question.no_credential();
        }
        let instance = if has(Wrong::WrongInstance) { "eu-01" } else { "us-01" };
        let identifier = if has(Wrong::IdentifierUnknown) { "app-2" } else { "app-1" };
        question = question.instance(instance).identifiers(&["app-1", identifier]);
        if has(Wrong::WorkspaceMismatch) {
            question = question.workspace("workspaces/other");
        }
        question = if has(Wrong::PermissionUnknown) {
            question.permission("users.trak")
        } else if has(Wrong::RouteUnknown) {
            question.http("GET", "/users/track")
        } else if has(Wrong::PermissionDenied) {
            question.permission("users.delete")
        } else {
            question.permission("users.track")
        };
        if !has(Wrong::IpMissing) {
            question =
                question.from(if has(Wrong::IpDenied) { "192.0.2.1" } else { "203.0.113.9" });
        }
        let response = self.server.operator().authorize(question.build()).await.unwrap();
        assert_eq!(response.allowed, response.reason() == Reason::Allowed);
        response.reason()
    }
}

#[tokio::test]
async fn every_reason_is_given_and_every_pair_is_in_order() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.reason(&[]).await, Reason::Allowed);
    for (index, (first, reason)) in ORDER.into_iter().enumerate() {
        assert_eq!(fixture.reason(&[first]).await, reason, "{first:?}");
        for (second, _) in &ORDER[index + 1..] {
            if !exclude_each_other(first, *second) {
                assert_eq!(fixture.reason(&[first, *second]).await, reason, "{first:?} {second:?}");
            }
        }
    }
    // Everything at once that can be.
    let all = [Wrong::KeyExpired, Wrong::WorkspaceMismatch, Wrong::RouteUnknown, Wrong::IpDenied];
    assert_eq!(fixture.reason(&all).await, Reason::KeyExpired);
}

#[tokio::test]
async fn without_an_action_the_question_is_whether_the_key_is_good() {
    let fixture = Fixture::new().await;
    let operator = fixture.server.operator();
    for (question, reason) in [
        (a_question(&fixture.good).from("203.0.113.9"), Reason::Allowed),
        (a_question(&fixture.good).from("192.0.2.1"), Reason::IpDenied),
        (a_question(&fixture.good), Reason::IpMissing),
        (a_question(&fixture.expired).from("203.0.113.9"), Reason::KeyExpired),
    ] {
        let response = operator.authorize(question.build()).await.unwrap();
        assert_eq!(response.reason(), reason);
        assert_eq!(response.permission, "");
    }
}

/// A name that cannot be one, and an empty one, must not turn into "no action", which is allowed
/// more.
#[tokio::test]
async fn any_method_any_path_and_any_name_get_a_verdict() {
    let fixture = Fixture::new().await;
    let operator = fixture.server.operator();
    let question = || a_question(&fixture.good).from("203.0.113.9");
    for (index, (question, reason)) in [
        (question().permission(""), Reason::PermissionUnknown),
        (question().permission("*"), Reason::PermissionUnknown),
        (question().permission("users.*"), Reason::PermissionUnknown),
        (question().permission("USERS.TRACK"), Reason::PermissionUnknown),
        (question().permission("users.track\n"), Reason::PermissionUnknown),
        (question().http("", ""), Reason::RouteUnknown),
        (question().http("POST", ""), Reason::RouteUnknown),
        (question().http("", "/users/track"), Reason::RouteUnknown),
        (question().http("post", "/users/track"), Reason::RouteUnknown),
        (question().http("POST\n", "/users/track"), Reason::RouteUnknown),
        (question().http("POST", "/users/track?a=/../b"), Reason::Allowed),
        (question().http("POST", "/users/track/"), Reason::RouteUnknown),
        (question().http("POST", "/USERS/track"), Reason::RouteUnknown),
        (question().http("POST", "//users/track"), Reason::RouteUnknown),
        (question().http("POST", "/users%2ftrack"), Reason::RouteUnknown),
        (question().http("POST", "/users/x/../track"), Reason::RouteUnknown),
        (question().http("POST", "/users/track#x"), Reason::RouteUnknown),
        (question().http("POST", "/users/track%00"), Reason::RouteUnknown),
        (question().http("POST", "https://example.com/users/track"), Reason::RouteUnknown),
        (question().http("POST", "\\users\\track"), Reason::RouteUnknown),
        (question().http("POST", "/users/track;x=1"), Reason::RouteUnknown),
        (question().http("GET", "/items/a%20b"), Reason::PermissionDenied),
    ]
    .into_iter()
    .enumerate()
    {
        let response = operator.authorize(question.build()).await.unwrap();
        assert_eq!(response.reason(), reason, "row {index}");
    }
}

#[tokio::test]
async fn c1_every_form_of_credential_is_accepted() {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let key = a_key("k").permissions(&["*"]).build();
    let created = operator.create_key("workspaces/acme", key).await.unwrap();
    let secret = created.secret.as_str();
    let basic = BASE64_STANDARD.encode(secret);
    let basic_user = BASE64_STANDARD.encode(format!("{secret}:"));
    for value in [
        created.authorization_header.clone(),
        format!("Basic {basic}"),
        format!("basic {basic}"),
        format!("BASIC {basic_user}"),
        format!("Bearer {secret}"),
        format!("bEaReR {secret}"),
    ] {
        let question = a_question("").header(&value).build();
        assert!(operator.authorize(question).await.unwrap().allowed, "{value}");
    }
    assert!(operator.authorize(a_question(secret).build()).await.unwrap().allowed);
}

#[tokio::test]
async fn b5_addresses_over_the_wire() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    for (networks, address, reason) in [
        (&[][..], "", Reason::Allowed),
        (&["203.0.113.0/24"], "203.0.113.9", Reason::Allowed),
        (&["203.0.113.0/24"], "::ffff:203.0.113.9", Reason::Allowed),
        (&["203.0.113.0/24"], "203.0.114.9", Reason::IpDenied),
        (&["203.0.113.0/24"], "", Reason::IpMissing),
        (&["203.0.113.9/32"], "203.0.113.9", Reason::Allowed),
        (&["2001:db8::1/128"], "2001:db8::1", Reason::Allowed),
        (&["2001:db8::1/128"], "2001:db8::2", Reason::IpDenied),
        (&["0.0.0.0/0"], "198.51.100.1", Reason::Allowed),
        (&["0.0.0.0/0"], "2001:db8::1", Reason::IpDenied),
        (&["::/0"], "198.51.100.1", Reason::IpDenied),
        (&["192.0.2.1", "2001:db8::/32", "10.0.0.0/8"], "10.9.9.9", Reason::Allowed),
    ] {
        let key = a_key("k").permissions(&["*"]).allowed_ips(networks).build();
        let secret = operator.create_key("workspaces/acme", key).await.unwrap().secret;
        let question = a_question(&secret).permission("users.track").from(address).build();
        let response = operator.authorize(question).await.unwrap();
        assert_eq!(response.reason(), reason, "{networks:?} {address}");
    }
}
