//! The decision: may this key do this, from this address, now?

use std::net::IpAddr;
use std::sync::Arc;

use super::catalog::Catalog;
use super::control::WorkspaceScope;
use super::credential::Credential;
use super::key::Key;
use super::name::WorkspaceId;
use super::permission::PermissionName;
use super::timestamp::Timestamp;

/// What is asked about a credential.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// What the client presented.
    pub credential: Credential,
    /// What it wants to do.
    pub action: Action<'a>,
    /// Where its request came from, if that is known.
    pub client_ip: Option<IpAddr>,
    /// The workspace that its request is for; `None`: whichever the key belongs to.
    pub workspace: Option<&'a WorkspaceId>,
    /// Whose keys may be meant.
    pub audience: Audience<'a>,
}

/// What a client wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Nothing: the question is whether the key is good.
    None,
    /// Something that has this name.
    Permission(&'a str),
    /// An HTTP request.
    HttpRequest {
        /// Its method.
        method: &'a str,
        /// Its path, perhaps with a query.
        path: &'a str,
    },
}

/// Whose keys a question may be about. Any other key is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience<'a> {
    /// Control keys: the caller is asked about.
    Callers,
    /// Keys of workspaces within this scope, the one of the caller that asks. Never control keys.
    Subjects(&'a WorkspaceScope),
}

impl Audience<'_> {
    fn includes(self, workspace: &WorkspaceId) -> bool {
        match self {
            Self::Callers => workspace.is_reserved(),
            Self::Subjects(scope) => !workspace.is_reserved() && scope.admits(workspace),
        }
    }
}

/// A key together with the catalogue that its grants are read against.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The key.
    pub key: Key,
    /// The catalogue of its workspace.
    pub catalog: Arc<Catalog>,
}

/// Why a request is denied; in the order in which it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denial {
    /// No credential.
    KeyMissing,
    /// A credential that cannot be a key.
    KeyMalformed,
    /// No such key.
    KeyUnknown,
    /// The key has expired.
    KeyExpired,
    /// The key belongs to another workspace.
    WorkspaceMismatch,
    /// There is no such permission.
    PermissionUnknown,
    /// No permission claims this request line.
    RouteUnknown,
    /// The key does not hold the permission.
    PermissionDenied,
    /// The key is restricted to addresses, and none is known.
    IpMissing,
    /// The key may not be used from this address.
    IpDenied,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug)]
pub struct Decision<'a> {
    /// Whether the request may go ahead, or why it may not.
    pub verdict: Result<(), Denial>,
    /// The key, once it is known.
    pub key: Option<&'a Key>,
    /// The permission that was asked for, once it is known.
    pub permission: Option<&'a PermissionName>,
}

/// Decides. `subject` is what was found under the digest of the credential.
#[must_use]
pub fn decide<'a>(
    question: &Question<'_>,
    subject: Option<&'a Subject>,
    now: Timestamp,
) -> Decision<'a> {
    let mut decision = Decision { verdict: Ok(()), key: None, permission: None };
    decision.verdict = check(question, subject, now, &mut decision);
    decision
}

/// Makes the checks in their published order; the first that fails is the reason. What becomes
/// known on the way is noted in `found`.
fn check<'a>(
    question: &Question<'_>,
    subject: Option<&'a Subject>,
    now: Timestamp,
    found: &mut Decision<'a>,
) -> Result<(), Denial> {
    match question.credential {
        Credential::Missing => return Err(Denial::KeyMissing),
        Credential::Malformed => return Err(Denial::KeyMalformed),
        Credential::Presented(_) => {}
    }
    let Subject { key, catalog } = subject
        .filter(|subject| question.audience.includes(&subject.key.name.workspace))
        .ok_or(Denial::KeyUnknown)?;
    found.key = Some(key);
    if key.is_expired(now) {
        return Err(Denial::KeyExpired);
    }
    if question.workspace.is_some_and(|workspace| *workspace != key.name.workspace) {
        return Err(Denial::WorkspaceMismatch);
    }
    let permission = match question.action {
        Action::None => None,
        Action::Permission(name) => Some(catalog.find(name).ok_or(Denial::PermissionUnknown)?),
        Action::HttpRequest { method, path } => {
            Some(catalog.find_route(method, path).ok_or(Denial::RouteUnknown)?)
        }
    };
    if let Some(permission) = permission {
        found.permission = Some(&permission.name);
        if !catalog.gives(&key.permissions, &permission.name) {
            return Err(Denial::PermissionDenied);
        }
    }
    if !key.allowed_ips.is_any() {
        let address = question.client_ip.ok_or(Denial::IpMissing)?;
        if !key.allowed_ips.admit(address) {
            return Err(Denial::IpDenied);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{
        AllowedIps, DisplayName, Grant, KeyName, Method, Permission, Route, RouteTemplate,
        SecretDigest,
    };

    /// `read` and `write` have routes, `write` implies `read`, `login` has none.
    fn catalog() -> Arc<Catalog> {
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
        };
        let permissions = vec![
            permission("item.read", Some(("GET", "/items/{id}")), &[]),
            permission("item.write", Some(("PUT", "/items/{id}")), &["item.read"]),
            permission("login", None, &[]),
        ];
        Arc::new(Catalog::new(permissions).unwrap())
    }

    /// Everything that a decision depends on, as plain as it can be.
    #[derive(Clone, Debug)]
    #[allow(clippy::struct_excessive_bools, reason = "as plain as it can be")]
    struct Case {
        /// 0: missing, 1: malformed, else presented.
        credential: u8,
        known: bool,
        control: bool,
        in_scope: bool,
        expires_in: Option<i64>,
        asked_workspace: Option<bool>,
        /// An index into `ACTIONS`.
        action: usize,
        grants: Vec<usize>,
        restricted: bool,
        /// Whether there is an address, and whether it is an allowed one.
        address: Option<bool>,
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

    fn a_case() -> impl Strategy<Value = Case> {
        (
            (
                0..8_u8,
                prop::bool::weighted(0.9),
                prop::bool::weighted(0.1),
                prop::bool::weighted(0.9),
            ),
            prop_oneof![Just(None), (-1..=1_i64).prop_map(Some)],
            proptest::option::of(prop::bool::weighted(0.9)),
            0..ACTIONS.len(),
            proptest::collection::vec(0..GRANTS.len(), 0..3),
            (any::<bool>(), proptest::option::of(prop::bool::weighted(0.7))),
        )
            .prop_map(
                |(
                    (credential, known, control, in_scope),
                    expires_in,
                    asked_workspace,
                    action,
                    grants,
                    (restricted, address),
                )| {
                    Case {
                        credential,
                        known,
                        control,
                        in_scope,
                        expires_in,
                        asked_workspace,
                        action,
                        grants,
                        restricted,
                        address,
                    }
                },
            )
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
        let reasons = [
            (case.credential == 0, Denial::KeyMissing),
            (case.credential == 1, Denial::KeyMalformed),
            (unknown, Denial::KeyUnknown),
            (case.expires_in.is_some_and(|seconds| seconds <= 0), Denial::KeyExpired),
            (case.asked_workspace == Some(false), Denial::WorkspaceMismatch),
            (by_name, Denial::PermissionUnknown),
            (by_route, Denial::RouteUnknown),
            (!held, Denial::PermissionDenied),
            (case.restricted && case.address.is_none(), Denial::IpMissing),
            (case.restricted && case.address == Some(false), Denial::IpDenied),
        ];
        reasons.into_iter().find(|(holds, _)| *holds).map_or(Ok(()), |(_, reason)| Err(reason))
    }

    fn verdict(case: &Case, catalog: &Arc<Catalog>) -> Result<(), Denial> {
        let now = Timestamp::from_micros(1_000_000_000).unwrap();
        let id = |id: &str| WorkspaceId::from_id(id).unwrap();
        let workspace = if case.control { WorkspaceId::reserved() } else { id("acme") };
        let allowed =
            if case.restricted { vec!["203.0.113.0/24".parse().unwrap()] } else { vec![] };
        let grants = case.grants.iter().map(|grant| GRANTS[*grant].0.parse::<Grant>().unwrap());
        let subject = Subject {
            key: Key {
                name: KeyName { workspace: workspace.clone(), id: uuid::Uuid::nil() },
                display_name: "k".parse::<DisplayName>().unwrap(),
                hint: String::new(),
                permissions: grants.collect(),
                allowed_ips: allowed.into_iter().collect::<AllowedIps>(),
                created_by: None,
                create_time: now,
                last_seen_time: None,
                expire_time: case
                    .expires_in
                    .and_then(|micros| Timestamp::from_micros(now.as_micros() + micros)),
                workspace_scope: WorkspaceScope::default(),
            },
            catalog: Arc::clone(catalog),
        };
        let scope: WorkspaceScope = if case.in_scope {
            WorkspaceScope::default()
        } else {
            [id("other")].into_iter().collect()
        };
        let asked = case.asked_workspace.map(|same| if same { workspace } else { id("another") });
        let question = Question {
            credential: match case.credential {
                0 => Credential::Missing,
                1 => Credential::Malformed,
                _ => Credential::Presented(SecretDigest::of(b"k")),
            },
            action: ACTIONS[case.action].0,
            client_ip: case.address.map(|inside| {
                if inside { [203, 0, 113, 9].into() } else { [198, 51, 100, 9].into() }
            }),
            workspace: asked.as_ref(),
            audience: Audience::Subjects(&scope),
        };
        decide(&question, case.known.then_some(&subject), now).verdict
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_096, ..ProptestConfig::default() })]

        #[test]
        fn p4_a_decision_agrees_with_an_oracle(case in a_case()) {
            prop_assert_eq!(verdict(&case, &catalog()), oracle(&case));
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
}
