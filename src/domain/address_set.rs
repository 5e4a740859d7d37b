//! Sets of addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use super::network::{Cidr, Networks};

/// The addresses of some networks, ready to be looked up: a thousand networks take ten comparisons.
///
/// Ranges, first and last address, in order, and none touches the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressSet {
    v4: V4,
    /// Apart, because there mostly are none: a server remembers very many sets.
    v6: Option<Box<V6>>,
}

/// Most keys have few networks, and these stand where they are used.
#[derive(Clone, Debug, PartialEq, Eq)]
enum V4 {
    Few([(u32, u32); FEW]),
    Many(Box<[(u32, u32)]>),
}

const FEW: usize = 2;
/// A range that ends before it begins.
const NOTHING: (u32, u32) = (u32::MAX, 0);

#[derive(Clone, Debug, PartialEq, Eq)]
struct V6(Box<[(u128, u128)]>);

impl AddressSet {
    /// Whether this address is in the set. An IPv4-mapped IPv6 address counts as the IPv4 address that
    /// it maps (RFC 4291, section 2.5.5.2).
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.contains(address.to_bits()),
            IpAddr::V6(address) => {
                self.v6.as_ref().is_some_and(|v6| is_within(&v6.0, address.to_bits()))
            }
        }
    }
}

impl V4 {
    fn contains(&self, address: u32) -> bool {
        match self {
            Self::Few(ranges) => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&address))
            }
            Self::Many(ranges) => is_within(ranges, address),
        }
    }
}

impl From<Vec<(u32, u32)>> for V4 {
    fn from(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        if ranges.len() > FEW {
            return Self::Many(ranges.into());
        }
        let mut few = [NOTHING; FEW];
        few[..ranges.len()].copy_from_slice(&ranges);
        Self::Few(few)
    }
}

fn is_within<T: Copy + PartialOrd>(ranges: &[(T, T)], address: T) -> bool {
    let next = ranges.partition_point(|(first, _)| *first <= address);
    next.checked_sub(1).is_some_and(|index| address <= ranges[index].1)
}

impl From<&Networks> for AddressSet {
    fn from(networks: &Networks) -> Self {
        let networks: Vec<IpNet> = networks.iter().map(Cidr::network).collect();
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        // Merged, and in order.
        for network in IpNet::aggregate(&networks) {
            match network {
                IpNet::V4(network) => {
                    v4.push((network.network().to_bits(), network.broadcast().to_bits()));
                }
                IpNet::V6(network) => {
                    v6.push((network.network().to_bits(), network.broadcast().to_bits()));
                }
            }
        }
        v6.sort_unstable();
        Self { v4: v4.into(), v6: (!v6.is_empty()).then(|| Box::new(V6(v6.into()))) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(networks: &[&str]) -> AddressSet {
        let networks = networks.iter().map(|network| network.parse().unwrap());
        AddressSet::from(&networks.collect::<Networks>())
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
                set(networks).contains(address.parse().unwrap()),
                admitted,
                "{networks:?} {address}"
            );
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
            let set = AddressSet::from(&list.unwrap());
            for (_, _, address) in &cases {
                let expected = cases.iter().any(|(network, length, _)| oracle(*network, *length, *address));
                prop_assert_eq!(set.contains(*address), expected);
            }
        }
    }
}
