//! Identifiers and network sets.

use claviger::proto::{
    ApplyNetworkSetRequest, CreateIdentifierRequest, DeleteIdentifierRequest,
    DeleteNetworkSetRequest, GetNetworkSetRequest, Identifier, ListIdentifiersRequest,
    ListNetworkSetsRequest, NetworkSet,
};
use tonic::Code;

use super::support::server::TestServer;
use super::{assert_refused, invalid, refused};

#[tokio::test]
async fn an_identifier_that_cannot_be() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    operator.create_identifier("workspaces/acme", "taken", "app", "App").await.unwrap();
    let long = "x".repeat(129);
    let kind = || invalid(&["identifier.kind"]);
    let id = || invalid(&["identifier_id"]);
    for (row, workspace, identifier, of_kind, name, expected) in [
        ("a slash", "workspaces/acme", "a/b", "app", "App", id()),
        ("a blank", "workspaces/acme", "a b", "app", "App", id()),
        ("too long", "workspaces/acme", &long, "app", "App", id()),
        ("no kind", "workspaces/acme", "a", "", "App", kind()),
        ("upper case", "workspaces/acme", "a", "App", "App", kind()),
        ("no name", "workspaces/acme", "a", "app", "", invalid(&["identifier.display_name"])),
        ("a NUL", "workspaces/acme", "a", "app", "a\0", invalid(&["identifier.display_name"])),
        ("no workspace", "acme", "a", "app", "App", invalid(&["parent"])),
        ("one that is there", "workspaces/acme", "taken", "app", "App", {
            refused(Code::AlreadyExists, "IDENTIFIER_EXISTS")
        }),
        ("a workspace that is not", "workspaces/none", "a", "app", "App", {
            refused(Code::NotFound, "WORKSPACE_NOT_FOUND")
        }),
        ("the reserved one", "workspaces/claviger", "a", "app", "App", {
            refused(Code::PermissionDenied, "RESERVED")
        }),
    ] {
        let created = operator.create_identifier(workspace, identifier, of_kind, name).await;
        assert_refused(row, created, &expected);
    }
    let request = CreateIdentifierRequest {
        parent: "workspaces/acme".to_owned(),
        identifier: None,
        ..CreateIdentifierRequest::default()
    };
    let nothing = operator.workspaces.clone().create_identifier(request).await;
    let both = invalid(&["identifier.kind", "identifier.display_name"]);
    assert_refused("nothing at all", nothing, &both);
    let delete = DeleteIdentifierRequest { name: "workspaces/acme/identifiers/".to_owned() };
    let deleted = operator.workspaces.clone().delete_identifier(delete).await;
    assert_refused("no name", deleted, &invalid(&["name"]));

    // Without an id it gets one.
    let created = operator.create_identifier("workspaces/acme", "", "app", "App").await.unwrap();
    let Identifier { name, .. } = created;
    let id = name.strip_prefix("workspaces/acme/identifiers/").unwrap();
    assert_eq!(id.len(), 36, "{id}");
}

#[tokio::test]
async fn a_list_of_identifiers_that_cannot_be() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    for id in ["a", "b"] {
        operator.create_identifier("workspaces/acme", id, "app", "App").await.unwrap();
    }
    let query = || ListIdentifiersRequest {
        parent: "workspaces/acme".to_owned(),
        page_size: 1,
        ..ListIdentifiersRequest::default()
    };
    let list = |request: ListIdentifiersRequest| {
        let mut workspaces = operator.workspaces.clone();
        async move { workspaces.list_identifiers(request).await.map(tonic::Response::into_inner) }
    };
    let token = list(query()).await.unwrap().next_page_token;
    let next = ListIdentifiersRequest { page_token: token.clone(), ..query() };
    let second = list(next).await.unwrap();
    assert_eq!((second.identifiers.len(), second.next_page_token.as_str()), (1, ""));
    let of_token = || invalid(&["page_token"]);
    for (row, request, expected) in [
        ("a negative size", ListIdentifiersRequest { page_size: -1, ..query() }, {
            invalid(&["page_size"])
        }),
        ("no kind", ListIdentifiersRequest { kind: "A B".to_owned(), ..query() }, {
            invalid(&["kind"])
        }),
        (
            "a long text",
            ListIdentifiersRequest { display_name_contains: "x".repeat(129), ..query() },
            { invalid(&["display_name_contains"]) },
        ),
        (
            "another filter",
            ListIdentifiersRequest { page_token: token.clone(), kind: "app".to_owned(), ..query() },
            of_token(),
        ),
        (
            "an altered token",
            ListIdentifiersRequest { page_token: format!("{token}A"), ..query() },
            of_token(),
        ),
        ("no workspace", ListIdentifiersRequest { parent: "acme".to_owned(), ..query() }, {
            invalid(&["parent"])
        }),
    ] {
        assert_refused(row, list(request).await, &expected);
    }
    // No name holds a NUL.
    let nul = ListIdentifiersRequest { display_name_contains: "\0".to_owned(), ..query() };
    assert_eq!(list(nul).await.unwrap().identifiers, []);
}

#[tokio::test]
async fn a_network_set_that_cannot_be() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let too_many = vec!["203.0.113.9"; 10_001];
    for (row, name, networks, expected) in [
        ("no name", "", &["203.0.113.9"][..], invalid(&["network_set.name"])),
        ("an id", "platform", &["203.0.113.9"], invalid(&["network_set.name"])),
        ("host bits", "networkSets/p", &["10.0.0.0/8", "10.1.2.3/8"], {
            invalid(&["network_set.networks[1]"])
        }),
        ("too many", "networkSets/p", &too_many, invalid(&["network_set.networks"])),
    ] {
        assert_refused(row, operator.apply_network_set(name, networks).await, &expected);
    }
    let mut catalogs = operator.catalogs.clone();
    let request = ApplyNetworkSetRequest { network_set: Some(NetworkSet::default()) };
    let nothing = catalogs.apply_network_set(request).await;
    assert_refused("nothing at all", nothing, &invalid(&["network_set.name"]));
    let missing = refused(Code::NotFound, "NETWORK_SET_NOT_FOUND");
    let name = || "networkSets/p".to_owned();
    let got = catalogs.get_network_set(GetNetworkSetRequest { name: name() }).await;
    assert_refused("one that is not there", got, &missing);
    let deleted = catalogs.delete_network_set(DeleteNetworkSetRequest { name: name() }).await;
    assert_refused("one that is not there", deleted, &missing);

    // The largest is read and listed.
    let largest: Vec<String> =
        (0..10_000).map(|number| format!("2001:db8:{number:x}::/48")).collect();
    let largest: Vec<&str> = largest.iter().map(String::as_str).collect();
    operator.apply_network_set("networkSets/p", &largest).await.unwrap();
    let got = catalogs.get_network_set(GetNetworkSetRequest { name: name() }).await.unwrap();
    assert_eq!(got.into_inner().network_set.unwrap().networks.len(), 10_000);
    operator.apply_network_set("networkSets/q", &[]).await.unwrap();
    let list = |page_size, page_token| ListNetworkSetsRequest { page_size, page_token };
    let page = catalogs.list_network_sets(list(1, String::new())).await.unwrap().into_inner();
    assert_eq!(page.network_sets[0].name, "networkSets/p");
    assert!(page.network_sets[0].networks.is_empty());
    let page = catalogs.list_network_sets(list(0, page.next_page_token)).await.unwrap();
    let page = page.into_inner();
    assert_eq!(
        (page.network_sets[0].name.as_str(), page.next_page_token.as_str()),
        ("networkSets/q", "")
    );
    let bad = catalogs.list_network_sets(list(0, "x".to_owned())).await;
    assert_refused("a token that is none", bad, &invalid(&["page_token"]));
}
