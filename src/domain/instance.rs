//! Instances: a company that runs its product several times keeps each workspace on one of them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The name of an instance, as in `us-01`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(String);

/// A text that is no name of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {} visible ASCII characters other than `,` and `=`", InstanceId::MAX_LENGTH)]
pub struct InvalidInstanceId;

impl InstanceId {
    /// The longest, in characters.
    pub const MAX_LENGTH: usize = 128;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InstanceId {
    type Err = InvalidInstanceId;

    fn from_str(text: &str) -> Result<Self, InvalidInstanceId> {
        let is_id = (1..=Self::MAX_LENGTH).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !b",=".contains(&byte));
        if is_id { Ok(Self(text.to_owned())) } else { Err(InvalidInstanceId) }
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The instances that a server knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instances {
    /// The one that questions are about which name none.
    pub own: Option<InstanceId>,
    /// Where each is reached.
    pub endpoints: BTreeMap<InstanceId, String>,
}

impl Instances {
    /// Whether a workspace may live there. A server that was told of no endpoints takes any name.
    #[must_use]
    pub fn know(&self, instance: &InstanceId) -> bool {
        self.endpoints.is_empty() || self.endpoints.contains_key(instance)
    }

    /// Where an instance is reached; one whose endpoint is not known is told by its name.
    #[must_use]
    pub fn endpoint<'a>(&'a self, instance: &'a InstanceId) -> &'a str {
        self.endpoints.get(instance).map_or(instance.as_str(), String::as_str)
    }
}

/// Reads `us-01=https://rest.us-01.example.com,eu-01=https://rest.eu-01.example.com`.
///
/// # Errors
/// If an item is not of that form, or names an instance twice.
pub fn parse_endpoints(text: &str) -> Result<BTreeMap<InstanceId, String>, String> {
    let mut endpoints = BTreeMap::new();
    for item in text.split(',') {
        let form = "must be `instance=endpoint,...`, as in `us-01=https://rest.us-01.example.com`";
        let (instance, endpoint) = item.trim().split_once('=').ok_or(form)?;
        let instance: InstanceId = instance.parse().map_err(|_| form)?;
        if endpoint.is_empty() || !endpoint.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(form.to_owned());
        }
        if endpoints.insert(instance.clone(), endpoint.to_owned()).is_some() {
            return Err(format!("names the instance `{instance}` twice"));
        }
    }
    Ok(endpoints)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_one_for_each_instance() {
        let endpoints = parse_endpoints("us-01=https://a/?x=1, eu-01=https://b").unwrap();
        let instances = Instances { own: None, endpoints };
        let id = |text: &str| text.parse::<InstanceId>().unwrap();
        assert_eq!(instances.endpoint(&id("us-01")), "https://a/?x=1");
        assert_eq!(instances.endpoint(&id("eu-01")), "https://b");
        assert_eq!(instances.endpoint(&id("gone")), "gone");
        assert!(!instances.know(&id("gone")) && Instances::default().know(&id("gone")));
        for bad in ["", "us-01", "us-01=", "=x", "a=b,", "a=b,a=c", "a b=c", "a=b c"] {
            assert!(parse_endpoints(bad).is_err(), "{bad:?}");
        }
    }
}
