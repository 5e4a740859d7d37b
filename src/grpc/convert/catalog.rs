//! Catalogues.

use super::violations::Violations;
use super::{to_proto_limit, to_proto_time};
use crate::domain::{self, Catalog, CatalogId, InvalidCatalog, MAX_PERMISSIONS};
use crate::manage::{Error, ListedCatalog, NamedCatalog};
use crate::proto;

const MAX_GROUP: usize = 128;
const MAX_DESCRIPTION: usize = 1_024;
const MAX_ROUTES: usize = 100;
const MAX_IMPLIES: usize = 1_000;

pub(in crate::grpc) fn apply_catalog(
    request: proto::ApplyCatalogRequest,
) -> Result<(CatalogId, Catalog), Error> {
    let proto::ApplyCatalogRequest { catalog } = request;
    let proto::Catalog { name, permissions, create_time: _, update_time: _ } =
        catalog.unwrap_or_default();
    let mut violations = Violations::default();
    let id = violations.note("catalog.name", name.parse());
    if permissions.is_empty() {
        violations.add("catalog.permissions", "must hold at least one permission");
    }
    if permissions.len() > MAX_PERMISSIONS {
        violations.add("catalog.permissions", InvalidCatalog::TooMany);
        return violations.finish(None);
    }
    let mut parsed = Vec::with_capacity(permissions.len());
    for (index, permission) in permissions.into_iter().enumerate() {
        let field = format!("catalog.permissions[{index}]");
        parsed.extend(parse_permission(&field, permission, &mut violations));
    }
    // Only a whole catalogue can contradict itself.
    let id = violations.finish(id)?;
    let mut violations = Violations::default();
    let catalog = Catalog::new(parsed)
        .map_err(|error| violations.add(contradicting_field(&error), error))
        .ok();
    violations.finish(catalog.map(|catalog| (id, catalog)))
}

fn parse_permission(
    field: &str,
    permission: proto::Permission,
    violations: &mut Violations,
) -> Option<domain::Permission> {
    let proto::Permission {
        name,
        group,
        description,
        http_routes,
        implies,
        public,
        requests_per_hour,
    } = permission;
    let name = violations.note(format!("{field}.name"), name.parse());
    for (part, text, max) in
        [("group", &group, MAX_GROUP), ("description", &description, MAX_DESCRIPTION)]
    {
        if text.chars().count() > max || text.chars().any(char::is_control) {
            let wrong = format_args!("must be at most {max} characters, none of them a control");
            violations.add(format!("{field}.{part}"), wrong);
        }
    }
    if http_routes.len() > MAX_ROUTES {
        let wrong = format_args!("must not have more than {MAX_ROUTES} items");
        violations.add(format!("{field}.http_routes"), wrong);
        return None;
    }
    let mut routes = Vec::with_capacity(http_routes.len());
    for (index, proto::HttpRoute { method, path }) in http_routes.into_iter().enumerate() {
        let route = format!("{field}.http_routes[{index}]");
        let method = violations.note(format!("{route}.method"), method.parse());
        let path = violations.note(format!("{route}.path"), path.parse());
        routes.extend(method.zip(path).map(|(method, path)| domain::Route { method, path }));
    }
    let implies = violations.parse_all(&format!("{field}.implies"), &implies, MAX_IMPLIES);
    let requests_per_hour =
        violations.requests_per_hour(format!("{field}.requests_per_hour"), requests_per_hour);
    name.map(|name| domain::Permission {
        name,
        group,
        description,
        http_routes: routes,
        implies,
        public,
        requests_per_hour,
    })
}

/// Where a catalogue contradicts what it said before.
fn contradicting_field(error: &InvalidCatalog) -> String {
    match error {
        InvalidCatalog::TooMany => "catalog.permissions".to_owned(),
        InvalidCatalog::DuplicateName { index, .. } => {
            format!("catalog.permissions[{index}].name")
        }
        InvalidCatalog::DuplicateRoute { index, route_index, .. } => {
            format!("catalog.permissions[{index}].http_routes[{route_index}]")
        }
        InvalidCatalog::UnknownImplied { index, implied_index, .. } => {
            format!("catalog.permissions[{index}].implies[{implied_index}]")
        }
        InvalidCatalog::Circle { index, .. } => format!("catalog.permissions[{index}].implies"),
    }
}

/// A catalogue in a list, without its permissions.
pub(in crate::grpc) fn listed_catalog(listed: ListedCatalog) -> proto::Catalog {
    let (id, create_time, update_time) = listed;
    proto::Catalog {
        name: id.to_string(),
        permissions: Vec::new(),
        create_time: Some(to_proto_time(create_time)),
        update_time: Some(to_proto_time(update_time)),
    }
}

impl From<NamedCatalog> for proto::Catalog {
    fn from(catalog: NamedCatalog) -> Self {
        let NamedCatalog { id, permissions, times } = catalog;
        Self {
            name: id.to_string(),
            permissions: permissions.into_iter().map(Into::into).collect(),
            create_time: times.map(|(create_time, _)| to_proto_time(create_time)),
            update_time: times.map(|(_, update_time)| to_proto_time(update_time)),
        }
    }
}

impl From<domain::Permission> for proto::Permission {
    fn from(permission: domain::Permission) -> Self {
        let domain::Permission {
            name,
            group,
            description,
            http_routes,
            implies,
            public,
            requests_per_hour,
        } = permission;
        let route = |domain::Route { method, path }| proto::HttpRoute {
            method: String::from(method),
            path: String::from(path),
        };
        Self {
            name: name.into(),
            group,
            description,
            http_routes: http_routes.into_iter().map(route).collect(),
            implies: implies.into_iter().map(String::from).collect(),
            public,
            requests_per_hour: to_proto_limit(requests_per_hour),
        }
    }
}
