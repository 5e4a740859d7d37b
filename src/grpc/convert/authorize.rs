//! Questions and decisions.

use super::violations::Violations;
use crate::domain::{
    Action, Audience, Credential, Decision, Denial, InvalidName, Question, WorkspaceId,
    WorkspaceScope,
};
use crate::manage::Error;
use crate::proto::authorize_request as request;
use crate::proto::{AuthorizeRequest, AuthorizeResponse, HttpRequest, Reason};

/// What a caller of this scope asks. `workspace` is the one that the request names, if it names one.
pub(in crate::grpc) fn question<'a>(
    request: &'a AuthorizeRequest,
    workspace: Option<&'a Result<WorkspaceId, InvalidName>>,
    scope: &'a WorkspaceScope,
) -> Result<Question<'a>, Error> {
    let AuthorizeRequest { credential, action, client_ip, workspace: _, instance, identifiers } =
        request;
    if !instance.is_empty() {
        return Err(Error::NotBuilt("instance"));
    }
    if !identifiers.is_empty() {
        return Err(Error::NotBuilt("identifiers"));
    }
    let mut violations = Violations::default();
    let client_ip = match client_ip.as_str() {
        "" => None,
        text => {
            let address = text.parse();
            let wrong = "must be an IPv4 or IPv6 address, without port or zone";
            violations.note("client_ip", address.map_err(|_| wrong))
        }
    };
    let workspace =
        workspace.and_then(|workspace| violations.note("workspace", workspace.as_ref()));
    let credential = match credential {
        None => Credential::Missing,
        Some(request::Credential::ApiKey(key)) => Credential::from_api_key(key),
        Some(request::Credential::AuthorizationHeader(value)) => {
            Credential::from_authorization_header(value)
        }
    };
    let action = match action {
        None => Action::None,
        Some(request::Action::Permission(name)) => Action::Permission(name),
        Some(request::Action::HttpRequest(HttpRequest { method, path })) => {
            Action::HttpRequest { method, path }
        }
    };
    let audience = Audience::Subjects(scope);
    violations.finish(Some(Question { credential, action, client_ip, workspace, audience }))
}

impl From<Decision<'_>> for AuthorizeResponse {
    fn from(decision: Decision<'_>) -> Self {
        let Decision { verdict, key, permission } = decision;
        let name = key.map(|key| &key.name);
        Self {
            allowed: verdict.is_ok(),
            reason: verdict.map_or_else(reason, |()| Reason::Allowed).into(),
            key: name.map(ToString::to_string).unwrap_or_default(),
            key_display_name: key
                .map(|key| key.display_name.as_str().to_owned())
                .unwrap_or_default(),
            workspace: name.map(|name| name.workspace.to_string()).unwrap_or_default(),
            permission: permission.map(ToString::to_string).unwrap_or_default(),
            rate_limit: None,
            instance_endpoint: String::new(),
        }
    }
}

fn reason(denial: Denial) -> Reason {
    match denial {
        Denial::KeyMissing => Reason::KeyMissing,
        Denial::KeyMalformed => Reason::KeyMalformed,
        Denial::KeyUnknown => Reason::KeyUnknown,
        Denial::KeyExpired => Reason::KeyExpired,
        Denial::WorkspaceMismatch => Reason::WorkspaceMismatch,
        Denial::PermissionUnknown => Reason::PermissionUnknown,
        Denial::RouteUnknown => Reason::RouteUnknown,
        Denial::PermissionDenied => Reason::PermissionDenied,
        Denial::IpMissing => Reason::IpMissing,
        Denial::IpDenied => Reason::IpDenied,
    }
}
