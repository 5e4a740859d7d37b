//! Routes: HTTP methods and templates of paths, and how a request line finds its permission.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An HTTP method, a token of RFC 9110 of at most 32 characters. Case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Method(String);

/// A template of paths: `/` and segments, each a literal or a parameter in braces that stands for exactly
/// one segment. At most 512 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RouteTemplate(String);

/// An endpoint: a method and a template of paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The HTTP method.
    pub method: Method,
    /// The template that the path must match.
    pub path: RouteTemplate,
}

/// Why a text is no method, or no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoute {
    /// Not a method.
    #[error("must be an HTTP method, a token such as `POST`, at most 32 characters")]
    Method,
    /// Not a template.
    #[error(
        "must be `/` and segments, each a literal or a parameter in braces, \
         as in `/catalogs/{{catalog_name}}/items`, at most 512 characters and 25 parameters"
    )]
    Template,
}

/// `tchar` of RFC 9110, section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `pchar` of RFC 3986, section 3.3, without the percent sign.
fn is_literal_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

fn is_dot_segment(segment: &str) -> bool {
    segment == "." || segment == ".."
}

fn is_literal(segment: &str) -> bool {
    !segment.is_empty() && !is_dot_segment(segment) && segment.bytes().all(is_literal_byte)
}

fn parameter(segment: &str) -> Option<&str> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    let mut bytes = name.bytes();
    let first = bytes.next()?;
    let is_name = (first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(name)
}

impl FromStr for Method {
    type Err = InvalidRoute;

    fn from_str(text: &str) -> Result<Self, InvalidRoute> {
        let is_method = (1..=32).contains(&text.len()) && text.bytes().all(is_token_byte);
        if is_method { Ok(Self(text.to_owned())) } else { Err(InvalidRoute::Method) }
    }
}

/// The most parameters of a template: what the router can number.
const MAX_PARAMETERS: usize = 25;

impl FromStr for RouteTemplate {
    type Err = InvalidRoute;

    fn from_str(text: &str) -> Result<Self, InvalidRoute> {
        let is_template = text.len() <= 512
            && text.matches('{').count() <= MAX_PARAMETERS
            && text.strip_prefix('/').is_some_and(|segments| {
                segments.is_empty()
                    || segments
                        .split('/')
                        .all(|segment| is_literal(segment) || parameter(segment).is_some())
            });
        if is_template { Ok(Self(text.to_owned())) } else { Err(InvalidRoute::Template) }
    }
}

impl RouteTemplate {
    /// The template in the form in which the names of parameters no longer matter, which is
    /// also how the router wants it: `/catalogs/{p}/items`.
    fn anonymous(&self) -> String {
        self.0
            .split('/')
            .map(|segment| if parameter(segment).is_some() { "{p}" } else { segment })
            .collect::<Vec<_>>()
            .join("/")
    }
}

macro_rules! as_text {
    ($type:ident) => {
        impl TryFrom<String> for $type {
            type Error = InvalidRoute;

            fn try_from(text: String) -> Result<Self, InvalidRoute> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

as_text!(Method);
as_text!(RouteTemplate);

/// Finds, for a request line, the index of the permission that claims it.
#[derive(Clone, Default)]
pub struct RouteTable {
    by_method: HashMap<String, matchit::Router<usize>>,
    claims: HashMap<(String, String), usize>,
}

impl RouteTable {
    /// Claims a route for a permission.
    ///
    /// # Errors
    /// The index of the permission that claimed the same route before.
    pub fn claim(&mut self, route: &Route, permission: usize) -> Result<(), usize> {
        let template = route.path.anonymous();
        let claim = (route.method.0.clone(), template.clone());
        if let Some(claimed) = self.claims.get(&claim) {
            return Err(*claimed);
        }
        let router = self.by_method.entry(route.method.0.clone()).or_default();
        // Templates of whole segments that are not equal never conflict in this router. If they
        // did, the route would be refused rather than dropped.
        router.insert(template, permission).map_err(|_| permission)?;
        self.claims.insert(claim, permission);
        Ok(())
    }

    /// The permission that claims this request line. A literal segment is preferred to a
    /// parameter, from left to right, with backtracking.
    #[must_use]
    pub fn find(&self, method: &str, path: &str) -> Option<usize> {
        let path = matchable(path)?;
        let router = self.by_method.get(method)?;
        let at = |path: &str| router.at(path).ok().map(|found| *found.value);
        let found = at(path)?;
        if path.contains(['%', ';']) && at(&as_others_read(path)?) != Some(found) {
            return None;
        }
        Some(found)
    }
}

impl fmt::Debug for RouteTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteTable").field("routes", &self.claims.len()).finish_non_exhaustive()
    }
}

/// The path without its query, if it is one that no two servers could read differently; see
/// [`is_matchable_segment`].
///
/// A path that is rewritten before it is served (dots resolved, slashes merged or decoded) would
/// be authorized as one thing and served as another.
fn matchable(path: &str) -> Option<&str> {
    if path.contains('#') {
        return None;
    }
    let path = path.split_once('?').map_or(path, |(path, _query)| path);
    let segments = path.strip_prefix('/')?;
    (segments.is_empty() || segments.split('/').all(is_matchable_segment)).then_some(path)
}

/// The path as a server reads it that decodes escapes before it matches (`%69` is `i`, RFC 3986,
/// section 6.2.2.2) and cuts off path parameters (`list;v=1` is `list`, RFC 3986, section 3.3). What would
/// be another route to such a server matches none here.
fn as_others_read(path: &str) -> Option<String> {
    let mut read = String::with_capacity(path.len());
    for segment in path.split('/').skip(1) {
        let decoded = decode(segment);
        let name = decoded.split(';').next().unwrap_or_default();
        if name.is_empty() || is_dot_segment(name) {
            return None;
        }
        read.push('/');
        read.push_str(name);
    }
    Some(read)
}

/// Decodes the escapes of a segment that is matchable. Bytes that are no UTF-8 become U+FFFD, which no
/// literal holds.
fn decode(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte == b'%'
            && let Some((digits, tail)) = rest.split_first_chunk::<2>()
            && let [Some(high), Some(low)] = digits.map(|digit| char::from(digit).to_digit(16))
        {
            bytes.push((high << 4 | low) as u8);
            rest = tail;
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Not empty, no dot segment, only characters that a path may hold, and percent-encoded neither a
/// separator nor a dot nor a NUL. A percent sign never equals a literal, because no literal holds
/// one; it may stand in what a parameter binds.
fn is_matchable_segment(segment: &str) -> bool {
    if segment.is_empty() || is_dot_segment(segment) {
        return false;
    }
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => {
                let digits = [bytes.next(), bytes.next()]
                    .map(|digit| char::from(digit.unwrap_or(0)).to_digit(16));
                matches!(digits, [Some(high), Some(low)] if !matches!(high << 4 | low, 0x00 | 0x2E | 0x2F | 0x5C))
            }
            byte => is_literal_byte(byte),
        };
        if !fits {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(routes: &[&str]) -> RouteTable {
        let mut table = RouteTable::default();
        for (index, path) in routes.iter().enumerate() {
            let route = Route { method: "GET".parse().unwrap(), path: path.parse().unwrap() };
            table.claim(&route, index).unwrap();
        }
        table
    }

    #[test]
    fn b3_a_literal_beats_a_parameter_with_backtracking() {
        let table = table(&["/a/list", "/a/{id}", "/a/list/x", "/a/{id}/y", "/{any}/list/z", "/"]);
        for (path, found) in [
            ("/a/list", Some(0)),
            ("/a/other", Some(1)),
            ("/a/list/x", Some(2)),
            ("/a/list/y", Some(3)),
            ("/a/list/z", Some(4)),
            ("/", Some(5)),
            ("/a", None),
            ("/a/list/w", None),
            ("", None),
        ] {
            assert_eq!(table.find("GET", path), found, "{path}");
        }
        assert_eq!(table.find("get", "/a/list"), None);
        assert_eq!(table.find("POST", "/a/list"), None);
    }

    #[test]
    fn names_of_parameters_do_not_distinguish_templates() {
        let mut table = table(&["/a/{id}"]);
        let same = Route { method: "GET".parse().unwrap(), path: "/a/{name}".parse().unwrap() };
        assert_eq!(table.claim(&same, 7), Err(0));
        let other = Route { method: "PUT".parse().unwrap(), path: "/a/{name}".parse().unwrap() };
        assert_eq!(table.claim(&other, 7), Ok(()));
    }

    #[test]
    fn what_can_be_read_in_two_ways_matches_nothing() {
        let table = table(&["/users/track", "/users/{id}", "/{a}/{b}/{c}", "/{a}"]);
        for path in [
            "/users/../admin",
            "/users/./x",
            "/users%2ftrack",
            "//users/track",
            "/users/track/",
            "/users//track",
            "/users/track%00",
            "\\users\\track",
            "/users\\track",
            "https://h/users/track",
            "/users/track#x",
            "/users/x?q#f",
            "/users/%2e%2e",
            "/users/%2E",
            "/users/a%2Fb",
            "/users/a%5cb",
            "/users/%",
            "/users/%4",
            "/users/%zz",
            "/users/a b",
            "/users/é",
            "/users/a\0",
            "/users/a\n",
            "users/track",
            "*",
            "/users/{id}",
            "/users/a|b",
            "/users/%+4",
            "/..",
            "/.",
        ] {
            assert_eq!(table.find("GET", path), None, "{path:?}");
        }
        for (path, found) in [
            ("/users/track?x=1&y=/../", Some(0)),
            ("/users/track?", Some(0)),
            ("/users/a%20b", Some(1)),
            ("/users/a%40b;v=1", Some(1)),
            ("/users/%E9", Some(1)),
            ("/users/a.b", Some(1)),
            ("/users/...", Some(1)),
            ("/users/%252f", Some(1)),
            ("/USERS/track", None),
        ] {
            assert_eq!(table.find("GET", path), found, "{path:?}");
        }
    }

    /// Servers that decode, or that cut off path parameters, would serve another route.
    #[test]
    fn what_others_read_as_another_route_matches_nothing() {
        let table = table(&["/users/track", "/users/{id}", "/{a}/{b}/{c}", "/{a}"]);
        for path in [
            "/users/tr%61ck",
            "/users/%74rack",
            "/users/track;x=1",
            "/users/track;",
            "/users/track%3Bx",
            "/users/%74rack;x=1",
            "/users/..;/admin",
            "/users/.;x/admin",
            "/users/;x",
            "/users/%3B",
            "/users/%3bx/y",
        ] {
            assert_eq!(table.find("GET", path), None, "{path}");
        }
    }

    #[test]
    fn templates_and_methods_are_parsed() {
        for bad in [
            "", "a", "a/b", "/a/", "//", "/a//b", "/{", "/}", "/{}", "/{1a}", "/a{b}", "/{a}b",
            "/{*a}", "/{{a}}", "/a%20b", "/.", "/a/../b", "/a b", "/é", "/a?b", "/a#b", "/a\\b",
        ] {
            assert_eq!(bad.parse::<RouteTemplate>(), Err(InvalidRoute::Template), "{bad}");
        }
        assert!("/{a}".repeat(25).parse::<RouteTemplate>().is_ok());
        assert!("/{a}".repeat(26).parse::<RouteTemplate>().is_err());
        for good in ["/", "/a", "/a/{b}/c", "/{a}/{a}", "/*", "/a:b@c", "/v1.2/$x"] {
            assert_eq!(good.parse::<RouteTemplate>().unwrap().to_string(), good);
        }
        for bad in ["", "GET ", "G/T", "GÉT", "G\n", &"A".repeat(33)] {
            assert_eq!(bad.parse::<Method>(), Err(InvalidRoute::Method), "{bad:?}");
        }
        assert!("get".parse::<Method>().is_ok());
    }

    /// The oracle: every template is tried, and the best is the one that has a literal at the first
    /// segment where two that match differ.
    fn oracle(templates: &[String], path: &str) -> Option<usize> {
        let segments: Vec<&str> = path.split('/').collect();
        templates
            .iter()
            .enumerate()
            .filter_map(|(index, template)| {
                let parts: Vec<&str> = template.split('/').collect();
                let fits = parts.len() == segments.len()
                    && parts
                        .iter()
                        .zip(&segments)
                        .all(|(part, segment)| part.starts_with('{') || part == segment);
                fits.then(|| {
                    (parts.iter().map(|part| part.starts_with('{')).collect::<Vec<_>>(), index)
                })
            })
            .min()
            .map(|(_, index)| index)
    }

    proptest! {
        #[test]
        fn b3_matching_agrees_with_an_oracle(
            templates in proptest::collection::hash_set("(/(a|ab|b|a\\*|\\{p\\})){1,4}", 1..12),
            paths in proptest::collection::vec("(/(a|ab|b|c|a\\*|%63)){1,4}", 1..20),
        ) {
            let templates: Vec<String> = templates.into_iter().collect();
            let table = table(&templates.iter().map(String::as_str).collect::<Vec<_>>());
            for path in &paths {
                prop_assert_eq!(table.find("GET", path), oracle(&templates, path), "{}", path);
            }
        }
    }
}
