//! What is wrong before a message is even read: the caller, the method, the bytes.

use claviger::proto::{AuthorizeRequest, AuthorizeResponse};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::support::builders::{a_key, a_question};
use super::support::server::TestServer;
use super::{assert_refused, refused};

const AUTHORIZE: &str = "/claviger.v1.AuthorizationService/Authorize";

/// Sends any message to any method, with these `authorization` headers.
async fn send<M: prost::Message + Default + 'static>(
    server: &TestServer,
    path: &'static str,
    message: M,
    headers: &[&str],
) -> Result<AuthorizeResponse, Status> {
    let mut grpc = Grpc::new(server.channel.clone());
    grpc.ready().await.unwrap();
    let mut request = Request::new(message);
    for header in headers {
        let value: MetadataValue<_> = header.parse().unwrap();
        request.metadata_mut().append("authorization", value);
    }
    let path = PathAndQuery::from_static(path);
    let codec = ProstCodec::<M, AuthorizeResponse>::default();
    Ok(grpc.unary(request, path, codec).await?.into_inner())
}

async fn assert_alive(server: &TestServer) {
    assert!(server.operator().authorize(a_question("some-key").build()).await.is_ok());
}

#[tokio::test]
async fn a_caller_that_is_not_known() {
    let server = TestServer::with_acme().await;
    let key = server.operator_key.expose();
    let (bearer, other) = (format!("Bearer {key}"), format!("bearer {key}"));
    let customer = a_key("k").permissions(&["*"]).build();
    let customer = server.operator().create_key("workspaces/acme", customer).await.unwrap();
    let customer = format!("Bearer {}", customer.secret);
    let missing = || refused(Code::Unauthenticated, "CONTROL_KEY_MISSING");
    let invalid = || refused(Code::Unauthenticated, "CONTROL_KEY_INVALID");
    for (row, headers, expected) in [
        ("no header", &[][..], missing()),
        ("an empty header", &[""], missing()),
        ("Bearer alone", &["Bearer"], invalid()),
        ("no scheme", &[key], invalid()),
        ("another scheme", &["Digest some-key"], invalid()),
        ("an unknown key", &["Bearer some-key"], invalid()),
        ("a customer's key", &[&customer], invalid()),
        ("the same key twice", &[&bearer, &bearer], invalid()),
        ("a bad key behind a good one", &[&bearer, "Bearer some-key"], invalid()),
    ] {
        let answer = send(&server, AUTHORIZE, AuthorizeRequest::default(), headers).await;
        assert_refused(row, answer, &expected);
    }
    for good in [&bearer, &other] {
        let answer = send(&server, AUTHORIZE, AuthorizeRequest::default(), &[good]).await;
        assert!(answer.is_ok());
    }
}

#[tokio::test]
async fn a_method_that_is_not_there() {
    let server = TestServer::with_acme().await;
    let bearer = format!("Bearer {}", server.operator_key.expose());
    for path in ["/claviger.v1.AuthorizationService/Nothing", "/claviger.v9.Service/Method", "/x/y"]
    {
        let known = send(&server, path, AuthorizeRequest::default(), &[&bearer]).await;
        assert_eq!(known.unwrap_err().code(), Code::Unimplemented, "{path}");
        let unknown = send(&server, path, AuthorizeRequest::default(), &[]).await;
        assert_eq!(unknown.unwrap_err().code(), Code::Unauthenticated, "{path}");
    }
    assert_alive(&server).await;
}

/// A message whose only field is where `AuthorizeRequest` has its `http_request`, with bytes that
/// are none.
#[derive(Clone, PartialEq, prost::Message)]
struct Garbage {
    #[prost(bytes = "vec", tag = "4")]
    http_request: Vec<u8>,
}

/// A message with a string that is no UTF-8.
#[derive(Clone, PartialEq, prost::Message)]
struct NotText {
    #[prost(bytes = "vec", tag = "5")]
    client_ip: Vec<u8>,
}

#[tokio::test]
async fn bytes_that_are_no_message() {
    let server = TestServer::with_acme().await;
    let bearer = format!("Bearer {}", server.operator_key.expose());
    let garbage = Garbage { http_request: vec![0xFF; 64] };
    let answer = send(&server, AUTHORIZE, garbage, &[&bearer]).await;
    assert_eq!(answer.unwrap_err().code(), Code::Internal);
    let not_text = NotText { client_ip: vec![0xC3, 0x28] };
    let answer = send(&server, AUTHORIZE, not_text, &[&bearer]).await;
    assert_eq!(answer.unwrap_err().code(), Code::Internal);
    // Who is not known learns nothing about its message.
    let garbage = Garbage { http_request: vec![0xFF; 64] };
    let answer = send(&server, AUTHORIZE, garbage, &[]).await;
    assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated);
    assert_alive(&server).await;
}

#[tokio::test]
async fn a_message_that_is_too_large() {
    let server = TestServer::with_acme().await;
    let operator = server.operator();
    for (size, code) in [(60 * 1_024, None), (65 * 1_024, Some(Code::OutOfRange))] {
        let path = format!("/{}", "a".repeat(size));
        let answer = operator.authorize(a_question("some-key").http("GET", &path).build()).await;
        assert_eq!(answer.err().map(|status| status.code()), code, "{size}");
    }
    let long = "x".repeat(5 * 1_024 * 1_024);
    let answer = operator.create_key("workspaces/acme", a_key(&long).build()).await;
    assert_eq!(answer.unwrap_err().code(), Code::OutOfRange);
    assert_alive(&server).await;
}

#[tokio::test]
async fn a_header_that_is_too_large() {
    let server = TestServer::with_acme().await;
    let long = format!("Bearer {}", "x".repeat(20 * 1_024));
    let answer = send(&server, AUTHORIZE, AuthorizeRequest::default(), &[&long]).await;
    assert!(answer.is_err());
    assert_alive(&server).await;
}
