//! The decision: may this key do this, from this address, now?

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::catalog::{Catalog, Permission};
use super::control::WorkspaceScope;
use super::credential::Credential;
use super::identifier::IdentifierId;
use super::instance::InstanceId;
use super::key::Key;
use super::name::WorkspaceId;
use super::network::Networks;
use super::permission::PermissionName;
use super::rate_limit::{Counter, RateLimit, RequestsPerHour};
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
    /// The instance that its request arrived at; `None`: any.
    pub instance: Option<&'a InstanceId>,
    /// Identifiers in its request.
    pub identifiers: &'a [IdentifierId],
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

/// A key together with all that its workspace and the operator say of it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The key.
    pub bearer: Bearer,
    /// The catalogue of its workspace.
    pub catalog: Arc<Catalog>,
    /// The instance that its workspace lives on; `None`: on all of them.
    pub instance: Option<InstanceId>,
    /// The rate limit of its workspace.
    pub requests_per_hour: Option<RequestsPerHour>,
    /// The network sets that the key refers to, as they stand.
    pub network_sets: Vec<Arc<Networks>>,
    /// Of the identifiers that are asked about, those that are its workspace's.
    pub identifiers: HashSet<IdentifierId>,
}

/// What a client that is known came with.
#[derive(Clone, Debug)]
pub enum Bearer {
    /// A private key.
    Private(Box<Key>),
    /// The public key of this workspace.
    Public(WorkspaceId),
}

impl Bearer {
    /// The workspace that the key belongs to.
    #[must_use]
    pub fn workspace(&self) -> &WorkspaceId {
        match self {
            Self::Private(key) => &key.name.workspace,
            Self::Public(workspace) => workspace,
        }
    }

    /// The private key, if it is one.
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::Private(key) => Some(key),
            Self::Public(_) => None,
        }
    }
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
    /// The key's workspace lives on another instance.
    WrongInstance,
    /// There is no such permission.
    PermissionUnknown,
    /// No permission claims this request line.
    RouteUnknown,
    /// The permission is not for public keys.
    PublicKeyNotAllowed,
    /// The key does not hold the permission.
    PermissionDenied,
    /// The key is restricted to addresses, and none is known.
    IpMissing,
    /// The key may not be used from this address.
    IpDenied,
    /// An identifier is not the key's workspace's.
    IdentifierUnknown,
    /// The rate limit is used up.
    RateLimited,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug)]
pub struct Decision<'a> {
    /// Whether the request may go ahead, or why it may not.
    pub verdict: Result<(), Denial>,
    /// The workspace of the key, once that is known.
    pub workspace: Option<&'a WorkspaceId>,
    /// The key, once it is known and if it is a private one.
    pub key: Option<&'a Key>,
    /// The permission that was asked for, once it is known.
    pub permission: Option<&'a PermissionName>,
    /// Where the key's workspace lives, if the request arrived elsewhere.
    pub right_instance: Option<&'a InstanceId>,
    /// The limit that has to count the request, if nothing else denies it.
    pub limit: Option<(Counter, RequestsPerHour)>,
    /// What that limit says, once it was asked.
    pub rate_limit: Option<RateLimit>,
}

/// Decides everything but whether the rate limit is used up, which only a count can tell. `subject` is
/// what was found behind the credential.
#[must_use]
pub fn decide<'a>(
    question: &Question<'_>,
    subject: Option<&'a Subject>,
    now: Timestamp,
) -> Decision<'a> {
    let mut decision = Decision {
        verdict: Ok(()),
        workspace: None,
        key: None,
        permission: None,
        right_instance: None,
        limit: None,
        rate_limit: None,
    };
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
        Credential::Presented(_) | Credential::Public(_) => {}
    }
    let subject = subject
        .filter(|subject| question.audience.includes(subject.bearer.workspace()))
        .ok_or(Denial::KeyUnknown)?;
    let workspace = subject.bearer.workspace();
    found.workspace = Some(workspace);
    found.key = subject.bearer.key();
    if found.key.is_some_and(|key| key.is_expired(now)) {
        return Err(Denial::KeyExpired);
    }
    if question.workspace.is_some_and(|asked| asked != workspace) {
        return Err(Denial::WorkspaceMismatch);
    }
    if let (Some(arrived), Some(lives)) = (question.instance, &subject.instance)
        && arrived != lives
    {
        found.right_instance = Some(lives);
        return Err(Denial::WrongInstance);
    }
    let permission = find_permission(question.action, &subject.catalog)?;
    found.permission = permission.map(|permission| &permission.name);
    match &subject.bearer {
        Bearer::Public(_) => {
            if !permission.is_some_and(|permission| permission.public) {
                return Err(Denial::PublicKeyNotAllowed);
            }
        }
        Bearer::Private(key) => check_private(question, key, permission, subject)?,
    }
    if !question.identifiers.iter().all(|id| subject.identifiers.contains(id)) {
        return Err(Denial::IdentifierUnknown);
    }
    found.limit = limit(subject, permission);
    Ok(())
}

fn find_permission<'a>(
    action: Action<'_>,
    catalog: &'a Catalog,
) -> Result<Option<&'a Permission>, Denial> {
    match action {
        Action::None => Ok(None),
        Action::Permission(name) => catalog.find(name).map(Some).ok_or(Denial::PermissionUnknown),
        Action::HttpRequest { method, path } => {
            catalog.find_route(method, path).map(Some).ok_or(Denial::RouteUnknown)
        }
    }
}

/// What is checked of private keys only: the permission, and the address.
fn check_private(
    question: &Question<'_>,
    key: &Key,
    permission: Option<&Permission>,
    subject: &Subject,
) -> Result<(), Denial> {
    if let Some(permission) = permission
        && !subject.catalog.gives(&key.permissions, &permission.name)
    {
        return Err(Denial::PermissionDenied);
    }
    if !key.is_good_anywhere() {
        let address = question.client_ip.ok_or(Denial::IpMissing)?;
        let mut sets = subject.network_sets.iter();
        if !key.allowed_ips.contain(address) && !sets.any(|set| set.contain(address)) {
            return Err(Denial::IpDenied);
        }
    }
    Ok(())
}

/// The limit that counts a request: the permission's own or, if it has none, the workspace's.
fn limit(subject: &Subject, permission: Option<&Permission>) -> Option<(Counter, RequestsPerHour)> {
    let own = permission.and_then(|permission| {
        permission.requests_per_hour.map(|limit| (Some(permission.name.clone()), limit))
    });
    let (permission, limit) = own.or(subject.requests_per_hour.map(|limit| (None, limit)))?;
    let counter = Counter {
        workspace: subject.bearer.workspace().clone(),
        public: subject.bearer.key().is_none(),
        permission,
    };
    Some((counter, limit))
}

#[cfg(test)]
mod tests;
