//! Authenticates callers, by the same rules as any other key.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Consistency, Engine, FindError};
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
        let found = self.find(&question, Consistency::Bounded).await?;
        match self.decide(&question, &found).verdict {
            Ok(()) => match found.subject().and_then(|subject| subject.control_key.as_ref()) {
                Some(key) => Ok(Caller::new(Arc::clone(key), actor)),
                None => Err(AuthenticateError::Invalid),
            },
            Err(Denial::KeyMissing) => Err(AuthenticateError::Missing),
            Err(Denial::IpMissing | Denial::IpDenied) => Err(AuthenticateError::Address),
            Err(_) => Err(AuthenticateError::Invalid),
        }
    }
}
