//! Identifiers.

use super::violations::Violations;
use super::{optional_name, page_size, to_proto_time};
use crate::domain::{self, IdentifierFilter, IdentifierId, InvalidName, WorkspaceId};
use crate::grpc::page_token;
use crate::manage::{Error, IdentifierDraft};
use crate::proto;

/// A `ListIdentifiersRequest` that holds together.
pub(in crate::grpc) struct ListIdentifiers {
    pub(in crate::grpc) workspace: WorkspaceId,
    pub(in crate::grpc) filter: IdentifierFilter,
    pub(in crate::grpc) page_size: usize,
    pub(in crate::grpc) after: Option<IdentifierId>,
    /// What page tokens are bound to.
    pub(in crate::grpc) query: proto::ListIdentifiersRequest,
}

pub(in crate::grpc) fn create_identifier(
    request: proto::CreateIdentifierRequest,
    parent: Result<WorkspaceId, InvalidName>,
) -> Result<IdentifierDraft, Error> {
    let proto::CreateIdentifierRequest { parent: _, identifier_id, identifier } = request;
    let proto::Identifier {
        // The id of the request counts (AIP-133), the time is output only.
        name: _,
        create_time: _,
        kind,
        display_name,
    } = identifier.unwrap_or_default();
    let mut violations = Violations::default();
    let workspace = violations.note("parent", parent);
    let id = optional_name(&identifier_id).and_then(|id| violations.note("identifier_id", id));
    let kind = violations.note("identifier.kind", kind.parse());
    let display_name = violations.note("identifier.display_name", display_name.parse());
    let built = workspace.zip(kind).zip(display_name).map(|((workspace, kind), display_name)| {
        IdentifierDraft { workspace, id, kind, display_name }
    });
    violations.finish(built)
}

pub(in crate::grpc) fn list_identifiers(
    request: proto::ListIdentifiersRequest,
    parent: Result<WorkspaceId, InvalidName>,
) -> Result<ListIdentifiers, Error> {
    let query = proto::ListIdentifiersRequest {
        page_size: 0,
        page_token: String::new(),
        ..request.clone()
    };
    let proto::ListIdentifiersRequest {
        parent: _,
        page_size: requested_size,
        page_token: token,
        kind,
        display_name_contains,
    } = request;
    let mut violations = Violations::default();
    let workspace = violations.note("parent", parent);
    let page_size = page_size(requested_size).map_err(Error::from)?;
    let after = page_token::decode(&query, &token).map_err(Error::from)?;
    let kind = optional_name(&kind).and_then(|kind| violations.note("kind", kind));
    let filter = IdentifierFilter {
        kind,
        display_name_contains: violations.search_text(display_name_contains),
    };
    violations.finish(workspace.map(|workspace| ListIdentifiers {
        workspace,
        filter,
        page_size,
        after,
        query,
    }))
}

impl From<domain::Identifier> for proto::Identifier {
    fn from(identifier: domain::Identifier) -> Self {
        let domain::Identifier { name, kind, display_name, create_time } = identifier;
        Self {
            name: name.to_string(),
            kind: kind.as_str().to_owned(),
            display_name: display_name.as_str().to_owned(),
            create_time: Some(to_proto_time(create_time)),
        }
    }
}
