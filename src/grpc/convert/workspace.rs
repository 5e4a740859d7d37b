//! Workspaces and policies.

use std::collections::HashSet;

use super::member::parse_role;
use super::violations::Violations;
use super::{optional_name, to_proto_limit, to_proto_time, token};
use crate::domain::{
    self, Grant, InstanceId, InvalidName, KeyPrefix, MAX_GRANTS, SecretVisibility, WorkspaceId,
};
use crate::manage::{CreatedWorkspace, Error, PolicyPatch, WorkspaceDraft, WorkspacePatch};
use crate::proto;
use crate::store::Committed;

/// The highest `max_keys`: what every engine counts quickly enough.
const MAX_MAX_KEYS: u32 = 1_000_000_000;

pub(in crate::grpc) fn create_workspace(
    request: proto::CreateWorkspaceRequest,
    id: Result<WorkspaceId, InvalidName>,
) -> Result<WorkspaceDraft, Error> {
    let proto::CreateWorkspaceRequest { workspace_id: _, workspace } = request;
    let proto::Workspace {
        // The id of the request counts (AIP-133), the others are output only.
        name: _,
        public_key: _,
        create_time: _,
        update_time: _,
        display_name,
        catalog,
        instance,
        policy,
    } = workspace.unwrap_or_default();

    let mut violations = Violations::default();
    let id = violations.note("workspace_id", id);
    let display_name = violations.note("workspace.display_name", display_name.parse());
    let catalog = violations.note("workspace.catalog", catalog.parse::<domain::CatalogId>());
    if catalog.as_ref().is_some_and(domain::CatalogId::is_reserved) {
        violations.add("workspace.catalog", "must not be the built-in one");
    }
    let instance = optional_name::<InstanceId>(&instance)
        .and_then(|instance| violations.note("workspace.instance", instance));
    let policy = policy_patch(policy.unwrap_or_default(), &mut violations).into_policy();

    let built = match (id, display_name, catalog) {
        (Some(id), Some(display_name), Some(catalog)) => {
            Some(WorkspaceDraft { id, display_name, catalog, instance, policy })
        }
        _ => None,
    };
    violations.finish(built)
}

pub(in crate::grpc) fn create_workspace_response(
    created: Committed<CreatedWorkspace>,
) -> proto::CreateWorkspaceResponse {
    let Committed { output: CreatedWorkspace { workspace, first_key }, revision } = created;
    proto::CreateWorkspaceResponse {
        workspace: Some(workspace.into()),
        first_key: first_key.map(proto::FirstKey::from),
        revision_token: token(revision),
    }
}

/// A policy with every field set, each to be changed or not.
fn policy_patch(policy: proto::Policy, violations: &mut Violations) -> PolicyPatch {
    const FIELD: &str = "workspace.policy";
    let proto::Policy {
        max_keys,
        keep_last_key,
        secret_visibility,
        key_manager_roles,
        provision_first_key,
        default_permissions,
        requests_per_hour,
        key_prefix,
    } = policy;
    let visibility = match proto::SecretVisibility::try_from(secret_visibility) {
        Ok(proto::SecretVisibility::Unspecified | proto::SecretVisibility::ShownOnce) => {
            SecretVisibility::ShownOnce
        }
        Ok(proto::SecretVisibility::Revealable) => SecretVisibility::Revealable,
        Err(_) => {
            violations.add(format!("{FIELD}.secret_visibility"), "must be one of the known values");
            SecretVisibility::ShownOnce
        }
    };
    let key_manager_roles = parse_roles(&key_manager_roles, violations);
    let max_keys = u32::try_from(max_keys).ok().filter(|max_keys| *max_keys <= MAX_MAX_KEYS);
    let max_keys = max_keys.ok_or("must lie between 0 and 1,000,000,000");
    let max_keys = violations.note(format!("{FIELD}.max_keys"), max_keys).unwrap_or(0);
    let default_permissions: Vec<Grant> = violations.parse_all(
        &format!("{FIELD}.default_permissions"),
        &default_permissions,
        MAX_GRANTS,
    );
    let requests_per_hour =
        violations.requests_per_hour(format!("{FIELD}.requests_per_hour"), requests_per_hour);
    let key_prefix = match key_prefix.as_str() {
        "" => KeyPrefix::default(),
        text => violations.note(format!("{FIELD}.key_prefix"), text.parse()).unwrap_or_default(),
    };
    PolicyPatch {
        max_keys: Some((max_keys > 0).then_some(max_keys)),
        keep_last_key: Some(keep_last_key),
        secret_visibility: Some(visibility),
        key_manager_roles: Some(key_manager_roles),
        provision_first_key: Some(provision_first_key),
        default_permissions: Some(default_permissions),
        requests_per_hour: Some(requests_per_hour),
        key_prefix: Some(key_prefix),
    }
}

/// The most roles that are looked at: each of them, and room for some that are named twice.
const MAX_ROLES: usize = 16;

fn parse_roles(roles: &[i32], violations: &mut Violations) -> Vec<domain::Role> {
    let field = "workspace.policy.key_manager_roles";
    if roles.len() > MAX_ROLES {
        violations.add(field, format_args!("must not have more than {MAX_ROLES} items"));
        return Vec::new();
    }
    let mut parsed = Vec::with_capacity(roles.len());
    for (index, role) in roles.iter().enumerate() {
        let role = violations.note(format!("{field}[{index}]"), parse_role(*role));
        parsed.extend(role.filter(|role| !parsed.contains(role)));
    }
    parsed
}

/// Every field of a workspace that a caller may name to change.
const FIELDS: [&str; 11] = [
    "display_name",
    "catalog",
    "instance",
    "policy.max_keys",
    "policy.keep_last_key",
    "policy.secret_visibility",
    "policy.key_manager_roles",
    "policy.provision_first_key",
    "policy.default_permissions",
    "policy.requests_per_hour",
    "policy.key_prefix",
];
/// The longest mask: every field, and room for some that are named twice.
const MAX_PATHS: usize = 32;
/// Ignored, so that what was read can be written back (AIP-203).
const OUTPUT_ONLY: [&str; 4] = ["name", "public_key", "create_time", "update_time"];

/// Which fields of a workspace to change.
struct Mask(HashSet<&'static str>);

impl Mask {
    fn has(&self, field: &'static str) -> bool {
        self.0.contains(field)
    }

    /// The fields that are set (AIP-134).
    fn of_set_fields(workspace: &proto::Workspace) -> Self {
        let policy = workspace.policy.clone().unwrap_or_default();
        let is_set = |field: &&str| match *field {
            "display_name" => !workspace.display_name.is_empty(),
            "catalog" => !workspace.catalog.is_empty(),
            "instance" => !workspace.instance.is_empty(),
            "policy.max_keys" => policy.max_keys != 0,
            "policy.keep_last_key" => policy.keep_last_key,
            "policy.secret_visibility" => policy.secret_visibility != 0,
            "policy.key_manager_roles" => !policy.key_manager_roles.is_empty(),
            "policy.provision_first_key" => policy.provision_first_key,
            "policy.default_permissions" => !policy.default_permissions.is_empty(),
            "policy.requests_per_hour" => policy.requests_per_hour != 0,
            "policy.key_prefix" => !policy.key_prefix.is_empty(),
            field => unreachable!("{field} is one of FIELDS"),
        };
        Self(FIELDS.into_iter().filter(is_set).collect())
    }

    fn of_paths(paths: &[String], violations: &mut Violations) -> Self {
        let mut mask = HashSet::new();
        if paths.len() > MAX_PATHS {
            violations
                .add("update_mask", format_args!("must not have more than {MAX_PATHS} paths"));
            return Self(mask);
        }
        for (index, path) in paths.iter().enumerate() {
            let named = |field: &&str| match path.as_str() {
                "*" => true,
                "policy" => field.starts_with("policy."),
                path => *field == path,
            };
            mask.extend(FIELDS.into_iter().filter(named));
            if !FIELDS.iter().any(named) && !OUTPUT_ONLY.contains(&path.as_str()) {
                violations.add(
                    format!("update_mask.paths[{index}]"),
                    "must be a field of a workspace, one of `policy`, or `*`",
                );
            }
        }
        Self(mask)
    }
}

pub(in crate::grpc) fn update_workspace(
    request: proto::UpdateWorkspaceRequest,
    id: Result<WorkspaceId, InvalidName>,
) -> Result<(WorkspaceId, WorkspacePatch), Error> {
    let proto::UpdateWorkspaceRequest { workspace, update_mask } = request;
    let workspace = workspace.unwrap_or_default();
    let mut violations = Violations::default();
    let id = violations.note("workspace.name", id);
    let mask = update_mask.filter(|mask| !mask.paths.is_empty()).map_or_else(
        || Mask::of_set_fields(&workspace),
        |mask| Mask::of_paths(&mask.paths, &mut violations),
    );
    let proto::Workspace {
        name: _,
        public_key: _,
        create_time: _,
        update_time: _,
        display_name,
        catalog,
        instance,
        policy,
    } = workspace;
    let display_name = if mask.has("display_name") {
        violations.note("workspace.display_name", display_name.parse())
    } else {
        None
    };
    let catalog = if mask.has("catalog") {
        violations.note("workspace.catalog", catalog.parse())
    } else {
        None
    };
    let instance = mask.has("instance").then(|| {
        optional_name::<InstanceId>(&instance)
            .and_then(|instance| violations.note("workspace.instance", instance))
    });
    let policy = masked_policy(policy.unwrap_or_default(), &mask, &mut violations);
    violations.finish(id.map(|id| (id, WorkspacePatch { display_name, catalog, instance, policy })))
}

/// What the mask names of a policy; the rest is not even looked at.
fn masked_policy(policy: proto::Policy, mask: &Mask, violations: &mut Violations) -> PolicyPatch {
    fn keep<T: Default>(named: bool, value: T) -> T {
        if named { value } else { T::default() }
    }
    let named = proto::Policy {
        max_keys: keep(mask.has("policy.max_keys"), policy.max_keys),
        keep_last_key: keep(mask.has("policy.keep_last_key"), policy.keep_last_key),
        secret_visibility: keep(mask.has("policy.secret_visibility"), policy.secret_visibility),
        key_manager_roles: keep(mask.has("policy.key_manager_roles"), policy.key_manager_roles),
        provision_first_key: keep(
            mask.has("policy.provision_first_key"),
            policy.provision_first_key,
        ),
        default_permissions: keep(
            mask.has("policy.default_permissions"),
            policy.default_permissions,
        ),
        requests_per_hour: keep(mask.has("policy.requests_per_hour"), policy.requests_per_hour),
        key_prefix: keep(mask.has("policy.key_prefix"), policy.key_prefix),
    };
    let patch = policy_patch(named, violations);
    PolicyPatch {
        max_keys: patch.max_keys.filter(|_| mask.has("policy.max_keys")),
        secret_visibility: patch.secret_visibility.filter(|_| mask.has("policy.secret_visibility")),
        keep_last_key: patch.keep_last_key.filter(|_| mask.has("policy.keep_last_key")),
        key_manager_roles: patch.key_manager_roles.filter(|_| mask.has("policy.key_manager_roles")),
        provision_first_key: patch
            .provision_first_key
            .filter(|_| mask.has("policy.provision_first_key")),
        default_permissions: patch
            .default_permissions
            .filter(|_| mask.has("policy.default_permissions")),
        requests_per_hour: patch.requests_per_hour.filter(|_| mask.has("policy.requests_per_hour")),
        key_prefix: patch.key_prefix.filter(|_| mask.has("policy.key_prefix")),
    }
}

impl From<domain::Workspace> for proto::Workspace {
    fn from(workspace: domain::Workspace) -> Self {
        let domain::Workspace {
            id,
            display_name,
            catalog,
            instance,
            policy,
            public_key,
            create_time,
            update_time,
        } = workspace;
        Self {
            name: id.to_string(),
            display_name: display_name.as_str().to_owned(),
            catalog: catalog.to_string(),
            instance: instance.map(|instance| instance.to_string()).unwrap_or_default(),
            policy: Some(policy.into()),
            public_key: public_key.map(|key| key.to_string()).unwrap_or_default(),
            create_time: Some(to_proto_time(create_time)),
            update_time: Some(to_proto_time(update_time)),
        }
    }
}

impl From<SecretVisibility> for proto::SecretVisibility {
    fn from(visibility: SecretVisibility) -> Self {
        match visibility {
            SecretVisibility::ShownOnce => Self::ShownOnce,
            SecretVisibility::Revealable => Self::Revealable,
        }
    }
}

impl From<domain::Policy> for proto::Policy {
    fn from(policy: domain::Policy) -> Self {
        let domain::Policy {
            max_keys,
            keep_last_key,
            secret_visibility,
            key_manager_roles,
            provision_first_key,
            default_permissions,
            requests_per_hour,
            key_prefix,
        } = policy;
        Self {
            max_keys: max_keys.and_then(|max_keys| i32::try_from(max_keys).ok()).unwrap_or(0),
            keep_last_key,
            secret_visibility: proto::SecretVisibility::from(secret_visibility).into(),
            key_manager_roles: key_manager_roles
                .into_iter()
                .map(|role| proto::Role::from(role).into())
                .collect(),
            provision_first_key,
            default_permissions: default_permissions.into_iter().map(String::from).collect(),
            requests_per_hour: to_proto_limit(requests_per_hour),
            key_prefix: key_prefix.into(),
        }
    }
}
