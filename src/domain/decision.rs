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
