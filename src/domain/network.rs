//! Networks, and named sets of them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::name::NetworkSetId;
use super::timestamp::Timestamp;

/// A network in CIDR notation (RFC 4632, RFC 4291), IPv4 or IPv6; a lone address is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr(IpNet);

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCidr {
    /// Neither an address nor a network.
    #[error(
        "must be an IPv4 or IPv6 address or a network such as `203.0.113.0/24`, without zone or leading zeros"
    )]
    Form,
    /// `10.1.2.3/8`: more is written than counts. Whoever wrote it may have meant either.
    #[error("has bits set to the right of its prefix: write `{network}` or `{address}`")]
    HostBits {
        /// The network that holds the address.
        network: IpNet,
        /// The address alone.
        address: IpAddr,
    },
    /// `::ffff:10.0.0.0/104`: would never match, because such addresses count as IPv4.
    #[error("is an IPv4-mapped IPv6 network: write it as IPv4")]
    Mapped,
}

impl Cidr {
    /// The network as such.
    pub(super) fn network(&self) -> IpNet {
        self.0
    }
}

impl FromStr for Cidr {
    type Err = InvalidCidr;

    fn from_str(text: &str) -> Result<Self, InvalidCidr> {
        // The standard library's parser of addresses refuses leading zeros, ipnet's does not; and
        // `/08` and `/+8` are read as 8 by some and refused by others.
        let (address, length) = text.split_once('/').unzip();
        let address: IpAddr = address.unwrap_or(text).parse().map_err(|_| InvalidCidr::Form)?;
        let network = match length {
            None => IpNet::from(address),
            Some(length) if length.starts_with(['0', '+']) && length != "0" => {
                return Err(InvalidCidr::Form);
            }
            Some(length) => {
                let length = length.parse().map_err(|_| InvalidCidr::Form)?;
                IpNet::new(address, length).map_err(|_| InvalidCidr::Form)?
            }
        };
        if let IpNet::V6(v6) = network
            && v6.addr().to_ipv4_mapped().is_some()
        {
            return Err(InvalidCidr::Mapped);
        }
        if network.trunc() != network {
            return Err(InvalidCidr::HostBits {
                network: network.trunc(),
                address: network.addr(),
            });
        }
        Ok(Self(network))
    }
}

impl TryFrom<String> for Cidr {
    type Error = InvalidCidr;

    fn try_from(text: String) -> Result<Self, InvalidCidr> {
        text.parse()
    }
}

/// Prints a network of one address as the address.
impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

impl From<Cidr> for String {
    fn from(network: Cidr) -> Self {
        network.to_string()
    }
}

/// Networks, in the order in which they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Networks(Vec<Cidr>);

impl Networks {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every address of the others lies in these too. Some of these may cover one of the
    /// others together, as two halves do a whole.
    #[must_use]
    pub fn cover(&self, others: &Self) -> bool {
        let joined = IpNet::aggregate(&self.0.iter().map(|network| network.0).collect::<Vec<_>>());
        others.0.iter().all(|other| joined.iter().any(|network| network.contains(&other.0)))
    }

    /// The networks, in the order in which they were given.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Cidr> {
        self.0.iter()
    }
}

impl FromIterator<Cidr> for Networks {
    fn from_iter<I: IntoIterator<Item = Cidr>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

/// A named list of networks that the operator maintains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSet {
    /// The resource name.
    pub id: NetworkSetId,
    /// What it holds; nothing admits nobody.
    pub networks: Networks,
    /// When it was first applied.
    pub create_time: Timestamp,
    /// When it was last applied.
    pub update_time: Timestamp,
}

impl NetworkSet {
    /// The largest set, in networks.
    pub const MAX_NETWORKS: usize = 10_000;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(networks: &[&str]) -> Networks {
        networks.iter().map(|network| network.parse().unwrap()).collect()
    }

    #[test]
    fn refuses_what_others_read_differently() {
        for bad in [
            "",
            "10",
            "10.0/8",
            "010.0.0.1",
            "010.0.0.0/8",
            "10.0.0.0/33",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            " 10.0.0.0/8",
            "10.0.0.0/8 ",
            "fe80::1%eth0",
            "::/129",
            "1.2.3.4.5",
            "0x0a.0.0.1",
            "localhost",
            "2001:db8::/032",
            "10.0.0.0/255.0.0.0",
        ] {
            assert_eq!(bad.parse::<Cidr>(), Err(InvalidCidr::Form), "{bad}");
        }
        for mapped in ["::ffff:10.0.0.0/104", "::ffff:10.0.0.1", "::ffff:0:0/96"] {
            assert_eq!(mapped.parse::<Cidr>(), Err(InvalidCidr::Mapped), "{mapped}");
        }
        let error = "10.1.2.3/8".parse::<Cidr>().unwrap_err().to_string();
        assert!(error.contains("`10.0.0.0/8` or `10.1.2.3`"), "{error}");
        assert!("2001:db8::1/32".parse::<Cidr>().is_err());
    }

    #[test]
    fn covering_is_by_the_union() {
        for (wide, narrow, covers) in [
            (&[][..], &[][..], true),
            (&[], &["10.0.0.0/8"], false),
            (&["10.0.0.0/8"], &[], true),
            (&["10.0.0.0/8"], &["10.1.0.0/16", "10.2.0.1"], true),
            (&["10.0.0.0/8"], &["10.1.0.0/16", "11.0.0.0/8"], false),
            (&["10.0.0.0/9", "10.128.0.0/9"], &["10.0.0.0/8"], true),
            (&["10.0.0.0/9"], &["10.0.0.0/8"], false),
            (&["0.0.0.0/0"], &["::/0"], false),
            (&["0.0.0.0/0", "::/0"], &["10.0.0.0/8", "::1"], true),
        ] {
            assert_eq!(networks(wide).cover(&networks(narrow)), covers, "{wide:?} {narrow:?}");
        }
    }
}
