//! Who calls, by the headers of a request.

use std::net::IpAddr;

use http::HeaderMap;
use tonic::{Request, Status};

use super::status::internal;
use crate::domain::{Actor, Caller, ControlPermission, Credential};

/// The control key in the headers of a request.
pub(super) fn credential(headers: &HeaderMap) -> Credential {
    let mut values = headers.get_all(http::header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Credential::Missing,
        (Some(value), None) => {
            value.to_str().map_or(Credential::Malformed, Credential::from_authorization_header)
        }
        // Of two, another reader of the same headers might believe the other.
        (Some(_), Some(_)) => Credential::Malformed,
    }
}

/// The header in which a dashboard names the person that it acts for.
const ACTOR: &str = "claviger-actor";

/// The person that a caller acts for, by the headers of a request.
pub(super) fn actor(headers: &HeaderMap) -> Actor {
    let mut values = headers.get_all(ACTOR).iter();
    match (values.next(), values.next()) {
        (None, _) => Actor::Nobody,
        (Some(value), None) => {
            let email = value.to_str().ok().and_then(|text| text.parse().ok());
            email.map_or(Actor::Malformed, Actor::Person)
        }
        (Some(_), Some(_)) => Actor::Malformed,
    }
}

/// What a caller presented, for those who have to ask again whether it is good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Presented {
    pub(super) credential: Credential,
    pub(super) address: Option<IpAddr>,
}

impl Presented {
    /// What the guard noted.
    pub(super) fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        request.extensions().get::<Self>().copied().ok_or_else(internal)
    }
}

/// The caller that the guard found good, if it holds this permission, for a call that acts on no one
/// workspace: nobody could tell who the person is that it acts for.
pub(super) fn caller_with<T>(
    request: &Request<T>,
    permission: ControlPermission,
) -> Result<Caller, Status> {
    let caller = caller(request)?;
    caller.require(permission)?;
    caller.refuse_actor()?;
    Ok(caller)
}

/// The caller that the guard found good. Whether the person that it acts for may do it is asked of
/// [`Actors`](crate::manage::Actors).
pub(super) fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    // Without the guard nobody is a caller.
    request.extensions().get::<Caller>().cloned().ok_or_else(internal)
}
