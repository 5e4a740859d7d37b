//! What is remembered of a credential.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::domain::{Credential, PublicKey, SecretDigest, Subject, Timestamp};

/// A credential as it is looked up: the digest of a secret, or a public key, which no digest looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CacheKey([u8; 32]);

impl From<SecretDigest> for CacheKey {
    fn from(digest: SecretDigest) -> Self {
        Self(*digest.as_bytes())
    }
}

impl From<PublicKey> for CacheKey {
    fn from(key: PublicKey) -> Self {
        // To find a secret with such a digest takes 2²⁰⁸ attempts.
        let mut bytes = [0; 32];
        bytes[..PublicKey::LENGTH].copy_from_slice(key.as_bytes());
        Self(bytes)
    }
}

impl CacheKey {
    /// Of a credential that may be known.
    pub(super) fn of(credential: Credential) -> Option<Self> {
        match credential {
            Credential::Missing | Credential::Malformed => None,
            Credential::Presented(digest) => Some(digest.into()),
            Credential::Public(key) => Some(key.into()),
        }
    }
}

/// What was found behind a credential, and when that was last presented.
#[derive(Debug)]
pub(super) struct Entry {
    key: CacheKey,
    subject: Subject,
    /// In microseconds; 0 before the first time.
    last_seen: AtomicI64,
    /// Whether it is listed among those whose `last_seen` is to be written.
    pub(super) is_listed: AtomicBool,
}

impl Entry {
    pub(super) fn new(key: CacheKey, subject: Subject) -> Arc<Self> {
        let (last_seen, is_listed) = (AtomicI64::new(0), AtomicBool::new(false));
        Arc::new(Self { key, subject, last_seen, is_listed })
    }

    pub(super) fn key(&self) -> &CacheKey {
        &self.key
    }

    pub(super) fn subject(&self) -> &Subject {
        &self.subject
    }

    pub(super) fn last_seen(&self) -> i64 {
        self.last_seen.load(Ordering::Relaxed)
    }

    /// Notes that the credential was presented. An instant before one that was noted counts for nothing.
    pub(super) fn see(&self, now: Timestamp) {
        let micros = now.as_micros();
        if self.last_seen() < micros {
            // Before it is looked whether it is listed: whoever takes it off the list looks here after.
            self.last_seen.fetch_max(micros, Ordering::SeqCst);
        }
    }
}
