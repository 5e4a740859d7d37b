//! Keys.

use uuid::Uuid;

use super::violations::Violations;
use super::{from_proto_time, page_size, to_proto_time, token};
use crate::domain::{
    self, InvalidName, KeyFilter, MAX_GRANTS, MAX_NETWORKS, MAX_SCOPE, Timestamp, WorkspaceId,
};
use crate::grpc::page_token;
use crate::manage::{CreatedKey, Error, KeyDraft, Violation};
use crate::proto;
use crate::store::{Committed, Cursor};

/// A `CreateKeyRequest` that holds together.
pub(in crate::grpc) struct CreateKey {
    pub(in crate::grpc) workspace: WorkspaceId,
    pub(in crate::grpc) draft: KeyDraft,
    pub(in crate::grpc) request_id: Option<Uuid>,
}

/// A `ListKeysRequest` that holds together.
pub(in crate::grpc) struct ListKeys {
    pub(in crate::grpc) workspace: WorkspaceId,
    pub(in crate::grpc) filter: KeyFilter,
    pub(in crate::grpc) page_size: usize,
    pub(in crate::grpc) after: Option<Cursor>,
    /// What page tokens are bound to.
    pub(in crate::grpc) query: proto::ListKeysRequest,
}

pub(in crate::grpc) fn create_key(
    request: proto::CreateKeyRequest,
    parent: Result<WorkspaceId, InvalidName>,
) -> Result<CreateKey, Error> {
    let proto::CreateKeyRequest { parent: _, key, request_id } = request;
    let proto::Key {
        // Output only: ignored (AIP-203).
        name: _,
        hint: _,
        created_by: _,
        create_time: _,
        last_seen_time: _,
        display_name,
        permissions,
        allowed_ips,
        network_sets,
        expire_time,
        workspace_scope,
    } = key.unwrap_or_default();

    let mut violations = Violations::default();
    let workspace = violations.note("parent", parent);
    let display_name = violations.note("key.display_name", display_name.parse());
    let permissions = violations.parse_all("key.permissions", &permissions, MAX_GRANTS);
    let networks: Vec<domain::Cidr> =
        violations.parse_all("key.allowed_ips", &allowed_ips, MAX_NETWORKS);
    let network_sets =
        violations.parse_all("key.network_sets", &network_sets, domain::MAX_NETWORK_SETS);
    let expire_time =
        expire_time.and_then(|time| violations.note("key.expire_time", from_proto_time(time)));
    if workspace.as_ref().is_some_and(|workspace| !workspace.is_reserved())
        && !workspace_scope.is_empty()
    {
        violations.add("key.workspace_scope", "is for keys of `workspaces/claviger` only");
    }
    let scope: Vec<WorkspaceId> =
        violations.parse_all("key.workspace_scope", &workspace_scope, MAX_SCOPE);
    let request_id = match self::request_id(&request_id) {
        Ok(request_id) => request_id,
        Err(violation) => {
            violations.add(violation.field, violation.description);
            None
        }
    };

    let built = workspace.zip(display_name).map(|(workspace, display_name)| CreateKey {
        workspace,
        draft: KeyDraft {
            display_name,
            permissions,
            allowed_ips: networks.into_iter().collect(),
            network_sets,
            expire_time,
            workspace_scope: scope.into_iter().collect(),
        },
        request_id,
    });
    violations.finish(built)
}

/// What makes a call repeatable, if it is.
pub(in crate::grpc) fn request_id(text: &str) -> Result<Option<Uuid>, Violation> {
    if text.is_empty() {
        return Ok(None);
    }
    let id = domain::parse_uuid(text).map(Some);
    id.ok_or_else(|| Violation::new("request_id", "must be a UUID in lower case"))
}

pub(in crate::grpc) fn create_key_response(
    created: Committed<CreatedKey>,
) -> proto::CreateKeyResponse {
    let Committed { output, revision } = created;
    let proto::FirstKey { key, secret, authorization_header } = output.into();
    let revision_token = token(revision);
    proto::CreateKeyResponse { key, secret, authorization_header, revision_token }
}

pub(in crate::grpc) fn clone_key_response(
    created: Committed<CreatedKey>,
) -> proto::CloneKeyResponse {
    let Committed { output, revision } = created;
    let proto::FirstKey { key, secret, authorization_header } = output.into();
    let revision_token = token(revision);
    proto::CloneKeyResponse { key, secret, authorization_header, revision_token }
}

impl From<CreatedKey> for proto::FirstKey {
    fn from(created: CreatedKey) -> Self {
        let CreatedKey { key, secret } = created;
        let authorization_header = secret.as_ref().map(domain::Secret::authorization_header);
        Self {
            key: Some(key.into()),
            secret: secret.map(|secret| secret.expose().to_owned()).unwrap_or_default(),
            authorization_header: authorization_header.unwrap_or_default(),
        }
    }
}

pub(in crate::grpc) fn list_keys(
    request: proto::ListKeysRequest,
    parent: Result<WorkspaceId, InvalidName>,
) -> Result<ListKeys, Error> {
    let query =
        proto::ListKeysRequest { page_size: 0, page_token: String::new(), ..request.clone() };
    let proto::ListKeysRequest {
        parent: _,
        page_size: requested_size,
        page_token: token,
        display_name_contains,
        created_by,
        permission,
        expire_time_before,
        not_seen_since,
    } = request;
    let some_text = |text: String| (!text.is_empty()).then_some(text);

    let mut violations = Violations::default();
    let workspace = violations.note("parent", parent);
    let page_size = page_size(requested_size).map_err(Error::from)?;
    let after = page_token::decode(&query, &token).map_err(Error::from)?;
    let display_name_contains = violations.search_text(display_name_contains);
    let permission = some_text(permission)
        .and_then(|permission| violations.note("permission", permission.parse()));
    let mut time = |field: &str, time: Option<prost_types::Timestamp>| -> Option<Timestamp> {
        time.and_then(|time| violations.note(field, from_proto_time(time)))
    };
    let filter = KeyFilter {
        display_name_contains,
        created_by: some_text(created_by),
        permission,
        expire_time_before: time("expire_time_before", expire_time_before),
        not_seen_since: time("not_seen_since", not_seen_since),
    };

    let built = workspace.map(|workspace| ListKeys { workspace, filter, page_size, after, query });
    violations.finish(built)
}

impl From<domain::Key> for proto::Key {
    fn from(key: domain::Key) -> Self {
        let domain::Key {
            name,
            display_name,
            hint,
            permissions,
            allowed_ips,
            network_sets,
            created_by,
            create_time,
            last_seen_time,
            expire_time,
            workspace_scope,
        } = key;
        Self {
            name: name.to_string(),
            display_name: display_name.as_str().to_owned(),
            hint,
            permissions: permissions.into_iter().map(String::from).collect(),
            allowed_ips: allowed_ips.iter().map(ToString::to_string).collect(),
            network_sets: network_sets.iter().map(ToString::to_string).collect(),
            created_by,
            create_time: Some(to_proto_time(create_time)),
            last_seen_time: last_seen_time.map(to_proto_time),
            expire_time: expire_time.map(to_proto_time),
            workspace_scope: workspace_scope.iter().map(ToString::to_string).collect(),
        }
    }
}
