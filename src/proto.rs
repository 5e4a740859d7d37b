//! The contract: messages, clients and servers generated from `proto/claviger/v1`.

#![allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated code")]

use std::fmt;

tonic::include_proto!("claviger.v1");

/// The contract as an encoded `FileDescriptorSet`, comments included; what reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/claviger.binpb"));

/// Messages that carry a secret print nothing but their name.
macro_rules! redact {
    ($($message:ident),+) => {
        $(impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($message), " { [redacted] }"))
            }
        })+
    };
}

redact!(
    AuthorizeRequest,
    CloneKeyResponse,
    CreateKeyResponse,
    CreateWorkspaceResponse,
    FirstKey,
    RevealKeyResponse
);

impl fmt::Debug for authorize_request::Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A path may carry a token in its query.
impl fmt::Debug for authorize_request::Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
