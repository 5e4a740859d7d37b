//! What is remembered of a credential.

use std::hash::{Hash, Hasher};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::domain::{Credential, PublicKey, SecretDigest, Subject, Timestamp};

/// A credential as it is looked up: the digest of a secret, or a public key, which no digest looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CacheKey([u8; 32]);

/// A part is enough: these are digests, or random.
impl Hash for CacheKey {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let (part, _) = self.0.split_first_chunk().unwrap_or((&[0; 8], &[]));
        hasher.write_u64(u64::from_le_bytes(*part));
    }
}

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

/// How exactly it is kept when a credential was presented, in microseconds: to the second. What is written
/// less often moves between cores less often, and what is the same for many is stored at once.
const RESOLUTION: i64 = 1_000_000;

/// What was found behind a credential, and when that was last presented.
#[derive(Debug)]
pub(super) struct Entry {
    key: CacheKey,
    subject: Subject,
    /// In microseconds; 0 before the first time.
    last_seen: AtomicI64,
    /// Whether it is in the cache: an entry that is not may be of what has changed since.
    is_cached: AtomicBool,
    /// Whether it is listed among those whose `last_seen` is to be written.
    pub(super) is_listed: AtomicBool,
}

impl Entry {
    pub(super) fn new(key: CacheKey, subject: Subject) -> Arc<Self> {
        Arc::new(Self {
            key,
            subject,
            last_seen: AtomicI64::new(0),
            is_cached: AtomicBool::new(false),
            is_listed: AtomicBool::new(false),
        })
    }

    pub(super) fn key(&self) -> &CacheKey {
        &self.key
    }

    pub(super) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Whether it may be served, if anything may.
    pub(super) fn is_current(&self) -> bool {
        self.is_cached.load(Ordering::Acquire) && !self.subject.is_outdated()
    }

    /// Notes that it came into the cache, or left it.
    pub(super) fn set_cached(&self, is_cached: bool) {
        self.is_cached.store(is_cached, Ordering::Release);
    }

    /// Reads a little of all that a decision reads: then it is near the processor.
    pub(super) fn touch(&self) {
        black_box(self.subject.key().map(|key| (key.expire_time, key.id)));
        black_box((self.last_seen(), self.key.0[0], self.is_current()));
    }

    pub(super) fn last_seen(&self) -> i64 {
        self.last_seen.load(Ordering::SeqCst)
    }

    /// Notes that the credential was presented. An instant before one that was noted counts for nothing.
    pub(super) fn see(&self, now: Timestamp) {
        let micros = now.as_micros() - now.as_micros().rem_euclid(RESOLUTION);
        if self.last_seen() < micros {
            // Before it is looked whether it is listed: whoever takes it off the list looks here after.
            self.last_seen.fetch_max(micros, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A decision waits for memory once for each line that it reads.
    #[test]
    fn takes_three_cache_lines_with_its_counters() {
        assert!(size_of::<Entry>() + 2 * size_of::<usize>() <= 3 * 64);
    }
}
