//! Members: who may see and manage the keys of a workspace.

mod support;

use claviger::proto::{
    AddMemberRequest, DeleteWorkspaceRequest, GetKeyRequest, ListMembersRequest,
    ListWorkspacesRequest, Member, Policy, RemoveMemberRequest, Role,
};
use support::builders::{a_key, a_question};
use support::calls::call;
use support::server::{Client, TestServer};
use support::status::refusal;
use tonic::Code;

const ROLES: [Role; 4] = [Role::Owner, Role::Admin, Role::Developer, Role::Viewer];

/// The roles that policies list.
const POLICIES: [&[Role]; 6] = [
    &[],
    &[Role::Owner],
    &[Role::Admin, Role::Developer],
    &[Role::Owner, Role::Admin],
    &[Role::Viewer],
    &ROLES,
];

/// Every call of `KeyService`, and of `WorkspaceService` on one workspace, is here.
#[test]
fn the_matrix_holds_every_call() {
    use prost::Message;
    let set = prost_types::FileDescriptorSet::decode(claviger::proto::FILE_DESCRIPTOR_SET).unwrap();
    let on_no_one = ["CreateWorkspace", "ListWorkspaces"];
    for service in set.file.iter().flat_map(|file| &file.service) {
        let calls: &[&str] = match service.name() {
            "KeyService" => &KEY_CALLS,
            "WorkspaceService" => &WORKSPACE_CALLS,
            _ => continue,
        };
        let methods = service.method.iter().map(prost_types::MethodDescriptorProto::name);
        let mut methods: Vec<&str> = methods.filter(|name| !on_no_one.contains(name)).collect();
        let mut calls = calls.to_vec();
        methods.sort_unstable();
        calls.sort_unstable();
        assert_eq!(calls, methods, "{}", service.name());
    }
}

/// Every call of `KeyService`.
const KEY_CALLS: [&str; 6] =
    ["CreateKey", "CloneKey", "RevealKey", "GetKey", "ListKeys", "DeleteKey"];

/// Every call of `WorkspaceService` that acts on one workspace.
const WORKSPACE_CALLS: [&str; 9] = [
    "GetWorkspace",
    "UpdateWorkspace",
    "DeleteWorkspace",
    "AddMember",
    "ListMembers",
    "RemoveMember",
    "CreateIdentifier",
    "ListIdentifiers",
    "DeleteIdentifier",
];

fn email(role: Role) -> String {
    format!("{}@acme.com", role.as_str_name().to_ascii_lowercase())
}

/// Why the actor was not admitted, if it was not.
async fn actor_refused(client: &Client, rpc: &str) -> Option<String> {
    let status = call(client, rpc).await.err()?;
    let (code, reason) = refusal(Err::<(), _>(status));
    let is_about_the_actor = reason.starts_with("ACTOR_");
    assert_eq!(code == Code::PermissionDenied, is_about_the_actor, "{rpc}: {reason}");
    is_about_the_actor.then_some(reason)
}

/// A server whose `workspaces/acme` has a member of each role and a key, and `workspaces/other` a
/// member `stranger@other.com`.
async fn with_members() -> TestServer {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    operator.create_workspace("other", "catalogs/small", Policy::default()).await.unwrap();
    operator.add_member("workspaces/other", "stranger@other.com", Role::Owner).await.unwrap();
    for role in ROLES {
        operator.add_member("workspaces/acme", &email(role), role).await.unwrap();
    }
    operator.create_key("workspaces/acme", a_key("k").permissions(&["*"]).build()).await.unwrap();
    server
}

#[tokio::test]
async fn c6_k3_the_whole_matrix_of_roles_calls_and_policies() {
    let server = with_members().await;
    let dashboard = server
        .control_key(&[
            "claviger.keys.read",
            "claviger.keys.write",
            "claviger.keys.reveal",
            "claviger.identifiers.*",
            "claviger.workspaces.*",
            "claviger.members.*",
        ])
        .await;
    let trusted = server
        .control_key(&[
            "claviger.keys.*",
            "claviger.workspaces.*",
            "claviger.members.*",
            "claviger.identifiers.*",
        ])
        .await;
    let acting =
        |key: &str, actors: &[&str]| Client::acting_for(&server.channel, Some(key), actors);
    let is_key_call = |rpc: &str| KEY_CALLS.contains(&rpc);
    for managers in POLICIES {
        let roles = managers.iter().map(|role| (*role).into()).collect();
        let policy = Policy { key_manager_roles: roles, ..Policy::default() };
        server.operator().set_policy("workspaces/acme", policy).await.unwrap();
        for rpc in KEY_CALLS.into_iter().chain(WORKSPACE_CALLS) {
            let row = format!("{rpc} where {managers:?} manage keys");
            let refused = async |key: &str, actors: &[&str]| {
                actor_refused(&acting(key, actors), rpc).await.unwrap_or_default()
            };
            // Nobody is named.
            let needed = is_key_call(rpc) && !managers.is_empty();
            let missing = if needed { "ACTOR_MISSING" } else { "" };
            assert_eq!(refused(&dashboard, &[]).await, missing, "{row}");
            assert_eq!(refused(&trusted, &[]).await, "", "{row}");
            // Whoever is named is checked, also for callers that need not name anybody.
            for key in [&dashboard, &trusted] {
                for role in ROLES {
                    let may = managers.is_empty() || managers.contains(&role);
                    let expected = if may { "" } else { "ACTOR_ROLE" };
                    assert_eq!(refused(key, &[&email(role)]).await, expected, "{row}: {role:?}");
                }
                for nobody in [
                    &["stranger@other.com"][..],
                    &["jane"],
                    &[""],
                    &["role_owner@acme.com", "role_owner@acme.com"],
                    &["role_owner@acme.com, role_admin@acme.com"],
                ] {
                    assert_eq!(refused(key, nobody).await, "ACTOR_UNKNOWN", "{row}: {nobody:?}");
                }
            }
            assert_eq!(refused(&dashboard, &["Role_VIEWER@ACME.com"]).await, {
                refused(&dashboard, &["role_viewer@acme.com"]).await
            });
        }
    }
}

#[tokio::test]
async fn a_dashboard_of_one_workspace_cannot_act_on_another_whatever_actor_it_names() {
    let server = with_members().await;
    let key = a_key("d").permissions(&["*"]).workspace_scope(&["workspaces/other"]).build();
    let scoped = server.operator().create_key("workspaces/claviger", key).await.unwrap().secret;
    for actor in ["role_owner@acme.com", "stranger@other.com", "nobody@nowhere.com"] {
        let dashboard = server.dashboard(&scoped, actor);
        for rpc in KEY_CALLS.into_iter().chain(WORKSPACE_CALLS) {
            let refused = (Code::PermissionDenied, "CONTROL_KEY_SCOPE".to_owned());
            assert_eq!(refusal(call(&dashboard, rpc).await), refused, "{rpc} for {actor}");
        }
    }
    let own = server.dashboard(&scoped, "stranger@other.com");
    let created = own.create_key("workspaces/other", a_key("k").permissions(&["*"]).build()).await;
    assert_eq!(created.unwrap().key.unwrap().created_by.unwrap(), "stranger@other.com");
}

#[tokio::test]
async fn p1_a_member_who_was_removed_is_nobody_to_the_next_call() {
    let server = with_members().await;
    let operator = server.operator();
    let owner = server.dashboard(server.operator_key.expose(), &email(Role::Owner));
    let key = a_key("k").permissions(&["*"]).build();
    let created = owner.create_key("workspaces/acme", key).await.unwrap();

    let parent = "workspaces/acme".to_owned();
    let request = ListMembersRequest { parent, ..ListMembersRequest::default() };
    let members = operator.workspaces.clone().list_members(request).await.unwrap();
    let members = members.into_inner().members;
    let emails: Vec<&str> = members.iter().map(|member| member.email.as_str()).collect();
    assert_eq!(
        emails,
        [
            "role_admin@acme.com",
            "role_developer@acme.com",
            "role_owner@acme.com",
            "role_viewer@acme.com"
        ]
    );
    let remove = || RemoveMemberRequest { name: members[2].name.clone() };
    operator.workspaces.clone().remove_member(remove()).await.unwrap();
    let gone = refusal(operator.workspaces.clone().remove_member(remove()).await);
    assert_eq!(gone, (Code::NotFound, "MEMBER_NOT_FOUND".to_owned()));

    assert_eq!(actor_refused(&owner, "ListKeys").await.unwrap(), "ACTOR_UNKNOWN");
    let response = operator.authorize(a_question(&created.secret).build()).await.unwrap();
    assert!(response.allowed, "the key that they created stays");
    let get = GetKeyRequest { name: created.key.unwrap().name };
    let key = operator.keys.clone().get_key(get).await.unwrap().into_inner().key.unwrap();
    assert_eq!(key.created_by.unwrap(), "role_owner@acme.com");
    // The same address may come back as something else.
    operator.add_member("workspaces/acme", &email(Role::Owner), Role::Viewer).await.unwrap();
    let roles = vec![Role::Owner.into()];
    let policy = Policy { key_manager_roles: roles, ..Policy::default() };
    operator.set_policy("workspaces/acme", policy).await.unwrap();
    assert_eq!(actor_refused(&owner, "ListKeys").await.unwrap(), "ACTOR_ROLE");
}

#[tokio::test]
async fn an_address_is_one_member_of_a_workspace_and_may_be_one_of_another() {
    let server = with_members().await;
    let operator = server.operator();
    let again = operator.add_member("workspaces/acme", "ROLE_Owner@acme.com", Role::Viewer).await;
    assert_eq!(refusal(again), (Code::AlreadyExists, "MEMBER_EXISTS".to_owned()));
    operator.add_member("workspaces/other", &email(Role::Owner), Role::Viewer).await.unwrap();

    // At the same time, too.
    let add = |_| {
        let operator = operator.clone();
        async move { operator.add_member("workspaces/other", "new@other.com", Role::Admin).await }
    };
    let added = futures_util::future::join_all((0..8).map(add)).await;
    let exists = (Code::AlreadyExists, "MEMBER_EXISTS".to_owned());
    let (good, bad): (Vec<_>, Vec<_>) = added.into_iter().partition(Result::is_ok);
    assert_eq!(good.len(), 1);
    for other in bad {
        assert_eq!(refusal(other), exists);
    }
}

#[tokio::test]
async fn members_are_listed_in_pages_and_go_with_their_workspace() {
    let server = with_members().await;
    let mut workspaces = server.operator().workspaces;
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let parent = "workspaces/acme".to_owned();
        let request = ListMembersRequest { parent, page_size: 3, page_token };
        let page = workspaces.list_members(request).await.unwrap().into_inner();
        assert!(page.members.len() <= 3);
        listed.extend(page.members.into_iter().map(|member| member.role()));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, [Role::Admin, Role::Developer, Role::Owner, Role::Viewer]);

    let delete = DeleteWorkspaceRequest { name: "workspaces/acme".to_owned(), force: true };
    workspaces.delete_workspace(delete).await.unwrap();
    let operator = server.operator();
    operator.create_workspace("acme", "catalogs/small", Policy::default()).await.unwrap();
    let owner = server.dashboard(server.operator_key.expose(), &email(Role::Owner));
    assert_eq!(actor_refused(&owner, "ListKeys").await.unwrap(), "ACTOR_UNKNOWN");
}

#[tokio::test]
async fn a_call_that_acts_on_no_one_workspace_takes_no_actor() {
    let server = with_members().await;
    let owner = server.dashboard(server.operator_key.expose(), &email(Role::Owner));
    let refused = (Code::InvalidArgument, "ACTOR_NOT_APPLICABLE".to_owned());
    assert_eq!(refusal(owner.authorize(a_question("some-key").build()).await), refused);
    let created = owner.create_workspace("new", "catalogs/small", Policy::default()).await;
    assert_eq!(refusal(created), refused);
    let mut workspaces = owner.workspaces.clone();
    assert_eq!(
        refusal(workspaces.list_workspaces(ListWorkspacesRequest::default()).await),
        refused
    );
    let mut catalogs = owner.catalogs.clone();
    let get = claviger::proto::GetCatalogRequest { name: "catalogs/small".to_owned() };
    assert_eq!(refusal(catalogs.get_catalog(get).await), refused);
    let catalog = Some(support::builders::small_catalog());
    let apply = claviger::proto::ApplyCatalogRequest { catalog };
    assert_eq!(refusal(catalogs.apply_catalog(apply).await), refused);
}

#[tokio::test]
async fn a_member_that_cannot_be() {
    let server = with_members().await;
    let operator = server.operator();
    let member = |email: &str, role: i32| {
        Some(Member { email: email.to_owned(), role, ..Member::default() })
    };
    for (row, parent, member, fields) in [
        ("nothing", "workspaces/acme", None, &["member.email", "member.role"][..]),
        ("no e-mail", "workspaces/acme", member("", 1), &["member.email"]),
        ("no address", "workspaces/acme", member("jane", 1), &["member.email"]),
        ("two addresses", "workspaces/acme", member("a@b,c@d", 1), &["member.email"]),
        ("no role", "workspaces/acme", member("a@b", 0), &["member.role"]),
        ("an unknown role", "workspaces/acme", member("a@b", 9), &["member.role"]),
        ("no workspace", "acme", member("a@b", 1), &["parent"]),
    ] {
        let request = AddMemberRequest { parent: parent.to_owned(), member };
        let status = operator.workspaces.clone().add_member(request).await.expect_err(row);
        assert_eq!(status.code(), Code::InvalidArgument, "{row}");
        assert_eq!(support::status::fields(&status), fields, "{row}");
    }
    for (workspace, refused) in [
        ("workspaces/not-there", (Code::NotFound, "WORKSPACE_NOT_FOUND".to_owned())),
        ("workspaces/claviger", (Code::PermissionDenied, "RESERVED".to_owned())),
    ] {
        let added = operator.add_member(workspace, "a@b", Role::Owner).await;
        assert_eq!(refusal(added), refused, "{workspace}");
    }
    let request = RemoveMemberRequest { name: "workspaces/acme/members/jane".to_owned() };
    let status = operator.workspaces.clone().remove_member(request).await.unwrap_err();
    assert_eq!(support::status::fields(&status), ["name"]);
}
