//! Authenticates callers, by the same rules as any other key.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::entry::{CacheKey, Entry};
use super::{Consistency, Engine, FindError, Found};
use crate::domain::{Action, Actor, Audience, Caller, Credential, Denial, Question};

/// Why a caller is not known.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// It presented nothing.
    #[error("present a control key: `authorization: Bearer <control key>`")]
    Missing,
    /// What it presented is not, or no longer, a control key. Says no more than that.
    #[error("the control key is malformed, unknown, deleted or expired")]
    Invalid,
    /// Its control key may not be used from its address.
    #[error("your control key may not be used from this address")]
    Address,
    /// It could not be looked up.
    #[error(transparent)]
    Find(#[from] FindError),
}

/// Who called last on a connection, so that it need not be looked up again, nor the part of the cache be
/// locked that every call of this caller would lock.
#[derive(Debug, Default)]
pub struct CallerMemo(Mutex<Option<Arc<Entry>>>);

impl CallerMemo {
    /// What is remembered of this credential, if it is the one of the last call.
    fn get(&self, key: &CacheKey) -> Option<Arc<Entry>> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|last| last.key() == key && last.is_current()).map(Arc::clone)
    }

    fn set(&self, entry: &Arc<Entry>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(entry));
    }
}

impl Engine {
    /// The caller that presents this credential from this address, and acts for this person.
    ///
    /// # Errors
    /// See [`AuthenticateError`].
    pub async fn authenticate(
        &self,
        credential: Credential,
        address: Option<IpAddr>,
        actor: Actor,
        memo: Option<&CallerMemo>,
    ) -> Result<Caller, AuthenticateError> {
        let question = Question {
            credential,
            action: Action::None,
            client_ip: address,
            workspace: None,
            instance: None,
            identifiers: &[],
            audience: Audience::Callers,
        };
        let remembered = memo.and_then(|memo| self.recall_caller(credential, memo));
        let is_new = remembered.is_none();
        let found = match remembered {
            Some(found) => found,
            None => self.find(&question, Consistency::Bounded).await?,
        };
        let decision = self.decide(&question, &found);
        match decision.verdict {
            Ok(()) => {
                let entry = found.entry().ok_or(AuthenticateError::Invalid)?;
                let key = entry.subject().control_key.as_ref().ok_or(AuthenticateError::Invalid)?;
                if let Some(memo) = memo.filter(|_| is_new) {
                    memo.set(entry);
                }
                Ok(Caller::new(Arc::clone(key), actor))
            }
            Err(Denial::KeyMissing) => Err(AuthenticateError::Missing),
            Err(Denial::IpMissing | Denial::IpDenied) => Err(AuthenticateError::Address),
            Err(_) => Err(AuthenticateError::Invalid),
        }
    }

    /// Who presents this credential, if whoever called last did.
    fn recall_caller(&self, credential: Credential, memo: &CallerMemo) -> Option<Found> {
        let key = CacheKey::of(credential)?;
        let entry = if self.is_current() { memo.get(&key) } else { None };
        entry.map(|entry| Found::new(Some(entry)))
    }
}
