//! Errors as gRPC statuses (AIP-193). The only place where that is done.
//!
//! Every status carries a `google.rpc.ErrorInfo` of the domain `claviger` with a reason that is
//! stable; `docs/errors.md` lists them.

use std::collections::HashMap;
use std::time::Duration;

use prost::{DecodeError, Message};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::authorize::{AuthenticateError, FindError};
use crate::domain::Refusal;
use crate::manage::{Error, Precondition, Resource, Violation};
use crate::store::StoreError;

const DOMAIN: &str = "claviger";
/// When to try again after a fault that passes.
const RETRY_DELAY: Duration = Duration::from_secs(1);

fn details(reason: &str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new())
}

fn status(code: Code, reason: &str, message: impl Into<String>) -> Status {
    Status::with_error_details(code, message, details(reason))
}

fn try_again(code: Code, reason: &str, message: &str) -> Status {
    let mut details = details(reason);
    details.set_retry_info(Some(RETRY_DELAY));
    Status::with_error_details(code, message, details)
}

/// A status as a message, for where it is one of several results.
pub(super) fn to_message(status: &Status) -> tonic_types::pb::Status {
    // What tells more travels as this very message.
    let decoded = tonic_types::pb::Status::decode(status.details());
    let details = decoded.map(|decoded| decoded.details).unwrap_or_default();
    tonic_types::pb::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details,
    }
}

/// Something is wrong here, and the caller can do nothing about it.
pub(super) fn internal() -> Status {
    status(Code::Internal, "INTERNAL", "an internal error: the server's log says more")
}

/// More calls are under way than are served at once.
pub(super) fn overloaded() -> Status {
    let message = "too many requests are under way: try again";
    try_again(Code::Unavailable, "OVERLOADED", message)
}

/// A call took longer than is allowed.
pub(super) fn timed_out() -> Status {
    let message = "the request took too long: if it was a change, it may or may not have been made";
    status(Code::DeadlineExceeded, "TIMED_OUT", message)
}

/// The database does not answer, or cannot be served from yet.
pub(super) fn database_unavailable() -> Status {
    try_again(
        Code::Unavailable,
        "DATABASE_UNAVAILABLE",
        "the database did not answer: if this was a change, it may or may not have been made",
    )
}

/// Health was asked about a service that is not here.
pub(super) fn unknown_service() -> Status {
    status(Code::NotFound, "SERVICE_NOT_FOUND", "there is no such service")
}

/// A message is none of its kind: `INTERNAL` in gRPC, and what tonic says of the other services'.
pub(super) fn unreadable(error: &DecodeError) -> Status {
    Status::internal(error.to_string())
}

/// There is no such method, as tonic says of the other services'.
pub(super) fn unknown_method() -> Status {
    Status::unimplemented("")
}

/// The server is going down.
pub(super) fn draining() -> Status {
    try_again(Code::Unavailable, "DRAINING", "the server is shutting down")
}

impl From<AuthenticateError> for Status {
    fn from(error: AuthenticateError) -> Self {
        let message = error.to_string();
        match error {
            AuthenticateError::Missing => {
                status(Code::Unauthenticated, "CONTROL_KEY_MISSING", message)
            }
            AuthenticateError::Invalid => {
                status(Code::Unauthenticated, "CONTROL_KEY_INVALID", message)
            }
            AuthenticateError::Address => {
                status(Code::PermissionDenied, "CONTROL_KEY_ADDRESS_DENIED", message)
            }
            AuthenticateError::Find(error) => error.into(),
        }
    }
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a fault of the database");
        fault(&error)
    }
}

impl From<FindError> for Status {
    fn from(error: FindError) -> Self {
        fault(error.cause())
    }
}

fn fault(error: &StoreError) -> Status {
    match error {
        StoreError::Database(_) => database_unavailable(),
        StoreError::Shared(error) => fault(error),
        StoreError::Corrupt(_) | StoreError::Interrupted => internal(),
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Permission(permission) => {
                let metadata = [("permission".to_owned(), permission.as_str().to_owned())];
                let details = ErrorDetails::with_error_info(
                    "CONTROL_KEY_PERMISSION_MISSING",
                    DOMAIN,
                    HashMap::from(metadata),
                );
                Status::with_error_details(Code::PermissionDenied, message, details)
            }
            Refusal::Scope | Refusal::ScopedKey => {
                status(Code::PermissionDenied, "CONTROL_KEY_SCOPE", message)
            }
            Refusal::ActorMissing => status(Code::PermissionDenied, "ACTOR_MISSING", message),
            Refusal::ActorUnknown => status(Code::PermissionDenied, "ACTOR_UNKNOWN", message),
            Refusal::ActorRole => status(Code::PermissionDenied, "ACTOR_ROLE", message),
            Refusal::ActorNotApplicable => {
                status(Code::InvalidArgument, "ACTOR_NOT_APPLICABLE", message)
            }
        }
    }
}

impl From<Violation> for Status {
    fn from(violation: Violation) -> Self {
        Error::from(violation).into()
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Refused(refusal) => refusal.into(),
            Error::BeyondCeiling(_) => {
                status(Code::PermissionDenied, "CONTROL_KEY_CEILING", message)
            }
            Error::Reserved(_) => status(Code::PermissionDenied, "RESERVED", message),
            Error::Invalid(violations) => invalid(violations),
            Error::NotFound(resource) => status(Code::NotFound, not_found(resource), message),
            Error::WorkspaceExists => status(Code::AlreadyExists, "WORKSPACE_EXISTS", message),
            Error::MemberExists => status(Code::AlreadyExists, "MEMBER_EXISTS", message),
            Error::IdentifierExists => status(Code::AlreadyExists, "IDENTIFIER_EXISTS", message),
            Error::RequestIdReused => status(Code::AlreadyExists, "REQUEST_ID_REUSED", message),
            Error::Precondition(precondition) => failed(&precondition, &message),
            Error::Unreadable(_) => status(Code::DataLoss, "SECRET_UNREADABLE", message),
            // The same words as for a control key that was gone when the call came.
            Error::CallerGone => AuthenticateError::Invalid.into(),
            Error::Store(error) => error.into(),
            Error::Entropy(error) => {
                tracing::error!(%error, "no random bytes");
                internal()
            }
        }
    }
}

/// How many bytes of violations are told. They travel in headers, three times over, and clients
/// refuse an answer with headers of more than eight kilobytes.
const MAX_TOLD_BYTES: usize = 1_536;

fn invalid(violations: Vec<Violation>) -> Status {
    let all = violations.len();
    let mut bytes = 0;
    let fits = |Violation { field, description }: &Violation| {
        bytes += field.len() + description.len();
        bytes <= MAX_TOLD_BYTES
    };
    let told: Vec<Violation> = violations.into_iter().take_while(fits).collect();
    let sentences: Vec<String> = told.iter().map(ToString::to_string).collect();
    let mut message = sentences.join("; ");
    if told.len() < all {
        message.push_str("; and more");
    }
    let mut details = details("INVALID_FIELD");
    details.set_bad_request(
        told.into_iter()
            .map(|Violation { field, description }| FieldViolation::new(field, description))
            .collect::<Vec<_>>(),
    );
    Status::with_error_details(Code::InvalidArgument, message, details)
}

const fn not_found(resource: Resource) -> &'static str {
    match resource {
        Resource::Key => "KEY_NOT_FOUND",
        Resource::Workspace => "WORKSPACE_NOT_FOUND",
        Resource::Catalog => "CATALOG_NOT_FOUND",
        Resource::Member => "MEMBER_NOT_FOUND",
        Resource::NetworkSet => "NETWORK_SET_NOT_FOUND",
        Resource::Identifier => "IDENTIFIER_NOT_FOUND",
    }
}

fn failed(precondition: &Precondition, message: &str) -> Status {
    let (reason, subject) = match precondition {
        Precondition::MaxKeysReached { .. } => ("MAX_KEYS_REACHED", String::new()),
        Precondition::LastKey => ("LAST_KEY", String::new()),
        Precondition::LastOperatorKey => ("LAST_OPERATOR_KEY", String::new()),
        Precondition::SecretShownOnce => ("SECRET_SHOWN_ONCE", String::new()),
        Precondition::EncryptionKeyMissing => ("ENCRYPTION_KEY_MISSING", String::new()),
        Precondition::EncryptionKeyUnknown(_) => ("ENCRYPTION_KEY_UNKNOWN", String::new()),
        Precondition::KeyExpired => ("KEY_EXPIRED", String::new()),
        Precondition::NetworkSetInUse { key } => ("NETWORK_SET_IN_USE", key.to_string()),
        Precondition::RequestKeyDeleted => ("REQUEST_KEY_DELETED", String::new()),
        Precondition::WorkspaceNotEmpty => ("WORKSPACE_NOT_EMPTY", String::new()),
        Precondition::CatalogNotFound => ("CATALOG_NOT_FOUND", String::new()),
        Precondition::CatalogInUse => ("CATALOG_IN_USE", String::new()),
        Precondition::PermissionHeld { permission, .. }
        | Precondition::PermissionIsDefault { permission, .. } => {
            ("PERMISSION_IN_USE", permission.to_string())
        }
    };
    let mut details = details(reason);
    details.add_precondition_failure_violation(reason, subject, message);
    Status::with_error_details(Code::FailedPrecondition, message, details)
}
