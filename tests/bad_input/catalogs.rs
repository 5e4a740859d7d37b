//! `CatalogService`.

use claviger::proto::{
    ApplyCatalogRequest, Catalog, DeleteCatalogRequest, GetCatalogRequest, HttpRoute, Permission,
    Policy,
};
use tonic::Code;

use super::support::builders::{a_key, a_permission, a_routed_permission, small_catalog};
use super::support::server::{Client, TestServer};
use super::{assert_refused, invalid, refused};

fn of(permissions: Vec<Permission>) -> Catalog {
    Catalog { name: "catalogs/small".to_owned(), permissions, ..Catalog::default() }
}

fn implying(name: &str, others: &[&str]) -> Permission {
    let implies = others.iter().map(ToString::to_string).collect();
    Permission { implies, ..a_permission(name) }
}

async fn apply(client: &Client, catalog: Catalog) -> Result<(), tonic::Status> {
    let request = ApplyCatalogRequest { catalog: Some(catalog) };
    client.catalogs.clone().apply_catalog(request).await.map(drop)
}

#[tokio::test]
async fn a_catalogue_that_cannot_be_applied() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let named = |name: &str| of(vec![a_permission(name)]);
    let routed = |method: &str, path: &str| of(vec![a_routed_permission("a", method, path)]);
    let name = || invalid(&["catalog.permissions[0].name"]);
    let method = || invalid(&["catalog.permissions[0].http_routes[0].method"]);
    let path = || invalid(&["catalog.permissions[0].http_routes[0].path"]);
    let route = HttpRoute { method: "GET".to_owned(), path: "/x".to_owned() };
    let long_name = "a".repeat(129);
    let long_path = format!("/{}", "a".repeat(512));
    let rows: Vec<(&str, Catalog, super::Refusal)> = vec![
        ("no name", Catalog { name: String::new(), ..small_catalog() }, invalid(&["catalog.name"])),
        ("an id", Catalog { name: "small".to_owned(), ..small_catalog() }, {
            invalid(&["catalog.name"])
        }),
        ("no permission", of(vec![]), invalid(&["catalog.permissions"])),
        (
            "2,001 permissions",
            of(vec![a_permission("a"); 2_001]),
            invalid(&["catalog.permissions"]),
        ),
        ("an empty permission", named(""), name()),
        ("upper case", named("Users.track"), name()),
        ("a pattern", named("users.*"), name()),
        ("an empty segment", named("users..track"), name()),
        ("129 characters", named(&long_name), name()),
        ("no method", routed("", "/x"), method()),
        ("a blank in a method", routed("GET ", "/x"), method()),
        ("no path", routed("GET", ""), path()),
        ("a relative path", routed("GET", "x"), path()),
        ("a trailing slash", routed("GET", "/x/"), path()),
        ("an empty segment", routed("GET", "/x//y"), path()),
        ("a dot segment", routed("GET", "/x/../y"), path()),
        ("an escape", routed("GET", "/x%20y"), path()),
        ("a query", routed("GET", "/x?y"), path()),
        ("half a parameter", routed("GET", "/x{id}"), path()),
        ("a catch-all", routed("GET", "/{*rest}"), path()),
        ("an unnamed parameter", routed("GET", "/{}"), path()),
        ("an absolute URI", routed("GET", "https://example.com/x"), path()),
        ("513 characters", routed("GET", &long_path), path()),
        (
            "a control character in a group",
            of(vec![Permission { group: "a\nb".to_owned(), ..a_permission("a") }]),
            invalid(&["catalog.permissions[0].group"]),
        ),
        (
            "a description that is too long",
            of(vec![Permission { description: "x".repeat(1_025), ..a_permission("a") }]),
            invalid(&["catalog.permissions[0].description"]),
        ),
        (
            "101 routes",
            of(vec![Permission { http_routes: vec![route.clone(); 101], ..a_permission("a") }]),
            invalid(&["catalog.permissions[0].http_routes"]),
        ),
        (
            "a route twice in one permission",
            of(vec![Permission { http_routes: vec![route; 2], ..a_permission("a") }]),
            invalid(&["catalog.permissions[0].http_routes[1]"]),
        ),
        (
            "two permissions on one route",
            of(vec![
                a_routed_permission("a", "GET", "/x/{id}"),
                a_routed_permission("b", "GET", "/x/{name}"),
            ]),
            invalid(&["catalog.permissions[1].http_routes[0]"]),
        ),
        (
            "two permissions of one name",
            of(vec![a_permission("a"), a_permission("b"), a_permission("a")]),
            invalid(&["catalog.permissions[2].name"]),
        ),
        (
            "implying what is not there",
            of(vec![a_permission("b"), implying("a", &["b", "c"])]),
            invalid(&["catalog.permissions[1].implies[1]"]),
        ),
        (
            "implying a pattern",
            of(vec![a_permission("b"), implying("a", &["*"])]),
            invalid(&["catalog.permissions[1].implies[0]"]),
        ),
        (
            "implying oneself",
            of(vec![implying("a", &["a"])]),
            invalid(&["catalog.permissions[0].implies"]),
        ),
        (
            "a circle of three",
            of(vec![implying("a", &["b"]), implying("b", &["c"]), implying("c", &["a"])]),
            invalid(&["catalog.permissions[0].implies"]),
        ),
        (
            "a negative rate limit",
            of(vec![Permission { requests_per_hour: -1, ..a_permission("a") }]),
            invalid(&["catalog.permissions[0].requests_per_hour"]),
        ),
        (
            "a rate limit too high",
            of(vec![Permission { requests_per_hour: 1_000_000_000_001, ..a_permission("a") }]),
            invalid(&["catalog.permissions[0].requests_per_hour"]),
        ),
        (
            "the built-in one",
            Catalog { name: "catalogs/claviger".to_owned(), ..small_catalog() },
            refused(Code::PermissionDenied, "RESERVED"),
        ),
    ];
    for (row, catalog, expected) in rows {
        assert_refused(row, apply(&operator, catalog).await, &expected);
    }
    let request = GetCatalogRequest { name: "catalogs/small".to_owned() };
    let now = operator.catalogs.clone().get_catalog(request).await.unwrap().into_inner();
    assert_eq!(now.catalog.unwrap().permissions, small_catalog().permissions, "nothing applied");
}

#[tokio::test]
async fn a_permission_that_is_in_use_cannot_go() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let in_use = refused(Code::FailedPrecondition, "PERMISSION_IN_USE");
    let without = |name: &str| {
        let mut catalog = small_catalog();
        catalog.permissions.retain(|permission| permission.name != name);
        catalog
    };
    let key = a_key("k").permissions(&["items.*", "users.track"]).build();
    let key = operator.create_key("workspaces/acme", key).await.unwrap().key.unwrap().name;
    let status = apply(&operator, without("users.track")).await.unwrap_err();
    for part in ["`users.track`", &key] {
        assert!(status.message().contains(part), "{}", status.message());
    }
    assert_refused("held by a key", Err::<(), _>(status), &in_use);

    let policy =
        Policy { default_permissions: vec!["users.delete".to_owned()], ..Policy::default() };
    operator.create_workspace("defaults", "catalogs/small", policy).await.unwrap();
    let status = apply(&operator, without("users.delete")).await.unwrap_err();
    for part in ["`users.delete`", "`workspaces/defaults`"] {
        assert!(status.message().contains(part), "{}", status.message());
    }
    assert_refused("a default", Err::<(), _>(status), &in_use);
    // A pattern names nothing; and nobody holds this one.
    apply(&operator, without("items.get")).await.unwrap();
    apply(&operator, without("sso.login")).await.unwrap();
}

#[tokio::test]
async fn a_catalogue_that_is_not_there_or_in_use() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    let not_found = || refused(Code::NotFound, "CATALOG_NOT_FOUND");
    for (row, name, expected) in [
        ("no name", "", invalid(&["name"])),
        ("an id", "small", invalid(&["name"])),
        ("one that is not there", "catalogs/nobody", not_found()),
    ] {
        let request = GetCatalogRequest { name: name.to_owned() };
        assert_refused(row, operator.catalogs.clone().get_catalog(request).await, &expected);
        let request = DeleteCatalogRequest { name: name.to_owned() };
        assert_refused(row, operator.catalogs.clone().delete_catalog(request).await, &expected);
    }
    let request = DeleteCatalogRequest { name: "catalogs/small".to_owned() };
    let answer = operator.catalogs.clone().delete_catalog(request).await;
    assert_refused("in use", answer, &refused(Code::FailedPrecondition, "CATALOG_IN_USE"));
    apply(&operator, Catalog { name: "catalogs/free".to_owned(), ..small_catalog() })
        .await
        .unwrap();
    let request = || DeleteCatalogRequest { name: "catalogs/free".to_owned() };
    operator.catalogs.clone().delete_catalog(request()).await.unwrap();
    let again = operator.catalogs.clone().delete_catalog(request()).await;
    assert_refused("deleted twice", again, &not_found());
}
