//! Authenticates callers, by the same rules as any other key.

use std::net::IpAddr;

use super::Engine;
use crate::domain::{Action, Actor, Audience, Bearer, Caller, Credential, Denial, Question};
use crate::store::StoreError;

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
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
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
        let subject = self.find(&question).await?;
        match self.decide(&question, subject.as_ref()).verdict {
            Ok(()) => match subject.map(|subject| subject.bearer) {
                Some(Bearer::Private(key)) => Ok(Caller::new(*key, actor)),
                Some(Bearer::Public(_)) | None => Err(AuthenticateError::Invalid),
            },
            Err(Denial::KeyMissing) => Err(AuthenticateError::Missing),
            Err(Denial::IpMissing | Denial::IpDenied) => Err(AuthenticateError::Address),
            Err(_) => Err(AuthenticateError::Invalid),
        }
    }
}
