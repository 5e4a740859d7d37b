//! The decision: may this key do this, from this address, now?

use std::net::IpAddr;

use super::catalog::{Catalog, Permission};
use super::control::WorkspaceScope;
use super::credential::Credential;
use super::identifier::IdentifierId;
use super::instance::InstanceId;
use super::name::WorkspaceId;
use super::permission::PermissionName;
use super::rate_limit::{Counter, RateLimit, RequestsPerHour};
use super::subject::{Bearer, KeyFacts, Subject};
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
    /// The id of the workspace that its request is for; `None`: whichever the key belongs to.
    pub workspace: Option<&'a str>,
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
            Self::Subjects(scope) => !workspace.is_reserved() && scope.admits(workspace.as_str()),
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
    pub key: Option<&'a KeyFacts>,
    /// The permission that was asked for, once it is known.
    pub permission: Option<&'a PermissionName>,
    /// Where the key's workspace lives, if the request arrived elsewhere.
    pub right_instance: Option<&'a InstanceId>,
    /// The limit that has to count the request, if nothing else denies it.
    pub limit: Option<(Counter<'a>, RequestsPerHour)>,
    /// What that limit says, once it was asked.
    pub rate_limit: Option<RateLimit>,
}

/// Decides everything but whether the rate limit is used up, which only a count can tell. `subject` is
/// what was found behind the credential, `owns_identifiers` whether the identifiers in the question are
/// all its workspace's.
#[must_use]
pub fn decide<'a>(
    question: &Question<'_>,
    subject: Option<&'a Subject>,
    owns_identifiers: bool,
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
    decision.verdict = check(question, subject, owns_identifiers, now, &mut decision);
    decision
}

/// Makes the checks in their published order; the first that fails is the reason. What becomes
/// known on the way is noted in `found`.
fn check<'a>(
    question: &Question<'_>,
    subject: Option<&'a Subject>,
    owns_identifiers: bool,
    now: Timestamp,
    found: &mut Decision<'a>,
) -> Result<(), Denial> {
    match question.credential {
        Credential::Missing => return Err(Denial::KeyMissing),
        Credential::Malformed => return Err(Denial::KeyMalformed),
        Credential::Presented(_) | Credential::Public(_) => {}
    }
    let subject = subject
        .filter(|subject| question.audience.includes(&subject.tenant.workspace))
        .ok_or(Denial::KeyUnknown)?;
    let tenant = &**subject.tenant;
    found.workspace = Some(&tenant.workspace);
    found.key = subject.key();
    if found.key.is_some_and(|key| key.is_expired(now)) {
        return Err(Denial::KeyExpired);
    }
    if question.workspace.is_some_and(|asked| asked != tenant.workspace.as_str()) {
        return Err(Denial::WorkspaceMismatch);
    }
    if let (Some(arrived), Some(lives)) = (question.instance, &tenant.instance)
        && arrived != lives
    {
        found.right_instance = Some(lives);
        return Err(Denial::WrongInstance);
    }
    let index = find_permission(question.action, &tenant.catalog)?;
    let permission = index.map(|index| &tenant.catalog.permissions()[index]);
    found.permission = permission.map(|permission| &permission.name);
    match &subject.bearer {
        Bearer::Public => {
            if !permission.is_some_and(|permission| permission.public) {
                return Err(Denial::PublicKeyNotAllowed);
            }
        }
        Bearer::Private(key) => check_private(key, index, question.client_ip)?,
    }
    if !question.identifiers.is_empty() && !owns_identifiers {
        return Err(Denial::IdentifierUnknown);
    }
    found.limit = limit(subject, permission);
    Ok(())
}

/// The place of the permission that is asked for, if one is.
fn find_permission(action: Action<'_>, catalog: &Catalog) -> Result<Option<usize>, Denial> {
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
    key: &KeyFacts,
    permission: Option<usize>,
    client_ip: Option<IpAddr>,
) -> Result<(), Denial> {
    if permission.is_some_and(|index| !key.permissions.contains(index)) {
        return Err(Denial::PermissionDenied);
    }
    if let Some(origins) = &key.origins {
        let address = client_ip.ok_or(Denial::IpMissing)?;
        if !origins.contain(address) {
            return Err(Denial::IpDenied);
        }
    }
    Ok(())
}

/// The limit that counts a request: the permission's own or, if it has none, the workspace's.
fn limit<'a>(
    subject: &'a Subject,
    permission: Option<&'a Permission>,
) -> Option<(Counter<'a>, RequestsPerHour)> {
    let own = permission.and_then(|permission| {
        permission.requests_per_hour.map(|limit| (Some(&permission.name), limit))
    });
    let (permission, limit) =
        own.or(subject.tenant.requests_per_hour.map(|limit| (None, limit)))?;
    Some((Counter { public: subject.key().is_none(), permission }, limit))
}

#[cfg(test)]
mod tests;
