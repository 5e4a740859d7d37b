//! What servers are asked.

use claviger::proto::authorize_request::{Action, Consistency, Credential};
use claviger::proto::{AuthorizeRequest, Catalog, HttpRequest, HttpRoute, Key, Permission};

/// A key to be created.
pub struct KeyBuilder(Key);

pub fn a_key(display_name: &str) -> KeyBuilder {
    KeyBuilder(Key { display_name: display_name.to_owned(), ..Key::default() })
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

impl KeyBuilder {
    pub fn permissions(mut self, permissions: &[&str]) -> Self {
        self.0.permissions = owned(permissions);
        self
    }

    pub fn allowed_ips(mut self, networks: &[&str]) -> Self {
        self.0.allowed_ips = owned(networks);
        self
    }

    pub fn network_sets(mut self, sets: &[&str]) -> Self {
        self.0.network_sets = owned(sets);
        self
    }

    pub fn workspace_scope(mut self, workspaces: &[&str]) -> Self {
        self.0.workspace_scope = owned(workspaces);
        self
    }

    pub fn expire_time(mut self, time: prost_types::Timestamp) -> Self {
        self.0.expire_time = Some(time);
        self
    }

    pub fn build(self) -> Key {
        self.0
    }
}

/// A question to `Authorize`.
pub struct QuestionBuilder(AuthorizeRequest);

/// What a client with this secret may do.
pub fn a_question(secret: &str) -> QuestionBuilder {
    QuestionBuilder(AuthorizeRequest {
        credential: Some(Credential::ApiKey(secret.to_owned())),
        ..AuthorizeRequest::default()
    })
}

impl QuestionBuilder {
    pub fn header(mut self, value: &str) -> Self {
        self.0.credential = Some(Credential::AuthorizationHeader(value.to_owned()));
        self
    }

    pub fn no_credential(mut self) -> Self {
        self.0.credential = None;
        self
    }

    pub fn permission(mut self, name: &str) -> Self {
        self.0.action = Some(Action::Permission(name.to_owned()));
        self
    }

    pub fn http(mut self, method: &str, path: &str) -> Self {
        let (method, path) = (method.to_owned(), path.to_owned());
        self.0.action = Some(Action::HttpRequest(HttpRequest { method, path }));
        self
    }

    pub fn from(mut self, address: &str) -> Self {
        self.0.client_ip = address.to_owned();
        self
    }

    pub fn workspace(mut self, name: &str) -> Self {
        self.0.workspace = name.to_owned();
        self
    }

    pub fn instance(mut self, instance: &str) -> Self {
        self.0.instance = instance.to_owned();
        self
    }

    pub fn identifiers(mut self, ids: &[&str]) -> Self {
        self.0.identifiers = owned(ids);
        self
    }

    pub fn at_least_as_fresh(mut self, token: &str) -> Self {
        self.0.consistency = Some(Consistency::AtLeastAsFresh(token.to_owned()));
        self
    }

    pub fn fully_consistent(mut self) -> Self {
        self.0.consistency = Some(Consistency::FullyConsistent(true));
        self
    }

    pub fn build(self) -> AuthorizeRequest {
        self.0
    }
}

/// A permission without routes.
pub fn a_permission(name: &str) -> Permission {
    Permission { name: name.to_owned(), ..Permission::default() }
}

/// A permission with one route.
pub fn a_routed_permission(name: &str, method: &str, path: &str) -> Permission {
    let route = HttpRoute { method: method.to_owned(), path: path.to_owned() };
    Permission { http_routes: vec![route], ..a_permission(name) }
}

/// Four permissions: enough to tell one from another.
pub fn small_catalog() -> Catalog {
    Catalog {
        name: "catalogs/small".to_owned(),
        permissions: vec![
            a_routed_permission("users.track", "POST", "/users/track"),
            a_routed_permission("users.delete", "POST", "/users/delete"),
            a_routed_permission("items.get", "GET", "/items/{item_id}"),
            a_permission("sso.login"),
        ],
        ..Catalog::default()
    }
}
