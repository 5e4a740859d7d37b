//! Credentials: the ways in which a secret is presented.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use super::public_key::PublicKey;
use super::secret::{Secret, SecretDigest, check_form};

/// What a client presented, reduced to what a decision needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    Missing,
    /// Something that cannot be a key.
    Malformed,
    /// Something that may be a key: the digest of it.
    Presented(SecretDigest),
    /// Something that may be the public key of a workspace.
    Public(PublicKey),
}

/// Base64 as clients write it: with or without padding (RFC 7617 does not say).
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Credential {
    /// A bare secret, or a public key.
    #[must_use]
    pub fn from_api_key(api_key: &str) -> Self {
        match api_key {
            "" => Self::Missing,
            // Secrets are longer.
            text if text.len() == PublicKey::LENGTH => {
                text.parse().map_or(Self::Malformed, Self::Public)
            }
            text if check_form(text).is_ok() => Self::Presented(SecretDigest::of(text.as_bytes())),
            _ => Self::Malformed,
        }
    }

    /// The value of an HTTP `Authorization` header: `Bearer <secret>` (RFC 6750), `Basic` and the Base64 of
    /// the secret, or of the secret and a colon: the secret as user name with an empty password
    /// (RFC 7617). Schemes ignore case (RFC 9110, section 11.1).
    #[must_use]
    pub fn from_authorization_header(value: &str) -> Self {
        if value.is_empty() {
            return Self::Missing;
        }
        let Some((scheme, rest)) = value.split_once(' ') else { return Self::Malformed };
        // One or more spaces stand between a scheme and its credentials (RFC 9110, section 11.4).
        let credentials = rest.trim_start_matches(' ');
        if credentials.is_empty() {
            Self::Malformed
        } else if scheme.eq_ignore_ascii_case("bearer") {
            Self::from_api_key(credentials)
        } else if scheme.eq_ignore_ascii_case("basic") {
            Self::from_base64(credentials)
        } else {
            Self::Malformed
        }
    }

    fn from_base64(encoded: &str) -> Self {
        // Wiped on the way out: it holds a secret.
        let Ok(decoded) = BASE64.decode(encoded).map(Zeroizing::new) else {
            return Self::Malformed;
        };
        let Ok(text) = std::str::from_utf8(&decoded) else { return Self::Malformed };
        match text.strip_suffix(':').unwrap_or(text) {
            "" => Self::Malformed,
            secret => Self::from_api_key(secret),
        }
    }
}

impl Secret {
    /// The secret as a value for the HTTP header `Authorization`: `Basic` and its Base64.
    #[must_use]
    pub fn authorization_header(&self) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(self.expose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(value: &str) -> Credential {
        Credential::from_authorization_header(value)
    }

    #[test]
    fn c1_every_accepted_form_is_the_same_key() {
        let secret: Secret = "imported-key-1".parse().unwrap();
        let key = Credential::Presented(secret.digest());
        assert_eq!(Credential::from_api_key("imported-key-1"), key);
        for value in [
            "Bearer imported-key-1",
            "bearer imported-key-1",
            "BEARER   imported-key-1",
            "Basic aW1wb3J0ZWQta2V5LTE=",
            "bAsIc aW1wb3J0ZWQta2V5LTE=",
            "Basic aW1wb3J0ZWQta2V5LTE",
            "Basic aW1wb3J0ZWQta2V5LTE6",
            &secret.authorization_header(),
        ] {
            assert_eq!(header(value), key, "{value}");
        }
    }

    #[test]
    fn anything_else_is_missing_or_malformed() {
        assert_eq!(header(""), Credential::Missing);
        assert_eq!(Credential::from_api_key(""), Credential::Missing);
        for value in [
            "Bearer",
            "Bearer ",
            "Bearer  \t",
            "Basic",
            "Basic Og==",
            "Basic !!!!",
            "Basic aW1wb3J0ZWQta2V5LTE==",
            "Basic aW1wb3J0ZWQta2V5LTE=\n",
            "Basic /////w==",
            "Bearer imported-key-1\n",
            "Bearer imported-key-1 ",
            "Bearer one-key-1, Bearer two-key-2",
            "Digest imported-key-1",
            "imported-key-1",
            " Bearer imported-key-1",
            "Bearer\timported-key-1",
        ] {
            assert_eq!(header(value), Credential::Malformed, "{value:?}");
        }
    }
}
