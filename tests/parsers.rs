//! Nothing that is parsed, however garbled, ends in a panic.

use claviger::domain::{
    Catalog, CatalogId, Cidr, Credential, DisplayName, Grant, KeyName, KeyPrefix, Method,
    Permission, PermissionName, Route, RouteTable, RouteTemplate, Secret, WorkspaceId, fold_case,
};
use claviger::store::DatabaseUrl;
use proptest::prelude::*;

/// Text of the characters that parsers look for, and any text at all.
fn a_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9_./:%;?#{}*@=+ \\\\\\-\\[\\],\"'~!&|\\PC]{0,80}",
        "(Bearer|basic|Basic) {0,2}[A-Za-z0-9+/=_]{0,60}",
        "[a-z0-9]{1,18}_[0-9A-Za-z]{36,42}",
        "[0-9a-f:.]{1,40}/?[0-9]{0,4}",
        "(/[a-z{}%0-9A-F;.]{0,9}){0,30}",
        "workspaces/[a-z-]{0,9}/keys/[0-9a-f-]{30,40}",
        "(sqlite|postgres|mysql)://[a-z:@/?=0-9%\\[\\]]{0,40}",
        "- name: [a-z.:{}\\[\\], &*!|>%@`-]{0,60}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_a_parser_panic(text in a_text(), other in a_text()) {
        let _ = Credential::from_api_key(&text);
        let _ = Credential::from_authorization_header(&text);
        let hint = text.parse::<Secret>().map(|secret| secret.hint());
        prop_assert!(hint.is_err() || text.is_ascii());
        let _ = text.parse::<Cidr>();
        let _ = text.parse::<KeyName>();
        let _ = text.parse::<WorkspaceId>();
        let _ = text.parse::<CatalogId>();
        let _ = text.parse::<Grant>();
        let _ = text.parse::<PermissionName>();
        let _ = text.parse::<DisplayName>();
        let _ = text.parse::<KeyPrefix>();
        let _ = text.parse::<DatabaseUrl>();
        let _ = fold_case(&text);
        let _ = serde_saphyr::from_str::<Vec<Permission>>(&text).map(Catalog::new);
        let _ = serde_json::from_str::<Vec<Permission>>(&text).map(Catalog::new);
        if let (Ok(path), Ok(method)) = (text.parse::<RouteTemplate>(), "GET".parse::<Method>()) {
            let mut table = RouteTable::default();
            let claimed = table.claim(&Route { method, path }, 7);
            prop_assert!(claimed.is_ok());
            // A template without parameters is a path that it matches.
            let is_path = !text.contains(['{', ';']);
            prop_assert!(!is_path || table.find("GET", &text) == Some(7));
            let _ = table.find("GET", &other);
        }
    }
}
