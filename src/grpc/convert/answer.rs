//! Answers as they are sent.

use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{
    WireType, bool, encode_key, encode_varint, encoded_len_varint, int32, message,
};
use prost_types::Duration as ProtoDuration;
use uuid::fmt::Hyphenated;

use super::to_proto_time;
use crate::domain::{
    Decision, Denial, Instances, PermissionName, RateLimit, Timestamp, WorkspaceId,
};
use crate::proto::{self, Reason};

/// A text, in parts.
type Parts<'a> = [&'a str; 4];

/// A decision as an `AuthorizeResponse`: encoded where it is sent from. To build the message first would
/// copy every text twice, which takes as long as the decision.
#[derive(Debug)]
pub(in crate::grpc) struct Answer<'a> {
    allowed: bool,
    reason: i32,
    /// The texts before the rate limit: `key`, `key_display_name`, `workspace`, `permission`.
    texts: [Parts<'a>; 4],
    rate_limit: Option<proto::RateLimit>,
    instance_endpoint: Parts<'a>,
}

/// How long the id of a key is, as text.
pub(in crate::grpc) const ID_LENGTH: usize = Hyphenated::LENGTH;

const NONE: Parts<'_> = [""; 4];
/// The fields of `AuthorizeResponse`.
const ALLOWED: u32 = 1;
const REASON: u32 = 2;
const FIRST_TEXT: u32 = 3;
const RATE_LIMIT: u32 = 7;
const INSTANCE_ENDPOINT: u32 = 8;
/// The field of `AuthorizeResult` that holds it, and the one of a batch or a message of a stream that holds
/// that.
const RESPONSE: u32 = 1;
const RESULT: u32 = 1;

impl<'a> Answer<'a> {
    /// The answer of a server that knows these instances, at this instant.
    pub(in crate::grpc) fn new(
        decision: &Decision<'a>,
        instances: &'a Instances,
        now: Timestamp,
        buffer: &'a mut [u8; ID_LENGTH],
    ) -> Self {
        let Decision { verdict, workspace, key, permission, right_instance, limit: _, rate_limit } =
            decision;
        let verdict = *verdict;
        let workspace = workspace.map(WorkspaceId::as_str);
        let id = key.map(|key| &*key.id.as_hyphenated().encode_lower(buffer));
        let key_name = workspace.zip(id).map(|(of, id)| ["workspaces/", of, "/keys/", id]);
        let text = |text: Option<&'a str>| text.map_or(NONE, |text| [text, "", "", ""]);
        Self {
            allowed: verdict.is_ok(),
            reason: verdict.map_or_else(reason, |()| Reason::Allowed).into(),
            texts: [
                key_name.unwrap_or(NONE),
                text(key.map(|key| key.display_name.as_str())),
                workspace.map_or(NONE, |workspace| ["workspaces/", workspace, "", ""]),
                text(permission.map(PermissionName::as_str)),
            ],
            rate_limit: rate_limit.map(|state| rate_limit_of(state, verdict, now)),
            instance_endpoint: text(right_instance.map(|instance| instances.endpoint(instance))),
        }
    }

    fn texts(&self) -> impl Iterator<Item = (u32, &Parts<'a>)> {
        (FIRST_TEXT..).zip(&self.texts)
    }

    /// How long it is, encoded.
    pub(in crate::grpc) fn encoded_len(&self) -> usize {
        let allowed = if self.allowed { bool::encoded_len(ALLOWED, &self.allowed) } else { 0 };
        let texts: usize = self.texts().map(|(_, text)| text_len(text)).sum();
        let rate_limit = self.rate_limit.as_ref();
        allowed
            + int32::encoded_len(REASON, &self.reason)
            + texts
            + rate_limit.map_or(0, |limit| message::encoded_len(RATE_LIMIT, limit))
            + text_len(&self.instance_endpoint)
    }

    /// Appends it, encoded.
    pub(in crate::grpc) fn encode(&self, out: &mut BytesMut) {
        if self.allowed {
            bool::encode(ALLOWED, &self.allowed, out);
        }
        // None is the default.
        int32::encode(REASON, &self.reason, out);
        for (field, text) in self.texts() {
            put_text(field, text, out);
        }
        if let Some(limit) = &self.rate_limit {
            message::encode(RATE_LIMIT, limit, out);
        }
        put_text(INSTANCE_ENDPOINT, &self.instance_endpoint, out);
    }
}

/// Encodes an answer.
pub(in crate::grpc) fn encode_answer(answer: &Answer<'_>) -> Bytes {
    let mut out = BytesMut::with_capacity(answer.encoded_len());
    answer.encode(&mut out);
    out.freeze()
}

/// Encodes an answer as a `StreamAuthorizeResponse`: as one item of a `BatchAuthorizeResponse`, too, because
/// on the wire they are the same.
pub(in crate::grpc) fn encode_item(answer: &Answer<'_>) -> Bytes {
    let response = answer.encoded_len();
    let result = nested_len(response);
    let mut out = BytesMut::with_capacity(nested_len(result));
    put_key(RESULT, result, &mut out);
    put_key(RESPONSE, response, &mut out);
    answer.encode(&mut out);
    out.freeze()
}

/// How long a field of so many bytes is.
fn nested_len(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

/// What stands before a field of so many bytes.
fn put_key(field: u32, length: usize, out: &mut BytesMut) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(length as u64, out);
}

fn text_len(text: &Parts<'_>) -> usize {
    let length = text.iter().map(|part| part.len()).sum();
    if length == 0 { 0 } else { nested_len(length) }
}

fn put_text(field: u32, text: &Parts<'_>, out: &mut BytesMut) {
    let length: usize = text.iter().map(|part| part.len()).sum();
    if length > 0 {
        put_key(field, length, out);
        for part in text {
            out.put_slice(part.as_bytes());
        }
    }
}

fn rate_limit_of(
    state: RateLimit,
    verdict: Result<(), Denial>,
    now: Timestamp,
) -> proto::RateLimit {
    let RateLimit { limit, remaining, reset_time } = state;
    let wait = (reset_time.as_micros() - now.as_micros()).max(0);
    let retry_delay = ProtoDuration {
        seconds: wait / 1_000_000,
        nanos: i32::try_from(wait % 1_000_000 * 1_000).unwrap_or(0),
    };
    proto::RateLimit {
        limit: i64::try_from(limit.get()).unwrap_or(i64::MAX),
        remaining: i64::try_from(remaining).unwrap_or(i64::MAX),
        reset_time: Some(to_proto_time(reset_time)),
        retry_delay: verdict.is_err().then_some(retry_delay),
    }
}

fn reason(denial: Denial) -> Reason {
    match denial {
        Denial::KeyMissing => Reason::KeyMissing,
        Denial::KeyMalformed => Reason::KeyMalformed,
        Denial::KeyUnknown => Reason::KeyUnknown,
        Denial::KeyExpired => Reason::KeyExpired,
        Denial::WorkspaceMismatch => Reason::WorkspaceMismatch,
        Denial::WrongInstance => Reason::WrongInstance,
        Denial::PermissionUnknown => Reason::PermissionUnknown,
        Denial::RouteUnknown => Reason::RouteUnknown,
        Denial::PublicKeyNotAllowed => Reason::PublicKeyNotAllowed,
        Denial::PermissionDenied => Reason::PermissionDenied,
        Denial::IpMissing => Reason::IpMissing,
        Denial::IpDenied => Reason::IpDenied,
        Denial::IdentifierUnknown => Reason::IdentifierUnknown,
        Denial::RateLimited => Reason::RateLimited,
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{InstanceId, KeyFacts, KeyName, PermissionSet};
    use crate::proto::{AuthorizeResponse, BatchAuthorizeResponse, StreamAuthorizeResponse};

    fn now() -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000).unwrap()
    }

    /// A decision about everything, with this verdict; and what is to be sent.
    fn with_all(
        verdict: Result<(), Denial>,
        check: impl FnOnce(&Decision<'_>, &Instances, &AuthorizeResponse),
    ) {
        let workspace = WorkspaceId::from_id("acme").unwrap();
        let name = KeyName { workspace: workspace.clone(), id: Uuid::from_u128(0x0191 << 112 | 7) };
        let key = KeyFacts {
            id: name.id,
            display_name: "Zoë's key, with a name that is longer than what stands beside it".into(),
            expire_time: Timestamp::MAX,
            permissions: PermissionSet::new(0),
            origins: None,
        };
        let permission: PermissionName = "users.track".parse().unwrap();
        let here: InstanceId = "here".parse().unwrap();
        let endpoints = crate::domain::parse_endpoints("here=https://here.example").unwrap();
        let instances = Instances { own: None, endpoints };
        let rate_limit = RateLimit {
            limit: 250_000.try_into().unwrap(),
            remaining: 249_999,
            reset_time: now().saturating_add(std::time::Duration::from_millis(1_500)),
        };
        let decision = Decision {
            verdict,
            workspace: Some(&workspace),
            key: Some(&key),
            permission: Some(&permission),
            right_instance: Some(&here),
            limit: None,
            rate_limit: Some(rate_limit),
        };
        let response = AuthorizeResponse {
            allowed: verdict.is_ok(),
            reason: verdict.map_or_else(reason, |()| Reason::Allowed).into(),
            key: name.to_string(),
            key_display_name: key.display_name.as_str().to_owned(),
            workspace: "workspaces/acme".to_owned(),
            permission: "users.track".to_owned(),
            rate_limit: Some(rate_limit_of(rate_limit, verdict, now())),
            instance_endpoint: "https://here.example".to_owned(),
        };
        check(&decision, &instances, &response);
    }

    #[test]
    fn is_sent_as_prost_would_send_it() {
        for verdict in [Ok(()), Err(Denial::RateLimited), Err(Denial::KeyMissing)] {
            with_all(verdict, |decision, instances, response| {
                // Field by field less of it.
                for known in 0..5 {
                    let (mut decision, mut response) = (decision.clone(), response.clone());
                    if known < 4 {
                        (decision.right_instance, response.instance_endpoint) =
                            (None, String::new());
                    }
                    if known < 3 {
                        (decision.rate_limit, response.rate_limit) = (None, None);
                    }
                    if known < 2 {
                        (decision.permission, response.permission) = (None, String::new());
                    }
                    if known < 1 {
                        (decision.key, decision.workspace) = (None, None);
                        response.key.clear();
                        response.key_display_name.clear();
                        response.workspace.clear();
                    }
                    let mut buffer = [0; ID_LENGTH];
                    let answer = Answer::new(&decision, instances, now(), &mut buffer);
                    let mut encoded = BytesMut::new();
                    answer.encode(&mut encoded);
                    assert_eq!(encoded, response.encode_to_vec(), "{response:?}");
                    assert_eq!(answer.encoded_len(), encoded.len());
                }
            });
        }
    }

    #[test]
    fn an_item_is_the_same_in_a_batch_and_in_a_stream() {
        with_all(Ok(()), |decision, instances, response| {
            let mut buffer = [0; ID_LENGTH];
            let item = encode_item(&Answer::new(decision, instances, now(), &mut buffer));
            let result = proto::AuthorizeResult {
                result: Some(proto::authorize_result::Result::Response(response.clone())),
            };
            let streamed = StreamAuthorizeResponse { result: Some(result.clone()) };
            assert_eq!(item, streamed.encode_to_vec());
            let batch = BatchAuthorizeResponse { results: vec![result.clone(), result] };
            assert_eq!([&*item, &*item].concat(), batch.encode_to_vec());
        });
    }
}
