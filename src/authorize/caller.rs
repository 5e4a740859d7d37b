//! Authenticates callers, by the same rules as any other key.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::entry::{CacheKey, Entry};
use super::{Consistency, Engine, FindError, Found};
use crate::clock::Moment;
use crate::domain::{
    Action, Actor, Audience, Caller, ControlKey, Credential, Denial, Question, Timestamp,
};

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
        let question = about(credential, address);
        let found = self.find(&question, Consistency::Bounded).await?;
        let key = self.judge(&question, &found, self.moment().now)?;
        if let (Some(memo), Some(entry)) = (memo, found.entry()) {
            memo.set(entry);
        }
        Ok(Caller::new(key, actor))
    }

    /// The same for whoever called last on a connection, as of this moment, without waiting for anything.
    /// `None`: it has to be looked up, or is refused.
    #[must_use]
    pub fn recognize(
        &self,
        credential: Credential,
        address: Option<IpAddr>,
        memo: &CallerMemo,
        at: Moment,
    ) -> Option<Caller> {
        let key = CacheKey::of(credential)?;
        let entry = if self.is_current_at(at.uptime) { memo.get(&key)? } else { return None };
        let key = self.judge(&about(credential, address), &Found::new(Some(entry)), at.now).ok()?;
        Some(Caller::new(key, Actor::Nobody))
    }

    /// The control key that was found, if it is good.
    fn judge(
        &self,
        question: &Question<'_>,
        found: &Found,
        now: Timestamp,
    ) -> Result<Arc<ControlKey>, AuthenticateError> {
        let verdict = self.decide(question, found, now).verdict;
        let key = found.entry().and_then(|entry| entry.subject().control_key.as_ref());
        match (verdict, key) {
            (Ok(()), Some(key)) => Ok(Arc::clone(key)),
            (Err(Denial::KeyMissing), _) => Err(AuthenticateError::Missing),
            (Err(Denial::IpMissing | Denial::IpDenied), _) => Err(AuthenticateError::Address),
            (Ok(()) | Err(_), _) => Err(AuthenticateError::Invalid),
        }
    }
}

/// Whether this credential is a caller's, and good at this address.
fn about(credential: Credential, address: Option<IpAddr>) -> Question<'static> {
    Question {
        credential,
        action: Action::None,
        client_ip: address,
        workspace: None,
        instance: None,
        identifiers: &[],
        audience: Audience::Callers,
    }
}
