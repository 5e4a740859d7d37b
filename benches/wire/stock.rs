//! The yardstick: the same service on `tonic::transport::Server`, as tonic's own examples serve it, with a
//! handler that returns a constant.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;

use claviger::proto::authorization_service_server::{
    AuthorizationService, AuthorizationServiceServer,
};
use claviger::proto::{
    AuthorizeRequest, AuthorizeResponse, BatchAuthorizeRequest, BatchAuthorizeResponse,
    StreamAuthorizeRequest, StreamAuthorizeResponse,
};
use prost::Message;
use tokio::net::TcpListener;
use tokio_stream::Empty;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// The argument that makes this program the server.
pub(crate) const MODE: &str = "--serve-stock";

struct Constant(AuthorizeResponse);

#[tonic::async_trait]
impl AuthorizationService for Constant {
    async fn authorize(
        &self,
        _: Request<AuthorizeRequest>,
    ) -> Result<Response<AuthorizeResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn batch_authorize(
        &self,
        _: Request<BatchAuthorizeRequest>,
    ) -> Result<Response<BatchAuthorizeResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    type StreamAuthorizeStream = Empty<Result<StreamAuthorizeResponse, Status>>;

    async fn stream_authorize(
        &self,
        _: Request<Streaming<StreamAuthorizeRequest>>,
    ) -> Result<Response<Self::StreamAuthorizeStream>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}

/// Serves until it is killed. Says where on standard output.
pub(crate) fn serve(reply: &str) -> Result<(), Box<dyn Error>> {
    let reply = AuthorizeResponse::decode(from_hex(reply)?.as_slice())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("{}", listener.local_addr()?);
        std::io::stdout().flush()?;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        tonic::transport::Server::builder()
            .add_service(AuthorizationServiceServer::new(Constant(reply)))
            .serve_with_incoming(incoming)
            .await?;
        Ok(())
    })
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn from_hex(hex: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let digits = hex.as_bytes().chunks_exact(2);
    digits.map(|two| Ok(u8::from_str_radix(std::str::from_utf8(two)?, 16)?)).collect()
}
