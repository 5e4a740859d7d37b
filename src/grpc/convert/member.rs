//! Members.

use super::to_proto_time;
use super::violations::Violations;
use crate::domain::{self, Email, InvalidName, WorkspaceId};
use crate::manage::Error;
use crate::proto;

pub(in crate::grpc) fn add_member(
    request: proto::AddMemberRequest,
    parent: Result<WorkspaceId, InvalidName>,
) -> Result<(WorkspaceId, Email, domain::Role), Error> {
    let proto::AddMemberRequest { parent: _, member } = request;
    let proto::Member {
        // Output only: ignored (AIP-203).
        name: _,
        create_time: _,
        email,
        role,
    } = member.unwrap_or_default();
    let mut violations = Violations::default();
    let workspace = violations.note("parent", parent);
    let email = violations.note("member.email", email.parse());
    let role = violations.note("member.role", parse_role(role));
    let built = workspace.zip(email).zip(role);
    violations.finish(built.map(|((workspace, email), role)| (workspace, email, role)))
}

pub(super) fn parse_role(role: i32) -> Result<domain::Role, &'static str> {
    match proto::Role::try_from(role) {
        Ok(proto::Role::Owner) => Ok(domain::Role::Owner),
        Ok(proto::Role::Admin) => Ok(domain::Role::Admin),
        Ok(proto::Role::Developer) => Ok(domain::Role::Developer),
        Ok(proto::Role::Viewer) => Ok(domain::Role::Viewer),
        Ok(proto::Role::Unspecified) | Err(_) => Err("must be one of the known roles"),
    }
}

impl From<domain::Role> for proto::Role {
    fn from(role: domain::Role) -> Self {
        match role {
            domain::Role::Owner => Self::Owner,
            domain::Role::Admin => Self::Admin,
            domain::Role::Developer => Self::Developer,
            domain::Role::Viewer => Self::Viewer,
        }
    }
}

impl From<domain::Member> for proto::Member {
    fn from(member: domain::Member) -> Self {
        let domain::Member { name, email, role, create_time } = member;
        Self {
            name: name.to_string(),
            email: email.to_string(),
            role: proto::Role::from(role).into(),
            create_time: Some(to_proto_time(create_time)),
        }
    }
}
