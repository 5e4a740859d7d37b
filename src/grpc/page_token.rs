//! Page tokens (AIP-158): opaque, and good for the query that they came from only.
//!
//! A token is a position and a digest of it and of the query. That is no authentication: whoever
//! forges a token gets to another position of a list that they may read anyway.

use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use prost::Message;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::{CatalogId, Email, IdentifierId, NetworkSetId, Timestamp, WorkspaceId};
use crate::manage::Violation;
use crate::store::Cursor;

const DIGEST_BYTES: usize = 12;

/// A place in a list.
pub(super) trait Position: Sized {
    fn to_bytes(&self) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

impl Position for Cursor {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.create_time.as_micros().to_be_bytes()[..], self.id.as_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (micros, id) = bytes.split_first_chunk()?;
        let create_time = Timestamp::from_micros(i64::from_be_bytes(*micros))?;
        Some(Self { create_time, id: Uuid::from_slice(id).ok()? })
    }
}

/// Positions that are texts of their own kind.
macro_rules! text_position {
    ($type:ident, $parse:path) => {
        impl Position for $type {
            fn to_bytes(&self) -> Vec<u8> {
                self.as_str().into()
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                $parse(std::str::from_utf8(bytes).ok()?).ok()
            }
        }
    };
}

text_position!(WorkspaceId, WorkspaceId::from_id);
text_position!(CatalogId, CatalogId::from_id);
text_position!(NetworkSetId, NetworkSetId::from_id);
text_position!(Email, Email::from_str);
text_position!(IdentifierId, IdentifierId::from_str);

/// The token for a position in the list that `query` asks for: a request without page size and
/// token.
pub(super) fn encode(query: &impl Message, position: &impl Position) -> String {
    let position = position.to_bytes();
    let digest = digest(query, &position);
    BASE64_URL_SAFE_NO_PAD.encode([&digest[..], &position].concat())
}

/// The position that a token stands for; `None` for an empty token, the beginning.
pub(super) fn decode<P: Position>(
    query: &impl Message,
    token: &str,
) -> Result<Option<P>, Violation> {
    if token.is_empty() {
        return Ok(None);
    }
    let parse = || {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (digest_in_token, position) = bytes.split_first_chunk::<DIGEST_BYTES>()?;
        (*digest_in_token == digest(query, position)).then(|| P::from_bytes(position)).flatten()
    };
    let wrong = "must be the `next_page_token` of a call with the same other fields";
    parse().map(Some).ok_or_else(|| Violation::new("page_token", wrong))
}

fn digest<M: Message>(query: &M, position: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut hash = Sha256::new();
    // The empty queries of two methods encode alike.
    hash.update(std::any::type_name::<M>());
    hash.update(query.encode_to_vec());
    hash.update(position);
    let mut digest = [0; DIGEST_BYTES];
    digest.copy_from_slice(&hash.finalize()[..DIGEST_BYTES]);
    digest
}
