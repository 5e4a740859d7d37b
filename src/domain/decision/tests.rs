//! Every case against an oracle that spells the checks out.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::{
    AddressSet, DisplayName, Key, KeyFacts, KeyName, Method, NetworkSetId, Networks, Route,
    RouteTemplate, SecretDigest, Shared, Tenant, Windows,
};

/// `read` and `write` have routes, `write` implies `read`, `login` has none.
fn catalog() -> Arc<Shared<Catalog>> {
    let permission = |name: &str, route: Option<(&str, &str)>, implies: &[&str]| Permission {
        name: name.parse().unwrap(),
        group: String::new(),
        description: String::new(),
        http_routes: route
            .map(|(method, path)| Route {
                method: method.parse::<Method>().unwrap(),
                path: path.parse::<RouteTemplate>().unwrap(),
            })
            .into_iter()
            .collect(),
        implies: implies.iter().map(|name| name.parse().unwrap()).collect(),
        public: name == "item.read",
        requests_per_hour: (name == "item.write").then_some(RequestsPerHour::MIN),
    };
    let permissions = vec![
        permission("item.read", Some(("GET", "/items/{id}")), &[]),
        permission("item.write", Some(("PUT", "/items/{id}")), &["item.read"]),
        permission("login", None, &[]),
    ];
    Arc::new(Shared::new(Catalog::new(permissions).unwrap()))
}

/// Everything that a decision depends on, as plain as it can be.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "as plain as it can be")]
struct Case {
    /// 0: missing, 1: malformed, else presented.
    credential: u8,
    known: bool,
    public: bool,
    control: bool,
    in_scope: bool,
    expires_in: Option<i64>,
    asked_workspace: Option<bool>,
    /// Whether the workspace lives somewhere, and whether the request arrived somewhere: there
    /// or elsewhere.
    lives: bool,
    arrived: Option<bool>,
    /// An index into `ACTIONS`.
    action: usize,
    grants: Vec<usize>,
    /// Restricted to networks of the key's own, and to a network set.
    restricted: (bool, bool),
    /// Whether there is an address, and whether it lies in the key's own networks, or in the
    /// network set.
    address: Option<(bool, bool)>,
    /// Whether identifiers are named, and whether all of them are the workspace's.
    identifiers: Option<bool>,
    limited: bool,
}

/// An action, and the permission that it comes to.
const ACTIONS: [(Action<'static>, Option<&str>); 7] = [
    (Action::None, None),
    (Action::Permission("item.read"), Some("item.read")),
    (Action::Permission("item.write"), Some("item.write")),
    (Action::Permission("item.gone"), None),
    (Action::HttpRequest { method: "GET", path: "/items/7?x" }, Some("item.read")),
    (Action::HttpRequest { method: "PUT", path: "/items/7" }, Some("item.write")),
    (Action::HttpRequest { method: "PUT", path: "/items" }, None),
];
/// A grant, and what it comes to.
const GRANTS: [(&str, &[&str]); 5] = [
    ("item.read", &["item.read"]),
    ("item.write", &["item.read", "item.write"]),
    ("item.*", &["item.read", "item.write"]),
    ("login", &[]),
    ("*", &["item.read", "item.write"]),
];

prop_compose! {
    fn a_case()(
        (credential, known, public, control, in_scope) in (
            0..8_u8,
            prop::bool::weighted(0.9),
            prop::bool::weighted(0.2),
            prop::bool::weighted(0.1),
            prop::bool::weighted(0.9),
        ),
        expires_in in prop_oneof![Just(None), (-1..=1_i64).prop_map(Some)],
        asked_workspace in proptest::option::of(prop::bool::weighted(0.9)),
        lives in any::<bool>(),
        arrived in proptest::option::of(prop::bool::weighted(0.8)),
        action in 0..ACTIONS.len(),
        grants in proptest::collection::vec(0..GRANTS.len(), 0..3),
        restricted in any::<(bool, bool)>(),
        address in proptest::option::of(any::<(bool, bool)>()),
        identifiers in proptest::option::of(prop::bool::weighted(0.8)),
        limited in any::<bool>(),
    ) -> Case {
        Case {
            credential, known, public, control, in_scope, expires_in, asked_workspace, lives,
            arrived, action, grants, restricted, address, identifiers, limited,
        }
    }
}

/// The oracle: all reasons that hold, and of these the first.
fn oracle(case: &Case) -> Result<(), Denial> {
    let unknown = !case.known || case.control || !case.in_scope;
    let (action, permission) = ACTIONS[case.action];
    let held = permission.is_none_or(|permission| {
        case.grants.iter().any(|grant| GRANTS[*grant].1.contains(&permission))
    });
    let by_name = matches!(action, Action::Permission(_)) && permission.is_none();
    let by_route = matches!(action, Action::HttpRequest { .. }) && permission.is_none();
    let (own, set) = case.restricted;
    let inside = case.address.is_some_and(|(in_own, in_set)| own && in_own || set && in_set);
    let private = !case.public;
    let expired = case.expires_in.is_some_and(|seconds| seconds <= 0);
    let reasons = [
        (case.credential == 0, Denial::KeyMissing),
        (case.credential == 1, Denial::KeyMalformed),
        (unknown, Denial::KeyUnknown),
        (private && expired, Denial::KeyExpired),
        (case.asked_workspace == Some(false), Denial::WorkspaceMismatch),
        (case.lives && case.arrived == Some(false), Denial::WrongInstance),
        (by_name, Denial::PermissionUnknown),
        (by_route, Denial::RouteUnknown),
        (case.public && permission != Some("item.read"), Denial::PublicKeyNotAllowed),
        (private && !held, Denial::PermissionDenied),
        (private && (own || set) && case.address.is_none(), Denial::IpMissing),
        (private && (own || set) && !inside, Denial::IpDenied),
        (case.identifiers == Some(false), Denial::IdentifierUnknown),
    ];
    reasons.into_iter().find(|(holds, _)| *holds).map_or(Ok(()), |(_, reason)| Err(reason))
}

fn id(id: &str) -> WorkspaceId {
    WorkspaceId::from_id(id).unwrap()
}

fn subject(case: &Case, catalog: &Arc<Shared<Catalog>>, now: Timestamp) -> Subject {
    let workspace = if case.control { WorkspaceId::reserved() } else { id("acme") };
    let networks = |network: &str, given: bool| -> Networks {
        given.then(|| network.parse().unwrap()).into_iter().collect()
    };
    let (own, set) = case.restricted;
    let key = Key {
        name: KeyName { workspace: workspace.clone(), id: uuid::Uuid::nil() },
        display_name: "k".parse::<DisplayName>().unwrap(),
        hint: String::new(),
        permissions: case.grants.iter().map(|grant| GRANTS[*grant].0.parse().unwrap()).collect(),
        allowed_ips: networks("203.0.113.0/24", own),
        network_sets: set.then(|| NetworkSetId::from_id("set").unwrap()).into_iter().collect(),
        created_by: None,
        create_time: now,
        last_seen_time: None,
        expire_time: case
            .expires_in
            .and_then(|micros| Timestamp::from_micros(now.as_micros() + micros)),
        workspace_scope: WorkspaceScope::default(),
    };
    let sets = set.then(|| networks("198.51.100.0/25", set));
    let sets = sets.iter().map(|set| Arc::new(Shared::new(AddressSet::from(set)))).collect();
    let tenant = Tenant {
        workspace,
        catalog: Arc::clone(catalog),
        instance: case.lives.then(|| "here".parse().unwrap()),
        requests_per_hour: case.limited.then_some(RequestsPerHour::MAX),
        windows: Arc::new(Windows::default()),
    };
    Subject {
        tenant: Arc::new(Shared::new(tenant)),
        bearer: if case.public {
            Bearer::Public
        } else {
            Bearer::Private(KeyFacts::new(&key, catalog, sets))
        },
        control_key: None,
    }
}

/// A limit: whether it is the public key's, whose permission it is, and what it is.
type Counted = (bool, Option<String>, RequestsPerHour);

/// What a case comes to: the verdict, and the limit that has to count it.
fn verdict(case: &Case, catalog: &Arc<Shared<Catalog>>) -> (Result<(), Denial>, Option<Counted>) {
    let now = Timestamp::from_micros(1_000_000_000).unwrap();
    let subject = subject(case, catalog, now);
    let scope: WorkspaceScope =
        if case.in_scope { WorkspaceScope::default() } else { [id("other")].into_iter().collect() };
    let asked = case
        .asked_workspace
        .map(|same| if same { subject.tenant.workspace.clone() } else { id("another") });
    let arrived = case.arrived.map(|here| if here { "here" } else { "there" }.parse().unwrap());
    let identifiers: Vec<IdentifierId> =
        case.identifiers.map(|_| "some".parse().unwrap()).into_iter().collect();
    let question = Question {
        credential: match case.credential {
            0 => Credential::Missing,
            1 => Credential::Malformed,
            _ => Credential::Presented(SecretDigest::of(b"k")),
        },
        action: ACTIONS[case.action].0,
        client_ip: case.address.map(|inside| match inside {
            (true, _) => [203, 0, 113, 9].into(),
            (false, true) => [198, 51, 100, 9].into(),
            (false, false) => [198, 51, 100, 200].into(),
        }),
        workspace: asked.as_ref().map(WorkspaceId::as_str),
        instance: arrived.as_ref(),
        identifiers: &identifiers,
        audience: Audience::Subjects(&scope),
    };
    let owns = case.identifiers.unwrap_or(false);
    let decision = decide(&question, case.known.then_some(&subject), owns, now);
    let limit = decision.limit.map(|(counter, limit)| {
        (counter.public, counter.permission.map(ToString::to_string), limit)
    });
    (decision.verdict, limit)
}

/// The limit that has to count an allowed request.
fn limit_oracle(case: &Case) -> Option<(Option<&'static str>, RequestsPerHour)> {
    match ACTIONS[case.action].1 {
        Some("item.write") => Some((Some("item.write"), RequestsPerHour::MIN)),
        _ => case.limited.then_some((None, RequestsPerHour::MAX)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, ..ProptestConfig::default() })]

    #[test]
    fn p4_a_decision_agrees_with_an_oracle(case in a_case()) {
        // An address cannot lie in both networks: the first is taken then.
        let case = Case {
            address: case.address.map(|(own, set)| (own, set && !own)),
            ..case
        };
        let (verdict, limit) = verdict(&case, &catalog());
        prop_assert_eq!(verdict, oracle(&case));
        // A request that is denied is counted nowhere.
        let expected = if verdict.is_ok() { limit_oracle(&case) } else { None };
        let expected =
            expected.map(|(name, limit)| (case.public, name.map(str::to_owned), limit));
        prop_assert_eq!(limit, expected);
    }
}

#[test]
fn callers_are_control_keys_and_subjects_never_are() {
    let all = WorkspaceScope::default();
    for (audience, workspace, included) in [
        (Audience::Callers, WorkspaceId::reserved(), true),
        (Audience::Callers, WorkspaceId::from_id("acme").unwrap(), false),
        (Audience::Subjects(&all), WorkspaceId::reserved(), false),
        (Audience::Subjects(&all), WorkspaceId::from_id("acme").unwrap(), true),
    ] {
        assert_eq!(audience.includes(&workspace), included, "{audience:?} {workspace}");
    }
}
