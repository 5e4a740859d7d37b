//! What a request asks.

use std::net::IpAddr;

use super::optional_name;
use super::view::RequestView;
use super::violations::Violations;
use crate::authorize::Consistency;
use crate::domain::{
    Action, Audience, Credential, IdentifierId, InstanceId, Instances, InvalidName, Question,
    WorkspaceScope,
};
use crate::manage::Error;
use crate::proto::authorize_request as request;

/// The most identifiers that a request names.
const MAX_IDENTIFIERS: usize = 100;

/// What a request asks, parsed: what a [`Question`] borrows from.
pub(in crate::grpc) struct Asked<'a> {
    credential: Credential,
    action: Action<'a>,
    client_ip: Option<IpAddr>,
    workspace: Option<&'a str>,
    instance: Option<InstanceId>,
    identifiers: Vec<IdentifierId>,
    pub(in crate::grpc) consistency: Consistency,
}

/// Parses what a request asks about this credential, its own. `workspace` is the id of the one that it
/// names, if it names one.
pub(in crate::grpc) fn asked<'a>(
    view: &RequestView<'a>,
    credential: Credential,
    workspace: Option<Result<&'a str, InvalidName>>,
) -> Result<Asked<'a>, Error> {
    let RequestView {
        presented: _,
        action,
        client_ip,
        workspace: _,
        instance,
        identifiers,
        consistency,
    } = *view;
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
    violations.finish(Some(Asked {
        credential,
        action,
        client_ip,
        workspace,
        instance,
        identifiers,
        consistency,
    }))
}

impl Asked<'_> {
    /// The question of a caller of this scope, to a server that knows these instances.
    pub(in crate::grpc) fn question<'a>(
        &'a self,
        scope: &'a WorkspaceScope,
        instances: &'a Instances,
    ) -> Question<'a> {
        Question {
            credential: self.credential,
            action: self.action,
            client_ip: self.client_ip,
            workspace: self.workspace,
            instance: self.instance.as_ref().or(instances.own.as_ref()),
            identifiers: &self.identifiers,
            audience: Audience::Subjects(scope),
        }
    }
}
