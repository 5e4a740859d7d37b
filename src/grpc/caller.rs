//! Who calls, by the headers of a request.

use std::net::IpAddr;
use std::time::Duration;

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

/// How long a client waits, by its `grpc-timeout`; one that makes no sense counts for nothing.
pub(super) fn timeout_of(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(3_600 * number)),
        "M" => Some(Duration::from_secs(60 * number)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
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

/// Checks that a caller holds this permission, for a call that acts on no one workspace: nobody could
/// tell who the person is that it acts for.
pub(super) fn require(caller: &Caller, permission: ControlPermission) -> Result<(), Status> {
    caller.require(permission)?;
    caller.refuse_actor()?;
    Ok(())
}

/// The caller that the guard found good, if [it may](require).
pub(super) fn caller_with<T>(
    request: &Request<T>,
    permission: ControlPermission,
) -> Result<Caller, Status> {
    let caller = caller(request)?;
    require(&caller, permission)?;
    Ok(caller)
}

/// The caller that the guard found good. Whether the person that it acts for may do it is asked of
/// [`Actors`](crate::manage::Actors).
pub(super) fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    // Without the guard nobody is a caller.
    request.extensions().get::<Caller>().cloned().ok_or_else(internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_says_how_long_it_waits() {
        let timeout = |text: &str| {
            let value = text.parse().unwrap();
            timeout_of(&HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-timeout"),
                value,
            )]))
        };
        for (text, expected) in [
            ("2H", Duration::from_secs(7_200)),
            ("2M", Duration::from_secs(120)),
            ("2S", Duration::from_secs(2)),
            ("99999999m", Duration::from_millis(99_999_999)),
            ("2u", Duration::from_micros(2)),
            ("2n", Duration::from_nanos(2)),
        ] {
            assert_eq!(timeout(text), Some(expected), "{text}");
        }
        for bad in ["", "S", "2", "2s", "-2S", "+2S", "123456789S", "2 S", "2SS"] {
            assert_eq!(timeout(bad), None, "{bad:?}");
        }
    }
}
