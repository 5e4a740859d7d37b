//! Lists: page sizes, page tokens and filters.

use claviger::proto::{
    ApplyCatalogRequest, Catalog, ListCatalogsRequest, ListKeysRequest, ListWorkspacesRequest,
    Policy,
};
use prost_types::Timestamp;
use tonic::Code;

use super::support::builders::a_key;
use super::support::server::{Client, TestServer};
use super::{assert_refused, invalid, refused};

fn query() -> ListKeysRequest {
    ListKeysRequest { parent: "workspaces/acme".to_owned(), ..ListKeysRequest::default() }
}

/// A server with three keys in `workspaces/acme`, and a token for its second page of one.
async fn with_token() -> (TestServer, Client, String) {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    operator.create_workspace("other", "catalogs/small", Policy::default()).await.unwrap();
    for _ in 0..3 {
        let key = a_key("k").permissions(&["*"]).build();
        operator.create_key("workspaces/acme", key).await.unwrap();
    }
    let request = ListKeysRequest { page_size: 1, ..query() };
    let page = operator.keys.clone().list_keys(request).await.unwrap().into_inner();
    (server, operator, page.next_page_token)
}

#[tokio::test]
async fn a_page_token_is_good_for_its_own_query_only() {
    let (_server, operator, token) = with_token().await;
    let with = |token: &str| ListKeysRequest { page_token: token.to_owned(), ..query() };
    let mut altered = token.clone().into_bytes();
    altered[20] = if altered[20] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    let time = Some(Timestamp { seconds: 1, nanos: 0 });
    let wrong = invalid(&["page_token"]);
    for (row, request) in [
        ("altered", with(&altered)),
        ("cut off", with(&token[..token.len() - 2])),
        ("lengthened", with(&format!("{token}AA"))),
        ("no token", with("next")),
        ("not Base64", with("*")),
        (
            "of another workspace",
            ListKeysRequest { parent: "workspaces/other".to_owned(), ..with(&token) },
        ),
        (
            "of another name",
            ListKeysRequest { display_name_contains: "k".to_owned(), ..with(&token) },
        ),
        ("of another creator", ListKeysRequest { created_by: "x".to_owned(), ..with(&token) }),
        (
            "of another permission",
            ListKeysRequest { permission: "users.track".to_owned(), ..with(&token) },
        ),
        ("of another expiry", ListKeysRequest { expire_time_before: time, ..with(&token) }),
        ("of another last sight", ListKeysRequest { not_seen_since: time, ..with(&token) }),
    ] {
        assert_refused(row, operator.keys.clone().list_keys(request).await, &wrong);
    }
    let request = ListWorkspacesRequest { page_token: token.clone(), ..Default::default() };
    let answer = operator.workspaces.clone().list_workspaces(request).await;
    assert_refused("of ListKeys, for ListWorkspaces", answer, &wrong);

    let request = ListWorkspacesRequest { page_size: 1, ..Default::default() };
    let page = operator.workspaces.clone().list_workspaces(request).await.unwrap().into_inner();
    let request = ListCatalogsRequest { page_token: page.next_page_token, ..Default::default() };
    let answer = operator.catalogs.clone().list_catalogs(request).await;
    assert_refused("of ListWorkspaces, for ListCatalogs", answer, &wrong);

    // The page size may change on the way.
    let page = ListKeysRequest { page_size: 7, ..with(&token) };
    assert_eq!(operator.keys.clone().list_keys(page).await.unwrap().into_inner().keys.len(), 2);
}

#[tokio::test]
async fn what_is_wrong_with_a_query() {
    let (_server, operator, _token) = with_token().await;
    let bad_time = Some(Timestamp { seconds: 0, nanos: -1 });
    for (row, request, expected) in [
        ("a negative size", ListKeysRequest { page_size: -1, ..query() }, invalid(&["page_size"])),
        (
            "the most negative size",
            ListKeysRequest { page_size: i32::MIN, ..query() },
            invalid(&["page_size"]),
        ),
        ("no parent", ListKeysRequest::default(), invalid(&["parent"])),
        (
            "a workspace that is not there",
            ListKeysRequest { parent: "workspaces/nobody".to_owned(), ..query() },
            refused(Code::NotFound, "WORKSPACE_NOT_FOUND"),
        ),
        (
            "a name of 129 characters",
            ListKeysRequest { display_name_contains: "x".repeat(129), ..query() },
            invalid(&["display_name_contains"]),
        ),
        (
            "a pattern for a permission",
            ListKeysRequest { permission: "users.*".to_owned(), ..query() },
            invalid(&["permission"]),
        ),
        (
            "negative nanoseconds",
            ListKeysRequest { expire_time_before: bad_time, ..query() },
            invalid(&["expire_time_before"]),
        ),
        (
            "the same again",
            ListKeysRequest { not_seen_since: bad_time, ..query() },
            invalid(&["not_seen_since"]),
        ),
    ] {
        assert_refused(row, operator.keys.clone().list_keys(request).await, &expected);
    }
    let negative = ListWorkspacesRequest { page_size: -1, ..Default::default() };
    let answer = operator.workspaces.clone().list_workspaces(negative).await;
    assert_refused("workspaces", answer, &invalid(&["page_size"]));
    let negative = ListCatalogsRequest { page_size: -1, ..Default::default() };
    let answer = operator.catalogs.clone().list_catalogs(negative).await;
    assert_refused("catalogues", answer, &invalid(&["page_size"]));
}

/// A key may be large; an answer that no client reads helps nobody.
#[tokio::test]
async fn a_page_of_large_keys_is_short() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let many = ["2001:db8:1111:2222:3333:4444:5555:6666"; 1_000];
    for _ in 0..150 {
        let key = a_key("k").permissions(&["users.track"; 1_000]).allowed_ips(&many).build();
        operator.create_key("workspaces/acme", key).await.unwrap();
    }
    let mut request = ListKeysRequest { page_size: 1_000, ..query() };
    let (mut pages, mut keys) = (0, 0);
    loop {
        let page = operator.keys.clone().list_keys(request.clone()).await.unwrap().into_inner();
        pages += 1;
        keys += page.keys.len();
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(keys, 150);
    assert!(pages > 1, "{pages}");
}

#[tokio::test]
async fn a_page_has_fifty_items_by_default_and_a_thousand_at_the_most() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    for _ in 0..1_001 {
        let key = a_key("k").permissions(&["*"]).build();
        operator.create_key("workspaces/acme", key).await.unwrap();
    }
    for (page_size, returned) in
        [(0, 50), (51, 51), (1_000, 1_000), (1_001, 1_000), (i32::MAX, 1_000)]
    {
        let request = ListKeysRequest { page_size, ..query() };
        let page = operator.keys.clone().list_keys(request).await.unwrap().into_inner();
        assert_eq!(page.keys.len(), returned, "{page_size}");
        assert_ne!(page.next_page_token, "");
    }
}

#[tokio::test]
async fn a_page_of_large_workspaces_is_short() {
    let server = TestServer::start().await;
    let operator = server.operator();
    let names: Vec<String> =
        (0..1_000).map(|number| format!("{number:04}{}", "x".repeat(120))).collect();
    let permissions =
        names.iter().map(|name| super::support::builders::a_permission(name)).collect();
    let name = "catalogs/large".to_owned();
    let catalog = Some(Catalog { name, permissions, ..Catalog::default() });
    operator.catalogs.clone().apply_catalog(ApplyCatalogRequest { catalog }).await.unwrap();
    for number in 0..60 {
        let policy = Policy { default_permissions: names.clone(), ..Policy::default() };
        let id = format!("w-{number:02}");
        operator.create_workspace(&id, "catalogs/large", policy).await.unwrap();
    }
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListWorkspacesRequest { page_size: 1_000, page_token };
        // Clients read 4 MiB.
        let page = operator.workspaces.clone().list_workspaces(request).await.unwrap().into_inner();
        listed.extend(page.workspaces.into_iter().map(|workspace| workspace.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed.len(), 60);
    assert!(listed.is_sorted());
}
