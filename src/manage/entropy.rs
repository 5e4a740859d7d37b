//! Randomness, from the operating system's generator.

use uuid::{Builder, Uuid};

use crate::domain::{ENTROPY_BYTES, KeyPrefix, Secret, Timestamp};

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system's random generator failed: {0}")]
pub struct EntropyError(#[from] getrandom::Error);

pub(super) fn random<const N: usize>() -> Result<[u8; N], EntropyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// A new secret with this prefix.
///
/// # Errors
/// If the operating system gives no random bytes.
pub fn new_secret(prefix: &KeyPrefix) -> Result<Secret, EntropyError> {
    Ok(Secret::from_entropy(prefix, random::<ENTROPY_BYTES>()?))
}

/// A new id, a UUID of version 7 (RFC 9562, section 5.7).
pub(super) fn new_id(now: Timestamp) -> Result<Uuid, EntropyError> {
    let millis = u64::try_from(now.as_micros() / 1_000).unwrap_or(0);
    Ok(Builder::from_unix_timestamp_millis(millis, &random()?).into_uuid())
}
