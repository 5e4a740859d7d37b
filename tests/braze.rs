//! Braze by configuration alone: its key page, and its whole permission table. Each test bears the number
//! of its requirement.

mod support;

use claviger::domain::Permission;
use claviger::proto::{
    ApplyCatalogRequest, Catalog, DeleteIdentifierRequest, DeleteNetworkSetRequest,
    GetCatalogRequest, HttpRoute, ListIdentifiersRequest, ListMembersRequest, Policy, Reason,
    RemoveMemberRequest, Role, UpdateWorkspaceRequest, Workspace,
};
use sea_orm::ConnectionTrait;
use serde::Deserialize;
use std::time::Duration;
use support::builders::{a_key, a_question, a_routed_permission};
use support::clock::FakeClock;
use support::products::{self, BRAZE};
use support::repository;
use support::server::{Client, TestServer};
use support::status::{fields, refusal};
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

async fn secret_of(operator: &Client, permissions: &[&str]) -> String {
    let key = a_key("k").permissions(permissions).build();
    operator.create_key(BRAZE, key).await.unwrap().secret
}

#[tokio::test]
async fn b3_every_route_resolves_to_its_permission() {
    let (_server, operator) = product().await;
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
    let (_server, operator) = product().await;
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
    let (_server, operator) = product().await;
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
    let (_server, operator) = product().await;
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

/// A server with Braze's files applied, and its operator.
async fn product() -> (TestServer, Client) {
    let server = TestServer::start_with(products::settings()).await;
    products::set_up(&server, "braze").await;
    let operator = server.operator();
    (server, operator)
}

#[tokio::test]
async fn b1_a_key_of_one_braze_workspace_is_denied_at_another() {
    let (_server, operator) = product().await;
    operator.create_workspace("other", "catalogs/braze", Policy::default()).await.unwrap();
    let key = a_key("k").permissions(&["users.track"]).build();
    let secret = operator.create_key(BRAZE, key).await.unwrap().secret;
    for (workspace, reason) in [
        (BRAZE, Reason::Allowed),
        ("workspaces/other", Reason::WorkspaceMismatch),
        ("workspaces/not-there", Reason::WorkspaceMismatch),
        ("", Reason::Allowed),
    ] {
        let question = a_question(&secret).http("POST", "/users/track").workspace(workspace);
        let response = operator.authorize(question.build()).await.unwrap();
        assert_eq!(response.reason(), reason, "{workspace:?}");
        assert_eq!(response.workspace, BRAZE);
    }
}

fn shopify() -> claviger::proto::Key {
    a_key("Intégration Shopify")
        .permissions(&["users.track", "campaigns.*"])
        .allowed_ips(&["203.0.113.0/24", "2001:db8::7"])
        .network_sets(&["networkSets/platform"])
        .build()
}

#[tokio::test]
async fn b2_a_key_is_created_with_a_name_addresses_and_permissions() {
    let (_server, operator) = product().await;
    let created = operator.create_key(BRAZE, shopify()).await.unwrap();
    assert!(created.secret.starts_with("braze_"), "the prefix of the policy");
    for (permission, allowed) in [
        ("users.track", true),
        ("campaigns.list", true),
        ("campaigns.trigger.send", true),
        ("users.delete", false),
    ] {
        let question = a_question(&created.secret).permission(permission).from("203.0.113.9");
        let response = operator.authorize(question.build()).await.unwrap();
        assert_eq!(response.allowed, allowed, "{permission}");
        assert_eq!(response.key_display_name, "Intégration Shopify");
    }
    for wrong in [
        a_key("").permissions(&["users.track"]).build(),
        a_key("k").permissions(&["users.trak"]).build(),
        a_key("k").permissions(&["users.track"]).allowed_ips(&["10.1.2.3/8"]).build(),
    ] {
        assert_eq!(refusal(operator.create_key(BRAZE, wrong).await).0, Code::InvalidArgument);
    }
}

#[tokio::test]
async fn b5_without_addresses_a_key_is_good_anywhere_and_with_some_there_only() {
    let (_server, operator) = product().await;
    let restricted = a_key("here")
        .permissions(&["users.track"])
        .allowed_ips(&["203.0.113.0/24", "2001:db8::7"])
        .build();
    let restricted = operator.create_key(BRAZE, restricted).await.unwrap().secret;
    let anywhere = secret_of(&operator, &["users.track"]).await;
    for (secret, address, reason) in [
        (&restricted, "203.0.113.9", Reason::Allowed),
        (&restricted, "::ffff:203.0.113.9", Reason::Allowed),
        (&restricted, "2001:db8::7", Reason::Allowed),
        (&restricted, "203.0.114.9", Reason::IpDenied),
        (&restricted, "", Reason::IpMissing),
        (&anywhere, "203.0.114.9", Reason::Allowed),
        (&anywhere, "", Reason::Allowed),
    ] {
        let question = a_question(secret).http("POST", "/users/track").from(address).build();
        let response = operator.authorize(question).await.unwrap();
        assert_eq!(response.reason(), reason, "{address:?}");
    }
}

#[tokio::test]
async fn b9_the_details_of_a_key_are_all_there() {
    let (_server, operator) = product().await;
    let created = operator.create_key(BRAZE, shopify()).await.unwrap().key.unwrap();
    let key = operator.get_key(&created.name).await.unwrap();
    assert_eq!(key, created);
    assert_eq!(key.display_name, "Intégration Shopify");
    assert_eq!(key.permissions, ["users.track", "campaigns.*"]);
    assert_eq!(key.allowed_ips, ["203.0.113.0/24", "2001:db8::7"]);
    assert_eq!(key.network_sets, ["networkSets/platform"]);
}

#[tokio::test]
async fn b6_a_network_set_is_judged_by_what_it_holds_today() {
    let (_server, operator) = product().await;
    let key = |name: &str| a_key(name).permissions(&["*"]).network_sets(&["networkSets/platform"]);
    let only = operator.create_key(BRAZE, key("only the platform").build()).await.unwrap();
    let both = key("and the office").allowed_ips(&["203.0.113.0/24"]).build();
    let both = operator.create_key(BRAZE, both).await.unwrap();
    let reason = async |secret: &str, address: &str| {
        let question = a_question(secret).permission("users.track").from(address).build();
        operator.authorize(question).await.unwrap().reason()
    };
    let (platform, office) = ("198.51.100.17", "203.0.113.9");
    assert_eq!(reason(&only.secret, platform).await, Reason::Allowed);
    assert_eq!(reason(&only.secret, office).await, Reason::IpDenied);
    assert_eq!(reason(&only.secret, "").await, Reason::IpMissing);
    assert_eq!(reason(&both.secret, platform).await, Reason::Allowed);
    assert_eq!(reason(&both.secret, office).await, Reason::Allowed);
    assert_eq!(reason(&both.secret, "192.0.2.200").await, Reason::IpDenied);

    // A change takes effect for keys that are there.
    operator.apply_network_set("networkSets/platform", &["192.0.2.200"]).await.unwrap();
    assert_eq!(reason(&only.secret, platform).await, Reason::IpDenied);
    assert_eq!(reason(&only.secret, "192.0.2.200").await, Reason::Allowed);
    // An empty set admits nobody, and opens nothing.
    operator.apply_network_set("networkSets/platform", &[]).await.unwrap();
    assert_eq!(reason(&only.secret, "192.0.2.200").await, Reason::IpDenied);
    assert_eq!(reason(&only.secret, "").await, Reason::IpMissing);
    assert_eq!(reason(&both.secret, office).await, Reason::Allowed);

    // A set in use stays.
    let delete = || {
        let mut catalogs = operator.catalogs.clone();
        async move {
            let name = "networkSets/platform".to_owned();
            catalogs.delete_network_set(DeleteNetworkSetRequest { name }).await
        }
    };
    let in_use = (Code::FailedPrecondition, "NETWORK_SET_IN_USE".to_owned());
    assert_eq!(refusal(delete().await), in_use);
    operator.delete_key(&only.key.unwrap().name).await.unwrap();
    assert_eq!(refusal(delete().await), in_use);
    operator.delete_key(&both.key.unwrap().name).await.unwrap();
    delete().await.unwrap();
    assert_eq!(refusal(delete().await), (Code::NotFound, "NETWORK_SET_NOT_FOUND".to_owned()));
    let status = operator.create_key(BRAZE, key("too late").build()).await.unwrap_err();
    assert_eq!(fields(&status), ["key.network_sets[0]"]);
}

#[tokio::test]
async fn b7_what_a_key_may_do_outlives_every_change_around_it() {
    let (_server, operator) = product().await;
    let key = a_key("k")
        .permissions(&["users.track", "email.*"])
        .allowed_ips(&["203.0.113.0/24"])
        .network_sets(&["networkSets/platform"])
        .build();
    let before = operator.create_key(BRAZE, key).await.unwrap().key.unwrap();
    let policy = Policy {
        max_keys: 1,
        default_permissions: vec!["campaigns.list".to_owned()],
        key_prefix: "other".to_owned(),
        ..Policy::default()
    };
    operator.set_policy(BRAZE, policy).await.unwrap();
    operator.apply_network_set("networkSets/platform", &["192.0.2.1"]).await.unwrap();
    let catalog = Some(braze());
    operator.catalogs.clone().apply_catalog(ApplyCatalogRequest { catalog }).await.unwrap();
    assert_eq!(operator.get_key(&before.name).await.unwrap(), before);
}

#[tokio::test]
async fn b8_the_list_shows_what_the_key_page_shows() {
    let (server, operator) = product().await;
    let jane = products::dashboard(&server, BRAZE, Role::Developer).await;
    let key = |name: &str| a_key(name).permissions(&["users.track"]).build();
    let created = jane.create_key(BRAZE, key("Jane's")).await.unwrap();
    server.clock.advance(Duration::from_secs(30));
    let seen = operator.create_key(BRAZE, key("The operator's")).await.unwrap();
    server.clock.advance(Duration::from_secs(30));
    operator.authorize(a_question(&seen.secret).build()).await.unwrap();
    // A key from before it was noted who creates keys.
    operator.create_key(BRAZE, key("Legacy")).await.unwrap();
    let sql = "UPDATE api_keys SET created_by = NULL WHERE display_name = 'Legacy'";
    server.intruder().await.execute_unprepared(sql).await.unwrap();
    let server = server.restart_with(products::settings()).await;

    let keys = server.operator().list_keys(BRAZE).await.unwrap();
    let page: Vec<_> = keys
        .iter()
        .map(|key| (key.display_name.as_str(), key.created_by.as_deref(), key.last_seen_time))
        .collect();
    assert_eq!(
        page,
        [
            ("Legacy", None, None),
            ("The operator's", Some("Operator key"), Some(FakeClock::at(60))),
            ("Jane's", Some("role_developer@example.com"), None),
        ]
    );
    for key in &keys {
        assert!(key.hint.starts_with("braze_..."), "{}", key.hint);
    }
    let times: Vec<_> = keys.iter().map(|key| key.create_time.unwrap()).collect();
    assert_eq!(times, [60, 30, 0].map(FakeClock::at));
    // Braze's identifier is the key itself, for whoever may see it.
    let name = &created.key.as_ref().unwrap().name;
    let revealed = server.operator().reveal_key(name).await.unwrap();
    assert_eq!(revealed.secret, created.secret);
    assert_eq!(revealed.authorization_header, created.authorization_header);
}

#[tokio::test]
async fn b10_a_deleted_braze_key_is_gone_at_once_and_for_good() {
    let (_server, operator) = product().await;
    let key = a_key("k").permissions(&["users.track"]).build();
    let created = operator.create_key(BRAZE, key).await.unwrap();
    let name = created.key.unwrap().name;
    operator.delete_key(&name).await.unwrap();
    let response = operator.authorize(a_question(&created.secret).build()).await.unwrap();
    assert_eq!(response.reason(), Reason::KeyUnknown);
    let not_found = (Code::NotFound, "KEY_NOT_FOUND".to_owned());
    assert_eq!(refusal(operator.delete_key(&name).await), not_found);
    assert_eq!(refusal(operator.reveal_key(&name).await), not_found);
    assert_eq!(refusal(operator.clone_key(&name).await), not_found);
}

#[tokio::test]
async fn b11_removing_a_member_leaves_their_keys_alive() {
    let (server, operator) = product().await;
    let jane = products::dashboard(&server, BRAZE, Role::Developer).await;
    let key = a_key("Jane's").permissions(&["users.track"]).build();
    let created = jane.create_key(BRAZE, key).await.unwrap();
    let parent = BRAZE.to_owned();
    let request = ListMembersRequest { parent, ..ListMembersRequest::default() };
    let mut workspaces = operator.workspaces.clone();
    let members = workspaces.list_members(request).await.unwrap().into_inner().members;
    let name = members[0].name.clone();
    workspaces.remove_member(RemoveMemberRequest { name }).await.unwrap();

    let gone = (Code::PermissionDenied, "ACTOR_UNKNOWN".to_owned());
    assert_eq!(refusal(jane.list_keys(BRAZE).await), gone);
    let question = a_question(&created.secret).http("POST", "/users/track").build();
    assert!(operator.authorize(question).await.unwrap().allowed);
    let key = operator.get_key(&created.key.unwrap().name).await.unwrap();
    assert_eq!(key.created_by.unwrap(), "role_developer@example.com");
}

#[tokio::test]
async fn b12_a_workspace_has_a_limit_and_a_permission_may_have_one_instead() {
    let (server, operator) = product().await;
    let secret = secret_of(&operator, &["*"]).await;
    let ask = async |secret: &str, permission: &str| {
        let question = a_question(secret).permission(permission).build();
        let response = operator.authorize(question).await.unwrap();
        (response.reason(), response.rate_limit)
    };
    // As Braze has it.
    let (reason, state) = ask(&secret, "campaigns.list").await;
    let state = state.unwrap();
    assert_eq!((reason, state.limit, state.remaining), (Reason::Allowed, 250_000, 249_999));
    assert_eq!(state.reset_time, Some(FakeClock::at(3_600)));
    assert_eq!(state.retry_delay, None);

    // One permission is counted by a limit of its own, instead.
    let mut catalog = braze();
    let track = catalog.permissions.iter_mut().find(|one| one.name == "users.track").unwrap();
    track.requests_per_hour = 2;
    let catalog = Some(catalog);
    operator.catalogs.clone().apply_catalog(ApplyCatalogRequest { catalog }).await.unwrap();
    let policy = Policy { requests_per_hour: 3, ..Policy::default() };
    operator.set_policy(BRAZE, policy).await.unwrap();
    let again = secret_of(&operator, &["*"]).await;
    let mut counted = Vec::new();
    for (secret, permission) in [
        (&secret, "users.track"),
        (&again, "users.track"),
        (&again, "users.track"),
        (&again, "users.gone"),
        (&again, "campaigns.list"),
        (&secret, "campaigns.list"),
        (&secret, "campaigns.list"),
    ] {
        let (reason, state) = ask(secret, permission).await;
        counted.push((reason, state.map(|state| (state.limit, state.remaining))));
    }
    assert_eq!(
        counted,
        [
            (Reason::Allowed, Some((2, 1))),
            // All keys of the workspace are counted together.
            (Reason::Allowed, Some((2, 0))),
            (Reason::RateLimited, Some((2, 0))),
            // A request that another check denied is counted nowhere.
            (Reason::PermissionUnknown, None),
            // What was counted before the limit changed is counted still.
            (Reason::Allowed, Some((3, 1))),
            (Reason::Allowed, Some((3, 0))),
            (Reason::RateLimited, Some((3, 0))),
        ]
    );
    server.clock.advance(Duration::from_secs(3_599));
    let (reason, state) = ask(&secret, "campaigns.list").await;
    let wait = prost_types::Duration { seconds: 1, nanos: 0 };
    assert_eq!((reason, state.unwrap().retry_delay), (Reason::RateLimited, Some(wait)));
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(ask(&secret, "campaigns.list").await.0, Reason::Allowed);
}

#[tokio::test]
async fn b13_identifiers_are_searched_by_kind_and_name_and_checked_by_authorize() {
    let (_server, operator) = product().await;
    operator.create_workspace("other", "catalogs/braze", Policy::default()).await.unwrap();
    for (workspace, id, kind, name) in [
        (BRAZE, "app-1", "app", "iOS – Été"),
        (BRAZE, "app-2", "app", "Android"),
        (BRAZE, "cmp-1", "campaign", "ÉTÉ 2026 – 100% off"),
        (BRAZE, "cmp-2", "campaign", "Straße"),
        (BRAZE, "cnv-1", "canvas", "欢迎 🎉"),
        (BRAZE, "tpl-1", "template", "été_2026"),
        (BRAZE, "crd-1", "content_card", "Hiver"),
        (BRAZE, "seg-1", "segment", "VIP"),
        ("workspaces/other", "cmp-9", "campaign", "Été ailleurs"),
    ] {
        let created = operator.create_identifier(workspace, id, kind, name).await.unwrap();
        assert_eq!(created.name, format!("{workspace}/identifiers/{id}"));
    }
    let search = async |kind: &str, part: &str| -> Vec<String> {
        let request = ListIdentifiersRequest {
            parent: BRAZE.to_owned(),
            kind: kind.to_owned(),
            display_name_contains: part.to_owned(),
            ..ListIdentifiersRequest::default()
        };
        let page = operator.workspaces.clone().list_identifiers(request).await.unwrap();
        let last = |name: String| name.rsplit('/').next().unwrap().to_owned();
        page.into_inner().identifiers.into_iter().map(|one| last(one.name)).collect()
    };
    for (kind, part, found) in [
        ("", "", &["app-1", "app-2", "cmp-1", "cmp-2", "cnv-1", "crd-1", "seg-1", "tpl-1"][..]),
        ("campaign", "", &["cmp-1", "cmp-2"]),
        ("", "été", &["app-1", "cmp-1", "tpl-1"]),
        ("campaign", "été", &["cmp-1"]),
        ("", "STRASSE", &["cmp-2"]),
        ("", "迎", &["cnv-1"]),
        ("", "🎉", &["cnv-1"]),
        // Every character stands for itself.
        ("", "%", &["cmp-1"]),
        ("", "_", &["tpl-1"]),
        ("nothing", "", &[]),
        ("", "ete", &[]),
    ] {
        assert_eq!(search(kind, part).await, found, "{kind} {part}");
    }

    let secret = secret_of(&operator, &["*"]).await;
    let reason = async |ids: &[&str]| {
        let question = a_question(&secret).permission("campaigns.trigger.send").identifiers(ids);
        operator.authorize(question.build()).await.unwrap().reason()
    };
    for (ids, expected) in [
        (&[][..], Reason::Allowed),
        (&["cmp-1"], Reason::Allowed),
        (&["cmp-1", "app-1", "cmp-1"], Reason::Allowed),
        (&["cmp-9"], Reason::IdentifierUnknown),
        (&["cmp-1", "cmp-9"], Reason::IdentifierUnknown),
        (&["CMP-1"], Reason::IdentifierUnknown),
    ] {
        assert_eq!(reason(ids).await, expected, "{ids:?}");
    }
    let name = format!("{BRAZE}/identifiers/cmp-1");
    let delete = DeleteIdentifierRequest { name };
    operator.workspaces.clone().delete_identifier(delete.clone()).await.unwrap();
    assert_eq!(reason(&["cmp-1"]).await, Reason::IdentifierUnknown);
    let gone = refusal(operator.workspaces.clone().delete_identifier(delete).await);
    assert_eq!(gone, (Code::NotFound, "IDENTIFIER_NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn b14_a_key_at_another_instance_is_denied_and_told_where_to_go() {
    let (server, operator) = product().await;
    let secret = secret_of(&operator, &["*"]).await;
    let ask = async |client: &Client, instance: &str| {
        let question = a_question(&secret).permission("users.track").instance(instance).build();
        let response = client.authorize(question).await.unwrap();
        (response.reason(), response.instance_endpoint)
    };
    let elsewhere = (Reason::WrongInstance, "https://rest.us-01.example.com".to_owned());
    let here = (Reason::Allowed, String::new());
    assert_eq!(ask(&operator, "us-01").await, here);
    assert_eq!(ask(&operator, "eu-01").await, elsewhere);
    // Whoever does not say where a request arrived is not asked.
    assert_eq!(ask(&operator, "").await, here);

    // A workspace moves, and may live everywhere.
    let update = async |instance: &str| {
        let name = BRAZE.to_owned();
        let instance = instance.to_owned();
        let workspace = Some(Workspace { name, instance, ..Workspace::default() });
        let update_mask = Some(prost_types::FieldMask { paths: vec!["instance".to_owned()] });
        let request = UpdateWorkspaceRequest { workspace, update_mask };
        operator.workspaces.clone().update_workspace(request).await
    };
    update("eu-01").await.unwrap();
    assert_eq!(ask(&operator, "eu-01").await, here);
    let moved = (Reason::WrongInstance, "https://rest.eu-01.example.com".to_owned());
    assert_eq!(ask(&operator, "us-01").await, moved);
    assert_eq!(fields(&update("us-1").await.unwrap_err()), ["workspace.instance"]);

    // A server that knows its own instance takes questions to be about that.
    let own =
        claviger::config::Settings { instance: Some("us-01".to_owned()), ..products::settings() };
    let server = server.restart_with(own).await;
    assert_eq!(ask(&server.operator(), "").await, moved);
    assert_eq!(ask(&server.operator(), "eu-01").await, here);
}
