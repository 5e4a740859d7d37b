//! What a call is answered with.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

/// How long the prefix of a message is: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The body of an answer.
#[derive(Debug)]
pub enum Reply {
    /// One message, and that all is well.
    Message(Option<Bytes>),
    /// Whatever tonic makes.
    Other(tonic::body::Body),
    /// Nothing more.
    End,
}

impl Reply {
    /// An answer of one message of this length, which `write` appends.
    pub(super) fn message(length: usize, write: impl FnOnce(&mut BytesMut)) -> Response<Self> {
        let mut bytes = BytesMut::with_capacity(PREFIX + length);
        bytes.put_u8(0);
        bytes.put_u32(length as u32);
        write(&mut bytes);
        let mut response = Response::new(Self::Message(Some(bytes.freeze())));
        let grpc = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(CONTENT_TYPE, grpc);
        response
    }
}

/// The trailers of a call that went well.
fn all_is_well() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
    trailers
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        match this {
            Self::Message(message) => {
                let frame = if let Some(message) = message.take() {
                    Frame::data(message)
                } else {
                    *this = Self::End;
                    Frame::trailers(all_is_well())
                };
                Poll::Ready(Some(Ok(frame)))
            }
            Self::Other(body) => Pin::new(body).poll_frame(context),
            Self::End => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Message(_) => false,
            Self::Other(body) => body.is_end_stream(),
            Self::End => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Message(Some(message)) => SizeHint::with_exact(message.len() as u64),
            Self::Other(body) => body.size_hint(),
            Self::Message(None) | Self::End => SizeHint::with_exact(0),
        }
    }
}

/// The message of a body that holds one, uncompressed, and nothing else.
pub(super) fn only_message(body: &[u8], max_length: usize) -> Option<&[u8]> {
    let (prefix, message) = body.split_first_chunk::<PREFIX>()?;
    let [0, length @ ..] = *prefix else { return None };
    let is_whole = u32::from_be_bytes(length) as usize == message.len();
    (is_whole && message.len() <= max_length).then_some(message)
}

/// A body of which the beginning may have been read before the rest.
#[derive(Debug)]
pub struct Replayed<B> {
    first: Option<Frame<Bytes>>,
    second: Option<Frame<Bytes>>,
    rest: B,
}

impl<B: Body<Data = Bytes> + Unpin> Replayed<B> {
    /// A body of which nothing was read.
    #[must_use]
    pub fn new(rest: B) -> Self {
        Self { first: None, second: None, rest }
    }

    /// All of it, if that has come, and in one piece.
    pub(super) fn only(&mut self) -> Option<&Bytes> {
        // Whatever has not come yet is asked for again when it is read.
        match self.poll_only(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(only) => only,
            Poll::Pending => None,
        }
    }

    /// Waits until all of it has come, or it is known that that is more than one piece.
    pub(super) async fn come(&mut self) {
        poll_fn(|context| self.poll_only(context).map(|_| ())).await;
    }

    fn poll_only(&mut self, context: &mut Context<'_>) -> Poll<Option<&Bytes>> {
        if self.first.is_none() {
            match ready!(Pin::new(&mut self.rest).poll_frame(context)) {
                Some(Ok(first)) => self.first = Some(first),
                None | Some(Err(_)) => return Poll::Ready(None),
            }
        }
        while self.second.is_none() && !self.rest.is_end_stream() {
            match ready!(Pin::new(&mut self.rest).poll_frame(context)) {
                // Many clients only know that it was all when they have sent it, and then say so.
                Some(Ok(frame)) if frame.data_ref().is_some_and(Bytes::is_empty) => {}
                Some(Ok(frame)) => self.second = Some(frame),
                None => break,
                // Whoever reads it is told again.
                Some(Err(_)) => return Poll::Ready(None),
            }
        }
        let first = self.first.as_ref().filter(|_| self.second.is_none());
        Poll::Ready(first.and_then(Frame::data_ref))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Replayed<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.first.take().or_else(|| self.second.take()) {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.second.is_none() && self.rest.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures_util::FutureExt;

    use super::*;

    /// Pieces of a body. What is behind a `None` comes later. It ends well, or in an error again and again.
    struct Pieces(VecDeque<Option<Frame<Bytes>>>, Result<(), ()>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = ();

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, ()>>> {
            match self.0.pop_front() {
                Some(Some(piece)) => Poll::Ready(Some(Ok(piece))),
                Some(None) => Poll::Pending,
                None => Poll::Ready(self.1.err().map(Err)),
            }
        }

        fn is_end_stream(&self) -> bool {
            self.0.is_empty() && self.1.is_ok()
        }
    }

    #[test]
    fn a_body_is_given_away_in_one_piece_if_it_came_so_and_read_whole_however_it_came() {
        let data = |bytes| Some(Frame::data(Bytes::from_static(bytes)));
        let trailers = || Some(Frame::trailers(HeaderMap::new()));
        for (pieces, at_once, in_the_end) in [
            (vec![data(b"ab")], true, true),
            (vec![data(b"ab"), data(b"")], true, true),
            (vec![data(b"ab"), None, data(b""), None], false, true),
            (vec![None, data(b"ab")], false, true),
            (vec![data(b"ab"), data(b"cd")], false, false),
            (vec![data(b"ab"), None, data(b""), data(b"cd")], false, false),
            (vec![data(b"ab"), data(b"cd"), data(b"ef")], false, false),
            (vec![data(b"ab"), trailers()], false, false),
            (vec![trailers()], false, false),
            (vec![], false, false),
        ] {
            let case = format!("{pieces:?}");
            let sent = pieces.iter().flatten().filter_map(Frame::data_ref).flatten().copied();
            let sent: Vec<u8> = sent.collect();
            let mut body = Replayed::new(Pieces(pieces.into(), Ok(())));
            assert_eq!(body.only().is_some(), at_once, "{case}");
            while body.come().now_or_never().is_none() {}
            let only = body.only().cloned();
            assert_eq!(only, in_the_end.then(|| Bytes::from_static(b"ab")), "{case}");
            let mut read = Vec::new();
            let mut context = Context::from_waker(Waker::noop());
            while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) {
                read.extend(frame.into_data().unwrap_or_default());
            }
            assert_eq!((read, body.is_end_stream()), (sent, true), "{case}");
        }
    }

    #[test]
    fn a_body_is_taken_only_if_it_is_one_message_and_nothing_else() {
        let only = |bytes| only_message(bytes, 3);
        assert_eq!(only(&[0, 0, 0, 0, 0]), Some([].as_slice()));
        assert_eq!(only(&[0, 0, 0, 0, 3, 7, 8, 9]), Some([7, 8, 9].as_slice()));
        for other in [
            &[][..],
            &[0, 0, 0, 0],
            &[1, 0, 0, 0, 1, 7],
            &[0, 0, 0, 0, 2, 7],
            &[0, 0, 0, 0, 1, 7, 8],
            &[0, 0, 0, 0, 4, 7, 8, 9, 10],
            &[0, 0xFF, 0xFF, 0xFF, 0xFF, 7],
        ] {
            assert_eq!(only(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_body_that_ends_in_an_error_is_not_whole_and_the_error_is_read_too() {
        for pieces in [vec![], vec![Some(Frame::data(Bytes::from_static(b"ab")))]] {
            let sent = pieces.len();
            let mut body = Replayed::new(Pieces(pieces.into(), Err(())));
            assert_eq!(body.only(), None);
            assert_eq!(body.come().now_or_never(), Some(()));
            let mut context = Context::from_waker(Waker::noop());
            let mut read = || Pin::new(&mut body).poll_frame(&mut context);
            (0..sent).for_each(|_| assert!(matches!(read(), Poll::Ready(Some(Ok(_))))));
            assert!(matches!(read(), Poll::Ready(Some(Err(())))));
        }
    }
}
