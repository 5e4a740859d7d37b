//! Claviger guards itself: who may call what, and how far a control key reaches.

mod support;

use std::cell::Cell;

use claviger::domain::{ControlPermission, Grant};
use claviger::proto::{
    ApplyCatalogRequest, DeleteCatalogRequest, DeleteKeyRequest, DeleteWorkspaceRequest,
    GetCatalogRequest, GetKeyRequest, GetWorkspaceRequest, Key, ListKeysRequest,
    ListWorkspacesRequest, Policy, Reason, UpdateWorkspaceRequest, Workspace,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::builders::{a_key, a_question};
use support::calls::call;
use support::clock::FakeClock;
use support::server::{Client, TestServer};
use support::status::{reason, refusal};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Every RPC that is guarded, and the permission that it needs. The same request is made whoever
/// calls: what it comes to, beyond the guard, is of no interest here.
const GUARDED: [(&str, ControlPermission); 34] = [
    ("Authorize", ControlPermission::Authorize),
    ("BatchAuthorize", ControlPermission::Authorize),
    ("StreamAuthorize", ControlPermission::Authorize),
    ("CreateKey", ControlPermission::KeysWrite),
    ("GetKey", ControlPermission::KeysRead),
    ("ListKeys", ControlPermission::KeysRead),
    ("DeleteKey", ControlPermission::KeysWrite),
    ("CloneKey", ControlPermission::KeysWrite),
    ("RevealKey", ControlPermission::KeysReveal),
    ("CloneKey of claviger", ControlPermission::ControlKeysWrite),
    ("RevealKey of claviger", ControlPermission::ControlKeysRead),
    ("CreateKey of claviger", ControlPermission::ControlKeysWrite),
    ("GetKey of claviger", ControlPermission::ControlKeysRead),
    ("ListKeys of claviger", ControlPermission::ControlKeysRead),
    ("DeleteKey of claviger", ControlPermission::ControlKeysWrite),
    ("CreateWorkspace", ControlPermission::WorkspacesWrite),
    ("GetWorkspace", ControlPermission::WorkspacesRead),
    ("ListWorkspaces", ControlPermission::WorkspacesRead),
    ("UpdateWorkspace", ControlPermission::WorkspacesWrite),
    ("DeleteWorkspace", ControlPermission::WorkspacesWrite),
    ("AddMember", ControlPermission::MembersWrite),
    ("ListMembers", ControlPermission::MembersRead),
    ("RemoveMember", ControlPermission::MembersWrite),
    ("CreateIdentifier", ControlPermission::IdentifiersWrite),
    ("ListIdentifiers", ControlPermission::IdentifiersRead),
    ("DeleteIdentifier", ControlPermission::IdentifiersWrite),
    ("ApplyNetworkSet", ControlPermission::NetworkSetsWrite),
    ("GetNetworkSet", ControlPermission::NetworkSetsRead),
    ("ListNetworkSets", ControlPermission::NetworkSetsRead),
    ("DeleteNetworkSet", ControlPermission::NetworkSetsWrite),
    ("ListCatalogs", ControlPermission::CatalogsRead),
    ("GetCatalog", ControlPermission::CatalogsRead),
    ("ApplyCatalog", ControlPermission::CatalogsWrite),
    ("DeleteCatalog", ControlPermission::CatalogsWrite),
];

fn is_refused_for(result: &Result<(), Status>, permission: ControlPermission) -> bool {
    result.as_ref().err().and_then(StatusExt::get_details_error_info).is_some_and(|info| {
        info.reason == "CONTROL_KEY_PERMISSION_MISSING"
            && info.metadata.get("permission").is_some_and(|name| name == permission.as_str())
    })
}

#[test]
fn every_rpc_of_the_contract_is_in_the_table() {
    use prost::Message;
    let set = prost_types::FileDescriptorSet::decode(claviger::proto::FILE_DESCRIPTOR_SET).unwrap();
    let services = set.file.iter().flat_map(|file| &file.service);
    for method in services.flat_map(|service| &service.method) {
        assert!(GUARDED.iter().any(|(rpc, _)| *rpc == method.name()), "{}", method.name());
    }
}

#[tokio::test]
async fn every_rpc_needs_its_permission_and_no_other() {
    let server = TestServer::with_acme().await;
    let key = a_key("k").permissions(&["*"]).build();
    server.operator().create_key("workspaces/acme", key).await.unwrap();
    for (rpc, permission) in GUARDED {
        let others: Vec<&str> = ControlPermission::ALL
            .into_iter()
            .filter(|other| *other != permission)
            .map(ControlPermission::as_str)
            .collect();
        let denied = call(&server.caller_with(&others).await, rpc).await;
        assert_eq!(denied.as_ref().unwrap_err().code(), Code::PermissionDenied, "{rpc}");
        assert!(is_refused_for(&denied, permission), "{rpc}: {denied:?}");
        assert!(denied.unwrap_err().message().contains(permission.as_str()), "{rpc}");
        let admitted = call(&server.caller_with(&[permission.as_str()]).await, rpc).await;
        let refused = admitted.is_err_and(|status| status.code() == Code::PermissionDenied);
        assert!(!refused, "{rpc}");
    }
}

#[tokio::test]
async fn every_rpc_needs_a_control_key() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let customer = a_key("k").permissions(&["*"]).build();
    let customer = operator.create_key("workspaces/acme", customer).await.unwrap().secret;
    let expiring = a_key("c").permissions(&["*"]).expire_time(FakeClock::at(60)).build();
    let expired = operator.create_key("workspaces/claviger", expiring).await.unwrap().secret;
    server.clock.advance(std::time::Duration::from_secs(60));
    let deleted = a_key("c").permissions(&["*"]).build();
    let deleted = operator.create_key("workspaces/claviger", deleted).await.unwrap();
    let name = deleted.key.unwrap().name;
    operator.keys.clone().delete_key(DeleteKeyRequest { name }).await.unwrap();
    let none = Client::new(&server.channel, None);
    for (rpc, _) in GUARDED {
        let missing = refusal(call(&none, rpc).await);
        assert_eq!(missing, (Code::Unauthenticated, "CONTROL_KEY_MISSING".to_owned()), "{rpc}");
        for bad in [customer.as_str(), &expired, &deleted.secret, "x", "unknown-key"] {
            let invalid = refusal(call(&server.caller(bad), rpc).await);
            assert_eq!(invalid, (Code::Unauthenticated, "CONTROL_KEY_INVALID".to_owned()), "{rpc}");
        }
    }
}

#[tokio::test]
async fn a_control_key_is_an_unknown_key_as_a_subject() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    for secret in [server.operator_key.expose(), "claviger-looks-alike"] {
        let response = operator.authorize(a_question(secret).build()).await.unwrap();
        assert_eq!(response.reason(), Reason::KeyUnknown);
        assert_eq!((response.key.as_str(), response.workspace.as_str()), ("", ""));
    }
}

#[tokio::test]
async fn b1_a_scoped_control_key_sees_and_changes_its_own_workspaces_only() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    operator.create_workspace("other", "catalogs/small", Policy::default()).await.unwrap();
    let key = || a_key("k").permissions(&["*"]).build();
    let acme = operator.create_key("workspaces/acme", key()).await.unwrap();
    let other = operator.create_key("workspaces/other", key()).await.unwrap();
    let scoped =
        a_key("dashboard").permissions(&["*"]).workspace_scope(&["workspaces/acme"]).build();
    let scoped = operator.create_key("workspaces/claviger", scoped).await.unwrap().secret;
    let scoped = server.caller(&scoped);

    // As if the other workspace's keys did not exist.
    for (secret, reason) in [(&acme.secret, Reason::Allowed), (&other.secret, Reason::KeyUnknown)] {
        let response = scoped.authorize(a_question(secret).build()).await.unwrap();
        assert_eq!(response.reason(), reason);
    }
    let refused = (Code::PermissionDenied, "CONTROL_KEY_SCOPE".to_owned());
    let question = a_question(&acme.secret).workspace("workspaces/other").build();
    assert_eq!(refusal(scoped.authorize(question).await), refused);
    for parent in ["workspaces/other", "workspaces/claviger", "workspaces/not-there"] {
        assert_eq!(refusal(scoped.create_key(parent, key()).await), refused, "{parent}");
        let parent = parent.to_owned();
        let request = ListKeysRequest { parent, ..ListKeysRequest::default() };
        assert_eq!(refusal(scoped.keys.clone().list_keys(request).await), refused);
    }
    let name = other.key.unwrap().name;
    let mut keys = scoped.keys.clone();
    assert_eq!(refusal(keys.get_key(GetKeyRequest { name: name.clone() }).await), refused);
    assert_eq!(refusal(keys.delete_key(DeleteKeyRequest { name }).await), refused);
    let request = || Workspace { name: "workspaces/other".to_owned(), ..Workspace::default() };
    let mut workspaces = scoped.workspaces.clone();
    let get = GetWorkspaceRequest { name: request().name };
    assert_eq!(refusal(workspaces.get_workspace(get).await), refused);
    let update = UpdateWorkspaceRequest { workspace: Some(request()), update_mask: None };
    assert_eq!(refusal(workspaces.update_workspace(update).await), refused);
    let delete = DeleteWorkspaceRequest { name: request().name, force: true };
    assert_eq!(refusal(workspaces.delete_workspace(delete).await), refused);
    let create = scoped.create_workspace("third", "catalogs/small", Policy::default()).await;
    assert_eq!(refusal(create), refused);
    // What affects every workspace.
    assert_eq!(refusal(call(&scoped, "ApplyCatalog").await), refused);
    assert_eq!(refusal(call(&scoped, "DeleteCatalog").await), refused);
    assert_eq!(refusal(call(&scoped, "ApplyNetworkSet").await), refused);
    assert_eq!(refusal(call(&scoped, "DeleteNetworkSet").await), refused);
    let listed = workspaces.list_workspaces(ListWorkspacesRequest::default()).await.unwrap();
    let listed: Vec<String> = listed.into_inner().workspaces.into_iter().map(|w| w.name).collect();
    assert_eq!(listed, ["workspaces/acme"]);
}

#[tokio::test]
async fn a_control_key_is_good_from_its_own_addresses_only() {
    let server = TestServer::with_acme().await;
    for (networks, admitted) in [(&["127.0.0.0/8"][..], true), (&["203.0.113.0/24"], false)] {
        let key = a_key("c").permissions(&["*"]).allowed_ips(networks).build();
        let secret = server.operator().create_key("workspaces/claviger", key).await.unwrap().secret;
        let answer = server.caller(&secret).authorize(a_question("some-key").build()).await;
        match answer {
            Ok(_) => assert!(admitted, "{networks:?}"),
            Err(status) => {
                assert!(!admitted, "{networks:?}");
                assert_eq!(status.code(), Code::PermissionDenied);
                assert_eq!(reason(&status), "CONTROL_KEY_ADDRESS_DENIED");
            }
        }
    }
}

#[tokio::test]
async fn the_last_operator_key_cannot_be_deleted() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    // None of these can stand in for it: they end, or reach less far.
    for key in [
        a_key("ends").permissions(&["*"]).expire_time(FakeClock::at(3_600)).build(),
        a_key("scoped").permissions(&["*"]).workspace_scope(&["workspaces/acme"]).build(),
        a_key("here").permissions(&["*"]).allowed_ips(&["127.0.0.1"]).build(),
        a_key("less").permissions(&["claviger.*"]).build(),
    ] {
        operator.create_key("workspaces/claviger", key).await.unwrap();
    }
    let parent = "workspaces/claviger".to_owned();
    let request = ListKeysRequest { parent, ..ListKeysRequest::default() };
    let listed = operator.keys.clone().list_keys(request).await.unwrap().into_inner().keys;
    let first = listed.into_iter().find(|key| key.created_by.is_none()).unwrap().name;
    let delete = || DeleteKeyRequest { name: first.clone() };
    let refused = refusal(operator.keys.clone().delete_key(delete()).await);
    assert_eq!(refused, (Code::FailedPrecondition, "LAST_OPERATOR_KEY".to_owned()));

    let second = a_key("second").permissions(&["*"]).build();
    let second = operator.create_key("workspaces/claviger", second).await.unwrap();
    operator.keys.clone().delete_key(delete()).await.unwrap();
    let successor = server.caller(&second.secret);
    let name = second.key.unwrap().name;
    let refused = refusal(successor.keys.clone().delete_key(DeleteKeyRequest { name }).await);
    assert_eq!(refused, (Code::FailedPrecondition, "LAST_OPERATOR_KEY".to_owned()));
}

#[tokio::test]
async fn the_reserved_workspace_and_catalogue_can_be_read_and_nothing_else() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let Client { mut workspaces, mut catalogs, .. } = operator.clone();
    let name = || "workspaces/claviger".to_owned();
    let reserved = (Code::PermissionDenied, "RESERVED".to_owned());
    let create = operator.create_workspace("claviger", "catalogs/small", Policy::default()).await;
    assert_eq!(refusal(create), reserved);
    let workspace = Some(Workspace { name: name(), ..Workspace::default() });
    let update = UpdateWorkspaceRequest { workspace, update_mask: None };
    assert_eq!(refusal(workspaces.update_workspace(update).await), reserved);
    let delete = DeleteWorkspaceRequest { name: name(), force: true };
    assert_eq!(refusal(workspaces.delete_workspace(delete).await), reserved);
    let catalog = support::builders::small_catalog();
    let catalog = claviger::proto::Catalog { name: "catalogs/claviger".to_owned(), ..catalog };
    let apply = ApplyCatalogRequest { catalog: Some(catalog) };
    assert_eq!(refusal(catalogs.apply_catalog(apply).await), reserved);
    let delete = DeleteCatalogRequest { name: "catalogs/claviger".to_owned() };
    assert_eq!(refusal(catalogs.delete_catalog(delete).await), reserved);

    assert!(workspaces.get_workspace(GetWorkspaceRequest { name: name() }).await.is_ok());
    let get = GetCatalogRequest { name: "catalogs/claviger".to_owned() };
    let permissions = catalogs.get_catalog(get).await.unwrap().into_inner().catalog.unwrap();
    let names: Vec<String> = permissions.permissions.into_iter().map(|p| p.name).collect();
    assert_eq!(names, ControlPermission::ALL.map(ControlPermission::as_str));
}

/// A control key that somebody asks for: indices into small sets, so that keys often overlap.
#[derive(Clone, Debug)]
struct Wish {
    /// Whose control key makes the call: an index into the keys made so far.
    creator: usize,
    permissions: Vec<usize>,
    scope: Vec<usize>,
    expires_after: Option<i64>,
    networks: Vec<usize>,
    network_sets: Vec<usize>,
    /// A clone of this key instead: an index into the keys made so far.
    clone_of: Option<usize>,
}

const PERMISSIONS: [&str; 8] = [
    "*",
    "claviger.*",
    "claviger.control_keys.*",
    "claviger.control_keys.write",
    "claviger.control_keys.read",
    "claviger.keys.*",
    "claviger.keys.read",
    "claviger.authorize",
];
const SCOPE: [&str; 3] = ["workspaces/claviger", "workspaces/acme", "workspaces/other"];
/// All of them hold the address that the test calls from, so that any key may be used.
const NETWORKS: [&str; 4] = ["127.0.0.0/8", "127.0.0.0/9", "127.0.0.1", "126.0.0.0/7"];
/// They hold that address too, and may come to hold any other.
const NETWORK_SETS: [&str; 2] = ["networkSets/one", "networkSets/two"];

fn a_wish() -> impl Strategy<Value = Wish> {
    let subset = |size: usize, most: usize| proptest::collection::vec(0..size, 0..=most);
    (
        any::<prop::sample::Index>(),
        proptest::collection::vec(0..PERMISSIONS.len(), 1..4),
        subset(SCOPE.len(), 2),
        proptest::option::of(1..4_i64),
        subset(NETWORKS.len(), 2),
        subset(NETWORK_SETS.len(), 1),
        proptest::option::weighted(0.2, any::<prop::sample::Index>()),
    )
        .prop_map(
            |(creator, permissions, scope, expires_after, networks, network_sets, clone_of)| Wish {
                clone_of: clone_of.map(|index| index.index(usize::from(u16::MAX))),
                creator: creator.index(usize::from(u16::MAX)),
                permissions,
                scope,
                expires_after,
                networks,
                network_sets,
            },
        )
}

/// The oracle: what a key may do, spelt out. Every permission that there is and two that may
/// come to be, each workspace and one that may come to be, some instants, some addresses.
fn reach(key: &Key) -> Vec<bool> {
    let names = ControlPermission::ALL.map(ControlPermission::as_str).into_iter().chain([
        "claviger.keys.new",
        "claviger.new.new",
        "new",
    ]);
    let grants: Vec<Grant> = key.permissions.iter().map(|grant| grant.parse().unwrap()).collect();
    let permitted =
        names.map(|name| grants.iter().any(|grant| grant.covers(&name.parse().unwrap())));
    let workspaces = SCOPE.into_iter().chain(["workspaces/new"]);
    let scope = workspaces.map(|workspace| {
        key.workspace_scope.is_empty() || key.workspace_scope.iter().any(|one| one == workspace)
    });
    let seconds = [0, 3_600, 7_200, 10_800, i64::from(i32::MAX)];
    let alive = seconds.into_iter().map(|after| {
        key.expire_time.is_none_or(|end| end.seconds > FakeClock::START_SECONDS + after)
    });
    let addresses = ["127.0.0.1", "127.0.0.2", "127.200.0.1", "126.0.0.1", "203.0.113.1", "::1"];
    let networks: Vec<ipnet::IpNet> = key
        .allowed_ips
        .iter()
        .map(|network| {
            network.parse().unwrap_or_else(|_| network.parse::<std::net::IpAddr>().unwrap().into())
        })
        .collect();
    let from = addresses.into_iter().map(|address| {
        let address: std::net::IpAddr = address.parse().unwrap();
        let anywhere = networks.is_empty() && key.network_sets.is_empty();
        anywhere || networks.iter().any(|network| network.contains(&address))
    });
    // What a network set admits is the operator's to say, tomorrow as well.
    let anywhere = key.allowed_ips.is_empty() && key.network_sets.is_empty();
    let through = NETWORK_SETS
        .into_iter()
        .map(|set| anywhere || key.network_sets.iter().any(|one| one == set));
    permitted.chain(scope).chain(alive).chain(from).chain(through).collect()
}

#[test]
fn no_sequence_of_calls_makes_a_control_key_wider_than_its_maker() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(async {
        let server = TestServer::with_acme().await;
        for set in NETWORK_SETS {
            server.operator().apply_network_set(set, &["127.0.0.1"]).await.unwrap();
        }
        server
    });
    let (made, refused) = (Cell::new(0), Cell::new(0));
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let wishes = proptest::collection::vec(a_wish(), 40);
    TestRunner::new(config)
        .run(&wishes, |wishes| {
            let (more_made, more_refused) = runtime.block_on(grant_wishes(&server, wishes))?;
            made.set(made.get() + more_made);
            refused.set(refused.get() + more_refused);
            Ok(())
        })
        .unwrap();
    // Neither way is rare, or nothing was shown.
    assert!(made.get() > 100 && refused.get() > 100, "{made:?} made, {refused:?} refused");
}

async fn grant_wishes(server: &TestServer, wishes: Vec<Wish>) -> Result<(u32, u32), TestCaseError> {
    let everything = Key { permissions: vec!["*".to_owned()], ..Key::default() };
    let mut keys = vec![(server.operator_key.expose().to_owned(), everything)];
    let (mut made, mut refused) = (0, 0);
    for wish in wishes {
        let pick = |set: &[&'static str], chosen: &[usize]| -> Vec<&'static str> {
            chosen.iter().map(|index| set[*index]).collect()
        };
        let mut key = a_key("c")
            .permissions(&pick(&PERMISSIONS, &wish.permissions))
            .workspace_scope(&pick(&SCOPE, &wish.scope))
            .allowed_ips(&pick(&NETWORKS, &wish.networks))
            .network_sets(&pick(&NETWORK_SETS, &wish.network_sets));
        if let Some(hours) = wish.expires_after {
            key = key.expire_time(FakeClock::at(hours * 3_600));
        }
        let (secret, creator) = &keys[wish.creator % keys.len()];
        let caller = server.caller(secret);
        let made_key = match wish.clone_of.map(|index| &keys[index % keys.len()].1.name) {
            Some(name) if !name.is_empty() => {
                caller.clone_key(name).await.map(|clone| (clone.secret, clone.key))
            }
            _ => caller
                .create_key("workspaces/claviger", key.build())
                .await
                .map(|created| (created.secret, created.key)),
        };
        match made_key {
            Ok((secret, key)) => {
                let key = key.unwrap();
                let wider =
                    reach(&key).into_iter().zip(reach(creator)).any(|(new, own)| new && !own);
                prop_assert!(!wider, "{:?} made {:?}", creator, key);
                keys.push((secret, key));
                made += 1;
            }
            Err(status) => {
                prop_assert_eq!(status.code(), Code::PermissionDenied, "{}", status);
                refused += 1;
            }
        }
    }
    Ok((made, refused))
}
