//! The whole permission table of Braze: every permission, every route.

mod support;

use claviger::domain::Permission;
use claviger::proto::{ApplyCatalogRequest, Catalog, GetCatalogRequest, HttpRoute, Policy, Reason};
use serde::Deserialize;
use support::builders::{a_key, a_question, a_routed_permission};
use support::repository;
use support::server::{Client, TestServer};
use support::status::fields;
use tonic::Code;

#[derive(Deserialize)]
struct CatalogFile {
    name: String,
    permissions: Vec<Permission>,
}

fn braze() -> Catalog {
    let text = std::fs::read_to_string(repository("examples/catalogs/braze.yaml")).unwrap();
    let CatalogFile { name, permissions } = serde_saphyr::from_str(&text).unwrap();
    let permissions = permissions.into_iter().map(Into::into).collect();
    Catalog { name, permissions, ..Catalog::default() }
}

/// A path that the template matches, and no literal does.
fn example_path(template: &str) -> String {
    let segment = |segment: &str| {
        if segment.starts_with('{') { "b5d2-0f".to_owned() } else { segment.to_owned() }
    };
    template.split('/').map(segment).collect::<Vec<_>>().join("/")
}

async fn with_braze() -> (TestServer, Client) {
    let server = TestServer::start().await;
    let operator = server.operator();
    let catalog = Some(braze());
    operator.catalogs.clone().apply_catalog(ApplyCatalogRequest { catalog }).await.unwrap();
    operator.create_workspace("acme", "catalogs/braze", Policy::default()).await.unwrap();
    (server, operator)
}

async fn secret_of(operator: &Client, permissions: &[&str]) -> String {
    let key = a_key("k").permissions(permissions).build();
    operator.create_key("workspaces/acme", key).await.unwrap().secret
}

#[tokio::test]
async fn b3_every_route_resolves_to_its_permission() {
    let (_server, operator) = with_braze().await;
    let catalog = braze();
    let names: Vec<&str> = catalog.permissions.iter().map(|p| p.name.as_str()).collect();
    let mut routes = 0;
    for permission in &catalog.permissions {
        let name = permission.name.as_str();
        let others: Vec<&str> = names.iter().copied().filter(|other| *other != name).collect();
        let exactly_this = secret_of(&operator, &[name]).await;
        let all_others = secret_of(&operator, &others).await;
        for HttpRoute { method, path } in &permission.http_routes {
            routes += 1;
            for (secret, reason) in
                [(&exactly_this, Reason::Allowed), (&all_others, Reason::PermissionDenied)]
            {
                let question = a_question(secret).http(method, &example_path(path)).build();
                let response = operator.authorize(question).await.unwrap();
                assert_eq!(response.reason(), reason, "{method} {path}");
                assert_eq!(response.permission, name, "{method} {path}");
            }
        }
        for (secret, reason) in
            [(&exactly_this, Reason::Allowed), (&all_others, Reason::PermissionDenied)]
        {
            let question = a_question(secret).permission(name).build();
            assert_eq!(operator.authorize(question).await.unwrap().reason(), reason, "{name}");
        }
    }
    assert_eq!((names.len(), routes), (91, 91));
}

#[tokio::test]
async fn b4_a_permission_without_an_endpoint_is_asked_for_by_name_only() {
    let (_server, operator) = with_braze().await;
    let secret = secret_of(&operator, &["sso.saml.login"]).await;
    let by_name = a_question(&secret).permission("sso.saml.login").build();
    assert!(operator.authorize(by_name).await.unwrap().allowed);
    for path in ["/sso/saml/login", "/sso.saml.login", "/"] {
        let by_route = a_question(&secret).http("POST", path).build();
        assert_eq!(operator.authorize(by_route).await.unwrap().reason(), Reason::RouteUnknown);
    }
}

#[tokio::test]
async fn b3_a_literal_segment_beats_a_parameter() {
    let (_server, operator) = with_braze().await;
    let secret = secret_of(&operator, &["*"]).await;
    for (method, path, permission) in [
        ("GET", "/preference_center/v1/list", "preference_center.list"),
        ("GET", "/preference_center/v1/lis", "preference_center.get"),
        ("GET", "/preference_center/v1/list/url/u1", "preference_center.user.get"),
        ("PUT", "/preference_center/v1/list", "preference_center.update"),
        ("POST", "/preference_center/v1", "preference_center.update"),
        ("PATCH", "/catalogs/items/items", "catalogs.update_items"),
        ("PATCH", "/catalogs/items/items/items", "catalogs.update_item"),
        ("PUT", "/catalogs/c/items/i", "catalogs.replace_item"),
        ("POST", "/content_blocks/update", "content_blocks.update"),
    ] {
        let question = a_question(&secret).http(method, path).build();
        assert_eq!(operator.authorize(question).await.unwrap().permission, permission, "{path}");
    }
}

#[tokio::test]
async fn b3_a_second_permission_on_a_taken_route_is_refused_and_both_are_named() {
    let (_server, operator) = with_braze().await;
    let mut catalog = braze();
    let renamed = "/catalogs/{name}/items/{id}";
    catalog.permissions.push(a_routed_permission("catalogs.patch_item", "PATCH", renamed));
    let request = ApplyCatalogRequest { catalog: Some(catalog) };
    let status = operator.catalogs.clone().apply_catalog(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(fields(&status), ["catalog.permissions[91].http_routes[0]"]);
    for part in ["`catalogs.patch_item`", "`catalogs.update_item`", "PATCH"] {
        assert!(status.message().contains(part), "{}", status.message());
    }
    let name = "catalogs/braze".to_owned();
    let request = GetCatalogRequest { name };
    let now = operator.catalogs.clone().get_catalog(request).await.unwrap().into_inner();
    assert_eq!(now.catalog.unwrap().permissions, braze().permissions, "nothing was applied");
}
