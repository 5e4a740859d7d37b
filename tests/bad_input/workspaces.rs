//! `WorkspaceService`.

use claviger::proto::{
    CreateWorkspaceRequest, DeleteWorkspaceRequest, GetWorkspaceRequest, Policy, Role,
    SecretVisibility, UpdateWorkspaceRequest, Workspace,
};
use prost_types::FieldMask;
use tonic::Code;

use super::support::builders::a_key;
use super::support::server::TestServer;
use super::{assert_refused, invalid, refused};

fn a_workspace() -> Workspace {
    Workspace {
        display_name: "W".to_owned(),
        catalog: "catalogs/small".to_owned(),
        ..Workspace::default()
    }
}

fn with(policy: Policy) -> Workspace {
    Workspace { policy: Some(policy), ..a_workspace() }
}

/// Policies that cannot be, for `CreateWorkspace` and `UpdateWorkspace` alike.
fn bad_policies() -> Vec<(&'static str, Policy, super::Refusal)> {
    let policy = Policy::default;
    let defaults = |grant: &str| Policy { default_permissions: vec![grant.to_owned()], ..policy() };
    let prefix = |prefix: &str| Policy { key_prefix: prefix.to_owned(), ..policy() };
    let of_max_keys = || invalid(&["workspace.policy.max_keys"]);
    let of_prefix = || invalid(&["workspace.policy.key_prefix"]);
    let of_defaults = || invalid(&["workspace.policy.default_permissions[0]"]);
    vec![
        ("a negative limit", Policy { max_keys: -1, ..policy() }, of_max_keys()),
        ("a limit too high", Policy { max_keys: 1_000_000_001, ..policy() }, of_max_keys()),
        ("a default that is a typo", defaults("users.trak"), of_defaults()),
        ("a default that is no name", defaults("USERS"), of_defaults()),
        ("an underscore in a prefix", prefix("a_b"), of_prefix()),
        ("a digit first in a prefix", prefix("1a"), of_prefix()),
        ("upper case in a prefix", prefix("Acme"), of_prefix()),
        ("a prefix of 17 characters", prefix("abcdefghijklmnopq"), of_prefix()),
        (
            "a visibility that is unknown",
            Policy { secret_visibility: 99, ..policy() },
            invalid(&["workspace.policy.secret_visibility"]),
        ),
        (
            "revealable secrets without an encryption key",
            Policy { secret_visibility: SecretVisibility::Revealable.into(), ..policy() },
            refused(Code::FailedPrecondition, "ENCRYPTION_KEY_MISSING"),
        ),
        (
            "no role",
            Policy { key_manager_roles: vec![0], ..policy() },
            invalid(&["workspace.policy.key_manager_roles[0]"]),
        ),
        (
            "an unknown role",
            Policy { key_manager_roles: vec![Role::Owner.into(), 9], ..policy() },
            invalid(&["workspace.policy.key_manager_roles[1]"]),
        ),
        (
            "too many roles",
            Policy { key_manager_roles: vec![Role::Owner.into(); 17], ..policy() },
            invalid(&["workspace.policy.key_manager_roles"]),
        ),
        (
            "a negative rate limit",
            Policy { requests_per_hour: -1, ..policy() },
            invalid(&["workspace.policy.requests_per_hour"]),
        ),
        (
            "a rate limit too high",
            Policy { requests_per_hour: 1_000_000_000_001, ..policy() },
            invalid(&["workspace.policy.requests_per_hour"]),
        ),
    ]
}

#[tokio::test]
async fn a_workspace_that_cannot_be_created() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let id = || invalid(&["workspace_id"]);
    let long = "a".repeat(64);
    let catalog = |name: &str| Workspace { catalog: name.to_owned(), ..a_workspace() };
    let mut rows = vec![
        ("no id", "", a_workspace(), id()),
        ("upper case", "Acme", a_workspace(), id()),
        ("an underscore", "a_b", a_workspace(), id()),
        ("a hyphen last", "a-", a_workspace(), id()),
        ("a digit first", "1a", a_workspace(), id()),
        ("64 characters", &long, a_workspace(), id()),
        ("a whole name", "workspaces/x", a_workspace(), id()),
        (
            "the reserved one",
            "claviger",
            a_workspace(),
            refused(Code::PermissionDenied, "RESERVED"),
        ),
        ("one that is there", "acme", a_workspace(), {
            refused(Code::AlreadyExists, "WORKSPACE_EXISTS")
        }),
        (
            "a blank name",
            "w",
            Workspace { display_name: " ".to_owned(), ..a_workspace() },
            invalid(&["workspace.display_name"]),
        ),
        ("no catalogue", "w", catalog(""), invalid(&["workspace.catalog"])),
        ("a catalogue's id", "w", catalog("small"), invalid(&["workspace.catalog"])),
        ("the built-in one", "w", catalog("catalogs/claviger"), invalid(&["workspace.catalog"])),
        ("one that is not there", "w", catalog("catalogs/nobody"), {
            refused(Code::FailedPrecondition, "CATALOG_NOT_FOUND")
        }),
        (
            "no instance's name",
            "w",
            Workspace { instance: "eu 01".to_owned(), ..a_workspace() },
            invalid(&["workspace.instance"]),
        ),
        (
            "nothing at all",
            "",
            Workspace::default(),
            invalid(&["workspace_id", "workspace.display_name", "workspace.catalog"]),
        ),
    ];
    for (row, policy, expected) in bad_policies() {
        rows.push((row, "w", with(policy), expected));
    }
    for (row, id, workspace, expected) in rows {
        let request =
            CreateWorkspaceRequest { workspace_id: id.to_owned(), workspace: Some(workspace) };
        let answer = operator.workspaces.clone().create_workspace(request).await;
        assert_refused(row, answer, &expected);
    }
    let request = GetWorkspaceRequest { name: "workspaces/w".to_owned() };
    let answer = operator.workspaces.clone().get_workspace(request).await;
    assert_refused("nothing was created", answer, &refused(Code::NotFound, "WORKSPACE_NOT_FOUND"));
}

#[tokio::test]
async fn a_workspace_that_cannot_be_changed_or_deleted() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let acme = |workspace: Workspace| Workspace { name: "workspaces/acme".to_owned(), ..workspace };
    let not_found = || refused(Code::NotFound, "WORKSPACE_NOT_FOUND");
    let mut rows = vec![
        ("no name", Workspace::default(), None, invalid(&["workspace.name"])),
        (
            "one that is not there",
            Workspace { name: "workspaces/nobody".to_owned(), ..Workspace::default() },
            None,
            not_found(),
        ),
        (
            "another catalogue",
            acme(Workspace { catalog: "catalogs/x".to_owned(), ..a_workspace() }),
            None,
            { invalid(&["workspace.catalog"]) },
        ),
        (
            "no catalogue",
            acme(Workspace::default()),
            Some("catalog"),
            invalid(&["workspace.catalog"]),
        ),
        ("no display name", acme(Workspace::default()), Some("display_name"), {
            invalid(&["workspace.display_name"])
        }),
        (
            "an unknown field",
            acme(a_workspace()),
            Some("color"),
            invalid(&["update_mask.paths[0]"]),
        ),
        ("an unknown field of the policy", acme(a_workspace()), Some("policy.color"), {
            invalid(&["update_mask.paths[0]"])
        }),
        (
            "camel case",
            acme(a_workspace()),
            Some("displayName"),
            invalid(&["update_mask.paths[0]"]),
        ),
        ("an empty path", acme(a_workspace()), Some(""), invalid(&["update_mask.paths[0]"])),
    ];
    for (row, policy, expected) in bad_policies() {
        rows.push((row, acme(with(policy)), Some("policy"), expected));
    }
    for (row, workspace, path, expected) in rows {
        let update_mask = path.map(|path| FieldMask { paths: vec![path.to_owned()] });
        let request = UpdateWorkspaceRequest { workspace: Some(workspace), update_mask };
        let answer = operator.workspaces.clone().update_workspace(request).await;
        assert_refused(row, answer, &expected);
    }

    let key = a_key("k").permissions(&["*"]).build();
    operator.create_key("workspaces/acme", key).await.unwrap();
    for (row, name, expected) in [
        ("no name", "", invalid(&["name"])),
        ("a key", "workspaces/acme/keys/x", invalid(&["name"])),
        ("one that is not there", "workspaces/nobody", not_found()),
        ("one with keys", "workspaces/acme", {
            refused(Code::FailedPrecondition, "WORKSPACE_NOT_EMPTY")
        }),
    ] {
        let request = DeleteWorkspaceRequest { name: name.to_owned(), force: false };
        let answer = operator.workspaces.clone().delete_workspace(request).await;
        assert_refused(row, answer, &expected);
    }
}
