//! Public keys: what names a workspace to whoever may know it.

use std::fmt::{self, Write as _};
use std::str::FromStr;

/// The public key of a workspace: six letters and digits. It is no secret, and gives no more than the
/// permissions that a catalogue marks as public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; PublicKey::LENGTH]);

/// A text that is no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be six letters and digits")]
pub struct InvalidPublicKey;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl PublicKey {
    /// How long a public key is, in characters. Private keys are longer.
    pub const LENGTH: usize = 6;

    /// Its characters.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// Makes a public key of random bytes. Of 62⁶ = 5.7 · 10¹⁰ values none is noticeably likelier.
    #[must_use]
    pub fn from_entropy(entropy: [u8; 8]) -> Self {
        let mut rest = u64::from_be_bytes(entropy);
        Self(std::array::from_fn(|_| {
            let digit = BASE62[(rest % 62) as usize];
            rest /= 62;
            digit
        }))
    }
}

impl FromStr for PublicKey {
    type Err = InvalidPublicKey;

    fn from_str(text: &str) -> Result<Self, InvalidPublicKey> {
        let bytes = text.as_bytes().try_into().map_err(|_| InvalidPublicKey)?;
        let is_key = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_key { Ok(Self(bytes)) } else { Err(InvalidPublicKey) }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| f.write_char(char::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k1_six_letters_and_digits() {
        assert_eq!(PublicKey::from_entropy([0; 8]).to_string(), "000000");
        let key = PublicKey::from_entropy([0xFF; 8]);
        assert_eq!(key.to_string().parse(), Ok(key));
        for bad in ["", "AbC12", "AbC1234", "AbC-12", "AbC12é", "AbC12 "] {
            assert!(bad.parse::<PublicKey>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_digit_is_drawn() {
        let mut seen = std::collections::HashSet::new();
        for number in 0..4_096_u64 {
            let entropy = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
            seen.extend(PublicKey::from_entropy(entropy).0);
        }
        assert_eq!(seen.len(), 62);
    }
}
