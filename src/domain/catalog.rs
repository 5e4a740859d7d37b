//! Catalogues of permissions.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::permission::{Grant, PermissionName};
use super::permission_set::PermissionSet;
use super::rate_limit::RequestsPerHour;
use super::route::{Route, RouteTable};

/// The largest catalogue, in permissions.
pub const MAX_PERMISSIONS: usize = 2_000;

/// The most implications of a catalogue, all permissions together.
const MAX_IMPLICATIONS: usize = 10_000;

/// Something that a key may be allowed to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// Its name, unique in its catalogue.
    pub name: PermissionName,
    /// A heading that people find it under; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// What it allows, for people; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The endpoints that it opens; none if it is asked for by name only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http_routes: Vec<Route>,
    /// Other permissions that a key with this one holds too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub implies: Vec<PermissionName>,
    /// Whether a public key is allowed this.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub public: bool,
    /// A rate limit of its own, which counts its requests instead of the workspace's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_hour: Option<RequestsPerHour>,
}

/// A catalogue that holds together: names are unique, no route is claimed twice, and what is implied
/// exists and leads in no circle. Indexed for decisions.
#[derive(Clone, Debug)]
pub struct Catalog {
    permissions: Vec<Permission>,
    by_name: HashMap<PermissionName, usize>,
    routes: RouteTable,
    /// For each permission the ones that give it: itself, and those that imply it.
    givers: Vec<Vec<usize>>,
}

/// How a catalogue contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCatalog {
    /// Too large.
    #[error(
        "a catalogue holds at most {MAX_PERMISSIONS} permissions, \
         and {MAX_IMPLICATIONS} implications between them"
    )]
    TooMany,
    /// Two permissions of one name.
    #[error("there are two permissions named `{name}`")]
    DuplicateName {
        /// The name.
        name: PermissionName,
        /// Where the second one stands.
        index: usize,
    },
    /// Two permissions on one route.
    #[error("`{second}` claims {} {}, which `{first}` claims already", route.method, route.path)]
    DuplicateRoute {
        /// The permission that claims the route first.
        first: PermissionName,
        /// The permission that claims it again.
        second: PermissionName,
        /// The route as the second one writes it.
        route: Route,
        /// Where the second permission stands.
        index: usize,
        /// Where the route stands in it.
        route_index: usize,
    },
    /// A permission implies one that is not there.
    #[error("`{name}` implies `{implied}`, which is not in the catalogue")]
    UnknownImplied {
        /// The permission that implies.
        name: PermissionName,
        /// The one that is not there.
        implied: PermissionName,
        /// Where the first stands.
        index: usize,
        /// Where the second stands in it.
        implied_index: usize,
    },
    /// Permissions that imply one another.
    #[error("`{name}` and `{implied}` imply each other")]
    Circle {
        /// A permission of the circle.
        name: PermissionName,
        /// The next one, from which a way leads back.
        implied: PermissionName,
        /// Where the first stands.
        index: usize,
    },
}

impl Catalog {
    /// Checks and indexes these permissions.
    ///
    /// # Errors
    /// See [`InvalidCatalog`].
    pub fn new(permissions: Vec<Permission>) -> Result<Self, InvalidCatalog> {
        let implications: usize = permissions.iter().map(|one| one.implies.len()).sum();
        if permissions.len() > MAX_PERMISSIONS || implications > MAX_IMPLICATIONS {
            return Err(InvalidCatalog::TooMany);
        }
        let mut by_name = HashMap::with_capacity(permissions.len());
        for (index, permission) in permissions.iter().enumerate() {
            if by_name.insert(permission.name.clone(), index).is_some() {
                return Err(InvalidCatalog::DuplicateName { name: permission.name.clone(), index });
            }
        }
        let routes = claim_routes(&permissions)?;
        let givers = close_implications(&permissions, &by_name)?;
        Ok(Self { permissions, by_name, routes, givers })
    }

    /// The permissions, in the order in which they were given.
    #[must_use]
    pub fn permissions(&self) -> &[Permission] {
        &self.permissions
    }

    /// The place of the permission of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The place of the permission that claims this request line.
    #[must_use]
    pub fn find_route(&self, method: &str, path: &str) -> Option<usize> {
        self.routes.find(method, path)
    }

    /// All permissions that these grants give, directly or by implication.
    #[must_use]
    pub fn held_by(&self, grants: &[Grant]) -> PermissionSet {
        let mut granted = vec![false; self.permissions.len()];
        for grant in grants {
            match grant {
                Grant::Exactly(name) => {
                    if let Some(index) = self.by_name.get(name) {
                        granted[*index] = true;
                    }
                }
                Grant::All | Grant::Below(_) => {
                    for (granted, permission) in granted.iter_mut().zip(&self.permissions) {
                        *granted |= grant.covers(&permission.name);
                    }
                }
            }
        }
        let mut held = PermissionSet::new(self.permissions.len());
        for (index, givers) in self.givers.iter().enumerate() {
            if givers.iter().any(|giver| granted[*giver]) {
                held.insert(index);
            }
        }
        held
    }

    /// Whether these grants give that permission, directly or by implication. A permission that is
    /// not in this catalogue is not given by any.
    #[must_use]
    pub fn gives(&self, grants: &[Grant], permission: &PermissionName) -> bool {
        self.givers(permission).any(|giver| grants.iter().any(|grant| grant.covers(giver)))
    }

    /// The permissions whose holders hold that permission: itself, and those that imply it.
    pub fn givers(&self, permission: &PermissionName) -> impl Iterator<Item = &PermissionName> {
        self.by_name
            .get(permission)
            .into_iter()
            .flat_map(|index| &self.givers[*index])
            .map(|giver| &self.permissions[*giver].name)
    }

    /// Whether this grant gives anything at all.
    #[must_use]
    pub fn knows(&self, grant: &Grant) -> bool {
        match grant {
            Grant::All => true,
            Grant::Exactly(name) => self.by_name.contains_key(name),
            Grant::Below(_) => {
                self.permissions.iter().any(|permission| grant.covers(&permission.name))
            }
        }
    }
}

fn claim_routes(permissions: &[Permission]) -> Result<RouteTable, InvalidCatalog> {
    let mut routes = RouteTable::default();
    for (index, permission) in permissions.iter().enumerate() {
        for (route_index, route) in permission.http_routes.iter().enumerate() {
            routes.claim(route, index).map_err(|first| InvalidCatalog::DuplicateRoute {
                first: permissions[first].name.clone(),
                second: permission.name.clone(),
                route: route.clone(),
                index,
                route_index,
            })?;
        }
    }
    Ok(routes)
}

/// For each permission the ones that give it, found by walking the implications backwards.
fn close_implications(
    permissions: &[Permission],
    by_name: &HashMap<PermissionName, usize>,
) -> Result<Vec<Vec<usize>>, InvalidCatalog> {
    let mut implied_by = vec![Vec::new(); permissions.len()];
    for (index, permission) in permissions.iter().enumerate() {
        for (implied_index, implied) in permission.implies.iter().enumerate() {
            let target = by_name.get(implied).ok_or_else(|| InvalidCatalog::UnknownImplied {
                name: permission.name.clone(),
                implied: implied.clone(),
                index,
                implied_index,
            })?;
            implied_by[*target].push(index);
        }
    }
    let mut givers = Vec::with_capacity(permissions.len());
    for index in 0..permissions.len() {
        let mut found = vec![index];
        let mut seen = vec![false; permissions.len()];
        seen[index] = true;
        let mut next = 0;
        while next < found.len() {
            for giver in &implied_by[found[next]] {
                if *giver == index {
                    return Err(InvalidCatalog::Circle {
                        name: permissions[index].name.clone(),
                        implied: permissions[found[next]].name.clone(),
                        index,
                    });
                }
                if !std::mem::replace(&mut seen[*giver], true) {
                    found.push(*giver);
                }
            }
            next += 1;
        }
        givers.push(found);
    }
    Ok(givers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(name: &str, implies: &[&str]) -> Permission {
        Permission {
            name: name.parse().unwrap(),
            group: String::new(),
            description: String::new(),
            http_routes: Vec::new(),
            implies: implies.iter().map(|name| name.parse().unwrap()).collect(),
            public: false,
            requests_per_hour: None,
        }
    }

    fn with_route(mut permission: Permission, method: &str, path: &str) -> Permission {
        permission
            .http_routes
            .push(Route { method: method.parse().unwrap(), path: path.parse().unwrap() });
        permission
    }

    fn grants(texts: &[&str]) -> Vec<Grant> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn k6_full_implies_read_at_any_depth() {
        let catalog = Catalog::new(vec![
            permission("a:read", &[]),
            permission("a:full", &["a:read"]),
            permission("admin", &["a:full"]),
        ])
        .unwrap();
        for (held, asked, given) in [
            (&["a:full"][..], "a:read", true),
            (&["a:read"], "a:full", false),
            (&["admin"], "a:read", true),
            (&["a:*"], "a:full", true),
            (&["a:*"], "admin", false),
            (&["*"], "admin", true),
            (&[], "a:read", false),
            (&["*"], "not-there", false),
        ] {
            assert_eq!(
                catalog.gives(&grants(held), &asked.parse().unwrap()),
                given,
                "{held:?} {asked}"
            );
        }
    }

    #[test]
    fn contradictions_name_both_sides() {
        for (permissions, message) in [
            (
                vec![permission("a", &[]), permission("a", &[])],
                "there are two permissions named `a`",
            ),
            (
                vec![
                    with_route(permission("a", &[]), "GET", "/x/{id}"),
                    with_route(permission("b", &[]), "GET", "/x/{name}"),
                ],
                "`b` claims GET /x/{name}, which `a` claims already",
            ),
            (vec![permission("a", &["b"])], "`a` implies `b`, which is not in the catalogue"),
            (vec![permission("a", &["a"])], "`a` and `a` imply each other"),
            (
                vec![permission("a", &["b"]), permission("b", &["a"])],
                "`a` and `b` imply each other",
            ),
            (
                vec![permission("a", &["b"]), permission("b", &["c"]), permission("c", &["a"])],
                "`a` and `b` imply each other",
            ),
        ] {
            assert_eq!(Catalog::new(permissions).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_diamond_is_no_circle() {
        let catalog = Catalog::new(vec![
            permission("top", &["left", "right"]),
            permission("left", &["bottom"]),
            permission("right", &["bottom"]),
            permission("bottom", &[]),
        ])
        .unwrap();
        assert!(catalog.gives(&grants(&["top"]), &"bottom".parse().unwrap()));
    }

    #[test]
    fn a_typo_is_not_known() {
        let catalog = Catalog::new(vec![permission("users.track", &[])]).unwrap();
        for (grant, known) in [
            ("*", true),
            ("users.*", true),
            ("users.track", true),
            ("user.*", false),
            ("users.trak", false),
        ] {
            assert_eq!(catalog.knows(&grant.parse().unwrap()), known, "{grant}");
        }
    }
}
