//! Secrets: what a client presents, and what is kept of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

/// How many random bytes a secret is made of: 192 bits.
pub const ENTROPY_BYTES: usize = 24;

/// 62³³ > 2¹⁹²: digits enough for every value of the random bytes.
const RANDOM_DIGITS: usize = 33;
/// 62⁶ > 2³²: digits enough for every CRC-32.
const CHECKSUM_DIGITS: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The secret of a key. Never printed, and wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

/// A text that cannot be a secret. Does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// No form of secret looks like this.
    #[error("must be {} to {} visible ASCII characters", Secret::MIN_LENGTH, Secret::MAX_LENGTH)]
    Form,
    /// It has the form of a secret that Claviger issued, but not the checksum: a typing error.
    #[error("has a checksum that does not fit: a character is wrong, missing or too many")]
    Checksum,
}

impl Secret {
    /// The shortest secret that is looked up, in characters.
    pub const MIN_LENGTH: usize = 8;
    /// The longest secret that is looked up, in characters.
    pub const MAX_LENGTH: usize = 512;

    /// Makes a secret, `<prefix>_<33 digits of base 62><6 digits of base 62>`, of random bytes
    /// from the operating system's generator. The last six digits are the CRC-32 of all before them.
    #[must_use]
    pub fn from_entropy(prefix: &KeyPrefix, mut entropy: [u8; ENTROPY_BYTES]) -> Self {
        let mut text = String::with_capacity(prefix.0.len() + 1 + RANDOM_DIGITS + CHECKSUM_DIGITS);
        text.push_str(&prefix.0);
        text.push('_');
        for _ in 0..RANDOM_DIGITS {
            text.push(char::from(BASE62[usize::from(divide_by_62(&mut entropy))]));
        }
        entropy.zeroize();
        let checksum = checksum(&text);
        text.extend(checksum.map(char::from));
        Self(Zeroizing::new(text))
    }

    /// The secret itself. Named so that every place that lets it out can be found.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored and looked up in its place.
    #[must_use]
    pub fn digest(&self) -> SecretDigest {
        SecretDigest::of(self.0.as_bytes())
    }

    /// Enough of the secret to recognise it by: its prefix, if Claviger issued it, and its last four
    /// characters. These are digits of the checksum, which leaves more than 168 unknown
    /// bits.
    #[must_use]
    pub fn hint(&self) -> String {
        let last_four = &self.0[self.0.len() - 4..];
        match issued_form(&self.0) {
            Some(issued) => format!("{}_...{last_four}", issued.prefix),
            None => format!("...{last_four}"),
        }
    }
}

/// Accepts what may be a secret: one that Claviger issued with a checksum that fits, or 8 to 512
/// visible ASCII characters of any other form.
impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        check_form(text)?;
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

/// Whether this text may be a secret at all; see [`Secret::from_str`].
pub(super) fn check_form(text: &str) -> Result<(), InvalidSecret> {
    if !(Secret::MIN_LENGTH..=Secret::MAX_LENGTH).contains(&text.len())
        || !all(text, |byte| byte.is_ascii_graphic())
    {
        return Err(InvalidSecret::Form);
    }
    match issued_form(text) {
        Some(issued) if checksum(issued.body) != issued.checksum.as_bytes() => {
            Err(InvalidSecret::Checksum)
        }
        _ => Ok(()),
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Whether every byte is like that. Looks at all of them, which takes less time than to stop at one.
fn all(text: &str, is_so: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & is_so(byte))
}

/// A text of the form of the secrets that Claviger issues.
struct IssuedForm<'a> {
    prefix: &'a str,
    body: &'a str,
    checksum: &'a str,
}

fn issued_form(text: &str) -> Option<IssuedForm<'_>> {
    let end = text.len().checked_sub(RANDOM_DIGITS + CHECKSUM_DIGITS)?;
    let (prefix, digits) = text.split_at_checked(end)?;
    let prefix = prefix.strip_suffix('_')?;
    let issued = is_prefix(prefix) && all(digits, |byte| byte.is_ascii_alphanumeric());
    issued.then(|| {
        let (body, checksum) = text.split_at(text.len() - CHECKSUM_DIGITS);
        IssuedForm { prefix, body, checksum }
    })
}

/// The CRC-32 of `body` (the one of zlib and RFC 1952), in six digits of base 62, most significant first.
fn checksum(body: &str) -> [u8; CHECKSUM_DIGITS] {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; CHECKSUM_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// Divides a number, most significant byte first, by 62 in place and returns the remainder.
fn divide_by_62(number: &mut [u8]) -> u8 {
    let mut remainder = 0_u16;
    for byte in number {
        let dividend = remainder << 8 | u16::from(*byte);
        // The quotient is below 256 because the remainder was below 62.
        *byte = (dividend / 62) as u8;
        remainder = dividend % 62;
    }
    remainder as u8
}

/// SHA-256 of a secret's exact bytes: what is stored of it. A secret of 192 random bits needs no
/// slow or salted hash: there is nothing to guess.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// The digest that was stored.
    #[must_use]
    pub const fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest in hexadecimal.
    #[must_use]
    pub fn to_hex(&self) -> String {
        use std::fmt::Write as _;

        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// Reads what [`Self::to_hex`] wrote.
    #[must_use]
    pub fn from_hex(hex: &str) -> Option<Self> {
        let mut digest = [0; 32];
        if hex.len() != 2 * digest.len() || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, digits) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(digest))
    }

    /// The digest itself.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[digest]")
    }
}

/// What the secrets of a workspace begin with: 1 to 16 lower-case letters and digits, the first a
/// letter. It makes leaked keys recognisable to people and to secret scanners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyPrefix(String);

/// A text that cannot be a prefix of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 16 lower-case letters and digits, the first a letter")]
pub struct InvalidKeyPrefix;

fn is_prefix(text: &str) -> bool {
    (1..=16).contains(&text.len())
        && text.as_bytes()[0].is_ascii_lowercase()
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'))
}

impl KeyPrefix {
    /// The prefix of control keys.
    #[must_use]
    pub fn control() -> Self {
        Self("claviger".to_owned())
    }

    /// The prefix itself, without the underscore that follows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for KeyPrefix {
    fn default() -> Self {
        Self("key".to_owned())
    }
}

impl FromStr for KeyPrefix {
    type Err = InvalidKeyPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidKeyPrefix> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for KeyPrefix {
    type Error = InvalidKeyPrefix;

    fn try_from(text: String) -> Result<Self, InvalidKeyPrefix> {
        if is_prefix(&text) { Ok(Self(text)) } else { Err(InvalidKeyPrefix) }
    }
}

impl From<KeyPrefix> for String {
    fn from(prefix: KeyPrefix) -> Self {
        prefix.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix(text: &str) -> KeyPrefix {
        text.parse().unwrap()
    }

    #[test]
    fn is_issued_in_the_published_form() {
        let secret = Secret::from_entropy(&prefix("acme"), [0xA7; ENTROPY_BYTES]);
        let text = secret.expose();
        assert_eq!(text.len(), "acme_".len() + 39);
        // CRC-32 of everything before the last six digits, checked against zlib by hand.
        let value = text[text.len() - 6..].bytes().fold(0_u64, |value, digit| {
            value * 62 + BASE62.iter().position(|other| *other == digit).unwrap() as u64
        });
        assert_eq!(value, u64::from(crc32fast::hash(&text.as_bytes()[..text.len() - 6])));
        assert_eq!(secret.hint(), format!("acme_...{}", &text[text.len() - 4..]));
    }

    #[test]
    fn p6_is_not_printed() {
        let secret = Secret::from_entropy(&prefix("acme"), [7; ENTROPY_BYTES]);
        assert_eq!(format!("{secret:?} {:?}", secret.digest()), "[redacted] [digest]");
    }

    #[test]
    fn other_forms_are_looked_up_within_bounds() {
        for good in ["12345678", "sk_live_not-ours!", &"x".repeat(512), "key_tooshort", "a:b:c:d:e"]
        {
            assert!(good.parse::<Secret>().is_ok(), "{good}");
        }
        for bad in
            ["", "1234567", &"x".repeat(513), "with space", "newline\n1", "täglich1", "nul\0nulnul"]
        {
            assert_eq!(bad.parse::<Secret>(), Err(InvalidSecret::Form), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn different_entropy_gives_different_secrets(one: [u8; ENTROPY_BYTES], other: [u8; ENTROPY_BYTES]) {
            let (a, b) = (Secret::from_entropy(&prefix("k"), one), Secret::from_entropy(&prefix("k"), other));
            prop_assert_eq!(one == other, a == b);
            prop_assert!(a.expose().parse::<Secret>().is_ok());
        }

        #[test]
        fn one_wrong_character_is_noticed(entropy: [u8; ENTROPY_BYTES], at in 2..41_usize, with in 0..62_usize) {
            let secret = Secret::from_entropy(&prefix("k"), entropy);
            let mut bytes = secret.expose().as_bytes().to_vec();
            prop_assume!(bytes[at] != BASE62[with]);
            bytes[at] = BASE62[with];
            let typed = String::from_utf8(bytes).unwrap();
            prop_assert_eq!(typed.parse::<Secret>(), Err(InvalidSecret::Checksum));
        }
    }
}
