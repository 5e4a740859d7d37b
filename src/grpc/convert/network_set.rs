//! Network sets.

use super::to_proto_time;
use super::violations::Violations;
use crate::domain::{self, Cidr, NetworkSetId, Networks};
use crate::manage::{Error, ListedNetworkSet};
use crate::proto;

pub(in crate::grpc) fn apply_network_set(
    request: proto::ApplyNetworkSetRequest,
) -> Result<(NetworkSetId, Networks), Error> {
    let proto::ApplyNetworkSetRequest { network_set } = request;
    let proto::NetworkSet { name, networks, create_time: _, update_time: _ } =
        network_set.unwrap_or_default();
    let mut violations = Violations::default();
    let id = violations.note("network_set.name", name.parse());
    let max = domain::NetworkSet::MAX_NETWORKS;
    let networks: Vec<Cidr> = violations.parse_all("network_set.networks", &networks, max);
    violations.finish(id.map(|id| (id, networks.into_iter().collect())))
}

/// A network set in a list, without its networks.
pub(in crate::grpc) fn listed_network_set(listed: ListedNetworkSet) -> proto::NetworkSet {
    let (id, create_time, update_time) = listed;
    proto::NetworkSet {
        name: id.to_string(),
        networks: Vec::new(),
        create_time: Some(to_proto_time(create_time)),
        update_time: Some(to_proto_time(update_time)),
    }
}

impl From<domain::NetworkSet> for proto::NetworkSet {
    fn from(set: domain::NetworkSet) -> Self {
        let domain::NetworkSet { id, networks, create_time, update_time } = set;
        Self {
            name: id.to_string(),
            networks: networks.iter().map(ToString::to_string).collect(),
            create_time: Some(to_proto_time(create_time)),
            update_time: Some(to_proto_time(update_time)),
        }
    }
}
