//! Questions and decisions.

use std::net::IpAddr;

use prost_types::Duration as ProtoDuration;
use uuid::Uuid;

use super::violations::Violations;
use super::{optional_name, to_proto_time};
use crate::authorize::Consistency;
use crate::domain::{
    Action, Audience, Credential, Decision, Denial, IdentifierId, InstanceId, Instances,
    InvalidName, Question, RateLimit, Timestamp, WorkspaceId, WorkspaceScope,
};
use crate::manage::Error;
use crate::proto::authorize_request as request;
use crate::proto::{self, AuthorizeRequest, AuthorizeResponse, HttpRequest, Reason};

/// The most identifiers that a request names.
const MAX_IDENTIFIERS: usize = 100;

/// What a request asks, parsed: what a [`Question`] borrows from.
pub(in crate::grpc) struct Asked<'a> {
    credential: Credential,
    client_ip: Option<IpAddr>,
    workspace: Option<&'a str>,
    instance: Option<InstanceId>,
    identifiers: Vec<IdentifierId>,
    pub(in crate::grpc) consistency: Consistency,
}

/// The credential that a request is about.
pub(in crate::grpc) fn credential_of(request: &AuthorizeRequest) -> Credential {
    match &request.credential {
        None => Credential::Missing,
        Some(request::Credential::ApiKey(key)) => Credential::from_api_key(key),
        Some(request::Credential::AuthorizationHeader(value)) => {
            Credential::from_authorization_header(value)
        }
    }
}

/// Parses what a request asks about its credential. `workspace` is the id of the one that it names, if it names one.
pub(in crate::grpc) fn asked<'a>(
    request: &AuthorizeRequest,
    credential: Credential,
    workspace: Option<Result<&'a str, InvalidName>>,
) -> Result<Asked<'a>, Error> {
    let AuthorizeRequest {
        credential: _,
        action: _,
        client_ip,
        workspace: _,
        instance,
        identifiers,
        consistency,
    } = request;
    let mut violations = Violations::default();
    let client_ip = optional_name::<IpAddr>(client_ip).and_then(|address| {
        let wrong = "must be an IPv4 or IPv6 address, without port or zone";
        violations.note("client_ip", address.map_err(|_| wrong))
    });
    let workspace = workspace.and_then(|workspace| violations.note("workspace", workspace));
    let instance = optional_name::<InstanceId>(instance)
        .and_then(|instance| violations.note("instance", instance));
    let identifiers = violations.parse_all("identifiers", identifiers, MAX_IDENTIFIERS);
    let consistency = match consistency {
        Some(request::Consistency::AtLeastAsFresh(token)) => {
            violations.note("at_least_as_fresh", token.parse()).map(Consistency::AtLeast)
        }
        Some(request::Consistency::FullyConsistent(true)) => Some(Consistency::Full),
        Some(request::Consistency::FullyConsistent(false)) | None => None,
    };
    let consistency = consistency.unwrap_or_default();
    let asked = Asked { credential, client_ip, workspace, instance, identifiers, consistency };
    violations.finish(Some(asked))
}

impl Asked<'_> {
    /// The question of a caller of this scope, to a server that knows these instances.
    pub(in crate::grpc) fn question<'a>(
        &'a self,
        request: &'a AuthorizeRequest,
        scope: &'a WorkspaceScope,
        instances: &'a Instances,
    ) -> Question<'a> {
        Question {
            credential: self.credential,
            action: match &request.action {
                None => Action::None,
                Some(request::Action::Permission(name)) => Action::Permission(name),
                Some(request::Action::HttpRequest(HttpRequest { method, path })) => {
                    Action::HttpRequest { method, path }
                }
            },
            client_ip: self.client_ip,
            workspace: self.workspace,
            instance: self.instance.as_ref().or(instances.own.as_ref()),
            identifiers: &self.identifiers,
            audience: Audience::Subjects(scope),
        }
    }
}

/// The answer of a server that knows these instances, at this instant.
pub(in crate::grpc) fn authorize_response(
    decision: &Decision<'_>,
    instances: &Instances,
    now: Timestamp,
) -> AuthorizeResponse {
    let Decision { verdict, workspace, key, permission, right_instance, limit: _, rate_limit } =
        decision;
    let verdict = *verdict;
    AuthorizeResponse {
        allowed: verdict.is_ok(),
        reason: verdict.map_or_else(reason, |()| Reason::Allowed).into(),
        key: workspace.zip(*key).map(|(of, key)| key_name(of, key.id)).unwrap_or_default(),
        key_display_name: key.map(|key| key.display_name.as_str().to_owned()).unwrap_or_default(),
        workspace: workspace.map(|it| ["workspaces/", it.as_str()].concat()).unwrap_or_default(),
        permission: permission.map(|it| it.as_str().to_owned()).unwrap_or_default(),
        rate_limit: rate_limit.map(|state| rate_limit_of(state, verdict, now)),
        instance_endpoint: right_instance
            .map(|instance| instances.endpoint(instance).to_owned())
            .unwrap_or_default(),
    }
}

/// The same as [`KeyName`](crate::domain::KeyName) prints, at a tenth of the cost.
fn key_name(workspace: &WorkspaceId, id: Uuid) -> String {
    let mut buffer = Uuid::encode_buffer();
    let id = id.as_hyphenated().encode_lower(&mut buffer);
    ["workspaces/", workspace.as_str(), "/keys/", id].concat()
}

fn rate_limit_of(
    state: RateLimit,
    verdict: Result<(), Denial>,
    now: Timestamp,
) -> proto::RateLimit {
    let RateLimit { limit, remaining, reset_time } = state;
    let wait = (reset_time.as_micros() - now.as_micros()).max(0);
    let retry_delay = ProtoDuration {
        seconds: wait / 1_000_000,
        nanos: i32::try_from(wait % 1_000_000 * 1_000).unwrap_or(0),
    };
    proto::RateLimit {
        limit: i64::try_from(limit.get()).unwrap_or(i64::MAX),
        remaining: i64::try_from(remaining).unwrap_or(i64::MAX),
        reset_time: Some(to_proto_time(reset_time)),
        retry_delay: verdict.is_err().then_some(retry_delay),
    }
}

fn reason(denial: Denial) -> Reason {
    match denial {
        Denial::KeyMissing => Reason::KeyMissing,
        Denial::KeyMalformed => Reason::KeyMalformed,
        Denial::KeyUnknown => Reason::KeyUnknown,
        Denial::KeyExpired => Reason::KeyExpired,
        Denial::WorkspaceMismatch => Reason::WorkspaceMismatch,
        Denial::WrongInstance => Reason::WrongInstance,
        Denial::PermissionUnknown => Reason::PermissionUnknown,
        Denial::RouteUnknown => Reason::RouteUnknown,
        Denial::PublicKeyNotAllowed => Reason::PublicKeyNotAllowed,
        Denial::PermissionDenied => Reason::PermissionDenied,
        Denial::IpMissing => Reason::IpMissing,
        Denial::IpDenied => Reason::IpDenied,
        Denial::IdentifierUnknown => Reason::IdentifierUnknown,
        Denial::RateLimited => Reason::RateLimited,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::KeyName;

    #[test]
    fn names_of_keys_are_as_everywhere_else() {
        let workspace = WorkspaceId::from_id("acme").unwrap();
        let id = Uuid::from_u128(0x0191_2345_6789_7ABC_8DEF_0123_4567_89AB);
        let name = KeyName { workspace: workspace.clone(), id };
        assert_eq!(key_name(&workspace, id), name.to_string());
    }
}
