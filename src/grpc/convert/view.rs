//! Requests as they are read: where they lie.

use prost::DecodeError;
use prost::encoding::{WireType, decode_key, decode_varint};

use crate::domain::{Action, Credential};
use crate::proto::authorize_request as request;
use crate::proto::{AuthorizeRequest, HttpRequest};

/// What a request says. The same as [`AuthorizeRequest`], but borrowed.
///
/// Not to be printed: a path may carry a token in its query.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::grpc) struct RequestView<'a> {
    pub(super) presented: CredentialText<'a>,
    pub(super) action: Action<'a>,
    pub(super) client_ip: &'a str,
    /// The name of the workspace; empty: none is named.
    pub(in crate::grpc) workspace: &'a str,
    pub(super) instance: &'a str,
    pub(super) identifiers: &'a [String],
    pub(super) consistency: Option<&'a request::Consistency>,
}

/// A credential as it is presented.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum CredentialText<'a> {
    Nothing,
    ApiKey(&'a str),
    AuthorizationHeader(&'a str),
}

/// The field that `BatchAuthorizeRequest` holds its requests in, and `StreamAuthorizeRequest` its one.
const REQUESTS: u32 = 1;

impl<'a> RequestView<'a> {
    const EMPTY: Self = Self {
        presented: CredentialText::Nothing,
        action: Action::None,
        client_ip: "",
        workspace: "",
        instance: "",
        identifiers: &[],
        consistency: None,
    };

    /// Reads an encoded [`AuthorizeRequest`] as nearly all of them are: each field once at the most, and
    /// none that is rare. `None`: it is another, good or bad, for prost to read. That copies every text,
    /// which takes as long as the decision.
    pub(in crate::grpc) fn read(mut message: &'a [u8]) -> Option<Self> {
        let mut view = Self::EMPTY;
        let mut seen = 0_u32;
        while !message.is_empty() {
            let (field, text) = field(&mut message)?;
            // Of a `oneof`, both are one.
            let place = match field {
                1 | 2 => 1,
                3 | 4 => 3,
                5..=7 => field,
                _ => return None,
            };
            if seen & 1 << place != 0 {
                return None;
            }
            seen |= 1 << place;
            if field == 4 {
                view.action = read_http_request(text)?;
                continue;
            }
            let text = str::from_utf8(text).ok()?;
            match field {
                1 => view.presented = CredentialText::ApiKey(text),
                2 => view.presented = CredentialText::AuthorizationHeader(text),
                3 => view.action = Action::Permission(text),
                5 => view.client_ip = text,
                6 => view.workspace = text,
                _ => view.instance = text,
            }
        }
        Some(view)
    }

    /// The credential that it is about. Takes a digest, so it is worth keeping.
    pub(in crate::grpc) fn credential(&self) -> Credential {
        match self.presented {
            CredentialText::Nothing => Credential::Missing,
            CredentialText::ApiKey(key) => Credential::from_api_key(key),
            CredentialText::AuthorizationHeader(value) => {
                Credential::from_authorization_header(value)
            }
        }
    }

    /// Reads the requests of an encoded `BatchAuthorizeRequest` in the same way.
    pub(in crate::grpc) fn read_batch(mut message: &'a [u8]) -> Option<Vec<Self>> {
        let mut views = Vec::new();
        while !message.is_empty() {
            views.push(Self::read_item(&mut message)?);
        }
        Some(views)
    }

    /// Reads the request of an encoded `StreamAuthorizeRequest` in the same way.
    pub(in crate::grpc) fn read_streamed(mut message: &'a [u8]) -> Option<Self> {
        Self::read_item(&mut message).filter(|_| message.is_empty())
    }

    /// Takes the next request off a batch, or the one off a message of a stream.
    fn read_item(message: &mut &'a [u8]) -> Option<Self> {
        let (REQUESTS, request) = field(message)? else { return None };
        Self::read(request)
    }
}

impl<'a> From<&'a AuthorizeRequest> for RequestView<'a> {
    fn from(request: &'a AuthorizeRequest) -> Self {
        let AuthorizeRequest {
            credential,
            action,
            client_ip,
            workspace,
            instance,
            identifiers,
            consistency,
        } = request;
        Self {
            presented: match credential {
                None => CredentialText::Nothing,
                Some(request::Credential::ApiKey(key)) => CredentialText::ApiKey(key),
                Some(request::Credential::AuthorizationHeader(value)) => {
                    CredentialText::AuthorizationHeader(value)
                }
            },
            action: match action {
                None => Action::None,
                Some(request::Action::Permission(name)) => Action::Permission(name),
                Some(request::Action::HttpRequest(HttpRequest { method, path })) => {
                    Action::HttpRequest { method, path }
                }
            },
            client_ip,
            workspace,
            instance,
            identifiers,
            consistency: consistency.as_ref(),
        }
    }
}

fn read_http_request(mut message: &[u8]) -> Option<Action<'_>> {
    let (mut method, mut path) = (None, None);
    while !message.is_empty() {
        let (field, text) = field(&mut message)?;
        let text = str::from_utf8(text).ok()?;
        let before = match field {
            1 => method.replace(text),
            2 => path.replace(text),
            _ => return None,
        };
        if before.is_some() {
            return None;
        }
    }
    Some(Action::HttpRequest { method: method.unwrap_or_default(), path: path.unwrap_or_default() })
}

/// Takes the next field off an encoded message, if it is one of texts, bytes and messages.
fn field<'a>(message: &mut &'a [u8]) -> Option<(u32, &'a [u8])> {
    let read = |message: &mut &'a [u8]| -> Result<_, DecodeError> {
        Ok((decode_key(message)?, decode_varint(message)?))
    };
    let ((field, wire_type), length) = read(message).ok()?;
    if wire_type != WireType::LengthDelimited {
        return None;
    }
    let (value, rest) = message.split_at_checked(usize::try_from(length).ok()?)?;
    *message = rest;
    Some((field, value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::proto::{BatchAuthorizeRequest, StreamAuthorizeRequest};

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![Just(String::new()), "[a-z/ü_0-9.]{1,40}"]
    }

    fn a_request() -> impl Strategy<Value = AuthorizeRequest> {
        let credential = prop_oneof![
            Just(None),
            text().prop_map(|key| Some(request::Credential::ApiKey(key))),
            text().prop_map(|key| {
                Some(request::Credential::AuthorizationHeader(format!("Bearer {key}")))
            }),
        ];
        let action = prop_oneof![
            Just(None),
            text().prop_map(|name| Some(request::Action::Permission(name))),
            (text(), text()).prop_map(|(method, path)| {
                Some(request::Action::HttpRequest(HttpRequest { method, path }))
            }),
        ];
        let identifiers = prop_oneof![4 => Just(vec![]), 1 => Just(vec!["i".to_owned()])];
        (credential, action, text(), text(), text(), identifiers, proptest::bool::weighted(0.2))
            .prop_map(
                |(
                    credential,
                    action,
                    client_ip,
                    workspace,
                    instance,
                    identifiers,
                    fully_consistent,
                )| {
                    AuthorizeRequest {
                        credential,
                        action,
                        client_ip,
                        workspace,
                        instance,
                        identifiers,
                        consistency: fully_consistent
                            .then_some(request::Consistency::FullyConsistent(true)),
                    }
                },
            )
    }

    /// By rules of its own it takes the last, or merges both.
    #[test]
    fn what_is_said_twice_is_left_to_prost() {
        let http_request = |method: &str, path: &str| AuthorizeRequest {
            action: Some(request::Action::HttpRequest(HttpRequest {
                method: method.to_owned(),
                path: path.to_owned(),
            })),
            ..AuthorizeRequest::default()
        };
        let permission = AuthorizeRequest {
            action: Some(request::Action::Permission("users.track".to_owned())),
            ..AuthorizeRequest::default()
        };
        let from = |client_ip: &str| AuthorizeRequest {
            client_ip: client_ip.to_owned(),
            ..AuthorizeRequest::default()
        };
        for (one, other) in [
            (http_request("GET", "/a"), http_request("", "/b")),
            (http_request("GET", "/a"), permission),
            (from("192.0.2.1"), from("192.0.2.2")),
        ] {
            assert!(RequestView::read(&one.encode_to_vec()).is_some());
            let both = [one.encode_to_vec(), other.encode_to_vec()].concat();
            assert!(RequestView::read(&both).is_none());
        }
    }

    proptest! {
        #[test]
        fn is_what_prost_reads(request in a_request()) {
            let encoded = request.encode_to_vec();
            let is_rare = !request.identifiers.is_empty() || request.consistency.is_some();
            match RequestView::read(&encoded) {
                Some(view) => prop_assert!(view == (&request).into()),
                None => prop_assert!(is_rare),
            }
        }

        /// Whatever comes: what is read here, prost reads, and in the same way.
        #[test]
        fn is_what_prost_reads_of_anything(
            request in a_request(),
            garbled in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            cut in any::<prop::sample::Index>(),
            more in proptest::option::of(a_request()),
        ) {
            let mut encoded = request.encode_to_vec();
            // Of two in one, prost merges what they say.
            encoded.extend(more.map(|more| more.encode_to_vec()).unwrap_or_default());
            encoded.truncate(cut.index(2 * encoded.len() + 1));
            for (index, byte) in garbled {
                if !encoded.is_empty() {
                    let index = index.index(encoded.len());
                    encoded[index] = byte;
                }
            }
            if let Some(view) = RequestView::read(&encoded) {
                let request = AuthorizeRequest::decode(encoded.as_slice()).unwrap();
                prop_assert!(view == (&request).into());
            }
        }

        #[test]
        fn batches_and_messages_of_streams_are_what_prost_reads(
            requests in proptest::collection::vec(a_request(), 0..4),
        ) {
            let batch = BatchAuthorizeRequest { requests: requests.clone() }.encode_to_vec();
            if let Some(views) = RequestView::read_batch(&batch) {
                prop_assert!(views.into_iter().eq(requests.iter().map(RequestView::from)));
            }
            // The batch is one message of a stream, too, if it holds one request.
            let streamed = RequestView::read_streamed(&batch);
            prop_assert!(streamed.is_none() || requests.len() == 1);
            for request in requests {
                let encoded = StreamAuthorizeRequest { request: Some(request.clone()) }.encode_to_vec();
                let is_plain = RequestView::read(&request.encode_to_vec()).is_some();
                let view = RequestView::read_streamed(&encoded);
                prop_assert_eq!(view.is_some(), is_plain);
                if let Some(view) = view {
                    prop_assert!(view == (&request).into());
                }
            }
        }
    }
}
