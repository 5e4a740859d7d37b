//! Secrets that may be revealed, as they are kept: sealed with XChaCha20-Poly1305.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::name::KeyName;
use super::secret::Secret;

/// How many random bytes sealing a secret takes: so many that two are never the same.
pub const NONCE_BYTES: usize = 24;

/// A key that secrets are sealed with: 32 random bytes.
#[derive(Clone)]
pub struct EncryptionKey {
    key: Zeroizing<[u8; 32]>,
    id: EncryptionKeyId,
}

/// Tells one encryption key from another, and tells nothing else about it: the first 64 bits of a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptionKeyId(String);

/// A text that is no encryption key. Does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 32 bytes in Base64, as `head -c 32 /dev/urandom | base64` makes them")]
pub struct InvalidEncryptionKey;

impl EncryptionKey {
    /// What tells this key from another.
    #[must_use]
    pub fn id(&self) -> &EncryptionKeyId {
        &self.id
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.key).into())
    }
}

impl FromStr for EncryptionKey {
    type Err = InvalidEncryptionKey;

    fn from_str(text: &str) -> Result<Self, InvalidEncryptionKey> {
        let bytes = BASE64_STANDARD.decode(text.trim()).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| InvalidEncryptionKey)?;
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() != key.len() {
            return Err(InvalidEncryptionKey);
        }
        key.copy_from_slice(&bytes);
        let digest = Sha256::new().chain_update(b"claviger encryption key").chain_update(*key);
        let mut head = [0; 8];
        head.copy_from_slice(&digest.finalize()[..8]);
        let id = EncryptionKeyId(format!("{:016x}", u64::from_be_bytes(head)));
        Ok(Self { key, id })
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKey({})", self.id.0)
    }
}

impl EncryptionKeyId {
    /// The id, 16 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for EncryptionKeyId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

/// A secret that only the vault can read.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// The key that it is sealed with.
    pub encryption_key: EncryptionKeyId,
    /// Random bytes that no other seal has.
    pub nonce: [u8; NONCE_BYTES],
    /// The secret, encrypted and authenticated.
    pub ciphertext: Vec<u8>,
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[sealed]")
    }
}

/// A sealed secret cannot be opened: it was altered, is another key's, or is sealed with an encryption key
/// that is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the stored secret cannot be decrypted: it was altered, or the encryption key is not the one"
)]
pub struct Unreadable;

/// Seals secrets with the current encryption key, and opens what that or the previous one sealed.
#[derive(Clone, Debug, Default)]
pub struct Vault {
    current: Option<EncryptionKey>,
    previous: Option<EncryptionKey>,
}

impl Vault {
    /// A vault with these keys. Without any, nothing can be sealed.
    #[must_use]
    pub fn new(current: Option<EncryptionKey>, previous: Option<EncryptionKey>) -> Self {
        Self { current, previous }
    }

    /// The key that secrets are sealed with.
    #[must_use]
    pub fn current(&self) -> Option<&EncryptionKey> {
        self.current.as_ref()
    }

    /// The keys that secrets are opened with.
    pub fn keys(&self) -> impl Iterator<Item = &EncryptionKey> {
        self.current.iter().chain(&self.previous)
    }

    /// Seals the secret of the key of this name; `None` if there is no encryption key.
    #[must_use]
    pub fn seal(
        &self,
        name: &KeyName,
        secret: &Secret,
        nonce: [u8; NONCE_BYTES],
    ) -> Option<SealedSecret> {
        let key = self.current.as_ref()?;
        let aad = name.to_string();
        let payload = Payload { msg: secret.expose().as_bytes(), aad: aad.as_bytes() };
        let ciphertext = key.cipher().encrypt(&nonce.into(), payload).ok()?;
        Some(SealedSecret { encryption_key: key.id.clone(), nonce, ciphertext })
    }

    /// Opens the sealed secret of the key of this name.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(&self, name: &KeyName, sealed: &SealedSecret) -> Result<Secret, Unreadable> {
        let key = self.keys().find(|key| key.id == sealed.encryption_key).ok_or(Unreadable)?;
        // The name of its key, workspace included, is sealed with a secret: in another row it is
        // worth nothing.
        let aad = name.to_string();
        let payload = Payload { msg: &sealed.ciphertext, aad: aad.as_bytes() };
        let opened = key.cipher().decrypt(&sealed.nonce.into(), payload);
        let opened = opened.map(Zeroizing::new).map_err(|_| Unreadable)?;
        let text = std::str::from_utf8(&opened).map_err(|_| Unreadable)?;
        text.parse().map_err(|_| Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> EncryptionKey {
        BASE64_STANDARD.encode([byte; 32]).parse().unwrap()
    }

    fn name(workspace: &str, last: u8) -> KeyName {
        format!("workspaces/{workspace}/keys/0198a1b2-0000-7000-8000-0000000000{last:02x}")
            .parse()
            .unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened_by_its_own_name_and_key_only() {
        let secret: Secret = "some-secret-1".parse().unwrap();
        let vault = Vault::new(Some(key(1)), None);
        let sealed = vault.seal(&name("acme", 1), &secret, [7; NONCE_BYTES]).unwrap();
        assert!(!sealed.ciphertext.windows(4).any(|part| part == b"some"));
        assert_eq!(vault.open(&name("acme", 1), &sealed), Ok(secret.clone()));
        for other in [name("acme", 2), name("other", 1)] {
            assert_eq!(vault.open(&other, &sealed), Err(Unreadable));
        }
        let rotated = Vault::new(Some(key(2)), Some(key(1)));
        assert_eq!(rotated.open(&name("acme", 1), &sealed), Ok(secret.clone()));
        let forgotten = Vault::new(Some(key(2)), None);
        assert_eq!(forgotten.open(&name("acme", 1), &sealed), Err(Unreadable));
        assert!(Vault::default().seal(&name("acme", 1), &secret, [7; NONCE_BYTES]).is_none());
    }

    #[test]
    fn every_bit_counts() {
        let vault = Vault::new(Some(key(1)), None);
        let name = name("acme", 1);
        let sealed =
            vault.seal(&name, &"some-secret-1".parse().unwrap(), [7; NONCE_BYTES]).unwrap();
        for bit in 0..8 * sealed.ciphertext.len() {
            let mut altered = sealed.clone();
            altered.ciphertext[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(vault.open(&name, &altered), Err(Unreadable), "bit {bit}");
        }
        for bit in 0..8 * NONCE_BYTES {
            let mut altered = sealed.clone();
            altered.nonce[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(vault.open(&name, &altered), Err(Unreadable), "bit {bit} of the nonce");
        }
        for length in 0..sealed.ciphertext.len() {
            let mut altered = sealed.clone();
            altered.ciphertext.truncate(length);
            assert_eq!(vault.open(&name, &altered), Err(Unreadable), "{length} bytes");
        }
    }

    #[test]
    fn p6_an_encryption_key_is_not_printed_and_not_any_text() {
        let key = key(1);
        assert_eq!(format!("{key:?}"), format!("EncryptionKey({})", key.id().as_str()));
        for bad in ["", "x", "AAAA", &BASE64_STANDARD.encode([1; 31]), &"A".repeat(43)] {
            assert!(bad.parse::<EncryptionKey>().is_err(), "{bad}");
        }
    }
}
