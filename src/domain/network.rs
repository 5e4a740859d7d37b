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
    /// Whether the address lies in this network. An IPv4-mapped IPv6 address counts as the
    /// IPv4 address that it maps (RFC 4291, section 2.5.5.2).
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
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

    /// Whether this address lies in one of them.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
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
    use proptest::prelude::*;

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
    fn b5_membership_at_the_edges() {
        for (networks, address, admitted) in [
            (&[][..], "203.0.113.9", false),
            (&["203.0.113.0/24"], "203.0.113.0", true),
            (&["203.0.113.0/24"], "203.0.113.255", true),
            (&["203.0.113.0/24"], "203.0.114.0", false),
            (&["203.0.113.0/24"], "::ffff:203.0.113.9", true),
            (&["203.0.113.9"], "203.0.113.9", true),
            (&["203.0.113.9/32"], "203.0.113.8", false),
            (&["0.0.0.0/0"], "255.255.255.255", true),
            (&["0.0.0.0/0"], "::1", false),
            (&["0.0.0.0/0"], "::ffff:1.2.3.4", true),
            (&["::/0"], "2001:db8::1", true),
            (&["::/0"], "1.2.3.4", false),
            (&["2001:db8::/32"], "2001:db8:ffff::1", true),
            (&["2001:db8::1"], "2001:db8::2", false),
            (&["2001:db8::1/128"], "2001:db8::1", true),
            (&["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"], "192.0.2.1", true),
            (&["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"], "192.0.2.2", false),
        ] {
            assert_eq!(
                self::networks(networks).contain(address.parse().unwrap()),
                admitted,
                "{networks:?} {address}"
            );
        }
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

    /// The oracle: compares the leading bits of two addresses one by one, as text.
    fn oracle(network: IpAddr, length: u8, address: IpAddr) -> bool {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(v4) => format!("{:032b}", u32::from(v4)),
            IpAddr::V6(v6) => format!("{:0128b}", u128::from(v6)),
        };
        let address = match address {
            IpAddr::V6(v6) if u128::from(v6) >> 32 == 0xFFFF => {
                IpAddr::from((u128::from(v6) as u32).to_be_bytes())
            }
            other => other,
        };
        network.is_ipv4() == address.is_ipv4()
            && bits(network)[..length.into()] == bits(address)[..length.into()]
    }

    /// A network, and an address that shares a random number of its leading bits.
    fn network_and_address() -> impl Strategy<Value = (IpAddr, u8, IpAddr)> {
        let v4 = (any::<u32>(), 0..=32_u8, any::<u32>(), 0..=32_u32, any::<bool>()).prop_map(
            |(network, length, noise, shared, mapped)| {
                let network = network & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                let address = network ^ noise.checked_shr(shared).unwrap_or(0);
                let address = std::net::Ipv4Addr::from(address);
                let address = if mapped { address.to_ipv6_mapped().into() } else { address.into() };
                (std::net::Ipv4Addr::from(network).into(), length, address)
            },
        );
        let v6 = (any::<u128>(), 0..=128_u8, any::<u128>(), 0..=128_u32).prop_map(
            |(network, length, noise, shared)| {
                let network = network & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                let address = network ^ noise.checked_shr(shared).unwrap_or(0);
                (
                    std::net::Ipv6Addr::from(network).into(),
                    length,
                    std::net::Ipv6Addr::from(address).into(),
                )
            },
        );
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn b5_membership_agrees_with_an_oracle(cases in proptest::collection::vec(network_and_address(), 1..4)) {
            let list: Result<Networks, _> =
                cases.iter().map(|(network, length, _)| format!("{network}/{length}").parse::<Cidr>()).collect();
            // Only networks inside ::ffff:0:0/96 are refused here.
            prop_assume!(list.is_ok());
            for (_, _, address) in &cases {
                let expected = cases.iter().any(|(network, length, _)| oracle(*network, *length, *address));
                prop_assert_eq!(list.as_ref().unwrap().contain(*address), expected);
            }
        }
    }
}
