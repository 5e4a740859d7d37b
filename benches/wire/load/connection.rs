//! A connection: HTTP/2 with prior knowledge, over clear text.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::frames::{
    self, DEFAULT_WINDOW, HEADER, Header, MAX_31, MAX_PAYLOAD, flag, kind, setting,
};
use super::hpack;

/// How long connecting and the exchange of settings may take, each.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How much is read at once: a thousand small answers.
const INBOX: usize = 128 * 1024;
/// What the server may send on one stream without being given more.
pub(super) const STREAM_WINDOW: u32 = 16 << 20;
/// After how much received data windows are opened again: seldom, so that the server need not read about it.
pub(super) const GIVE_BACK: u32 = STREAM_WINDOW / 2;

/// What came on a connection that concerns its streams.
pub(super) enum Event<'a> {
    /// Data, without padding; `length` is what it takes of the windows.
    Data { stream: u32, bytes: &'a [u8], length: u32, end: bool },
    /// Headers or trailers.
    Headers { stream: u32, end: bool },
    /// The server gave a stream up.
    Reset { stream: u32, code: u32 },
    /// The server takes no streams any more after `last`.
    GoAway { last: u32, code: u32 },
    /// More may be sent on a stream, or (without one) more or less on every stream.
    Window { stream: Option<u32>, by: i64 },
}

/// A connection whose settings have been exchanged.
pub(super) struct Connection {
    socket: TcpStream,
    inbox: Vec<u8>,
    /// The part of `inbox` that has been read and not been looked at.
    unread: std::ops::Range<usize>,
    outbox: Vec<u8>,
    /// How much of `outbox` has been written.
    written: usize,
    /// Data received since the window was last opened again.
    received: u32,
    /// Whether the server's settings have come.
    settled: bool,
    /// Whether the server wants no more streams.
    leaving: bool,
    /// How much may be sent on all streams together.
    window: i64,
    stream_window: i64,
    max_streams: usize,
}

impl Connection {
    /// Connects, and waits for the server's settings: until then nobody knows how much it takes.
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&address, HANDSHAKE_TIMEOUT)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(HANDSHAKE_TIMEOUT))?;
        let mut outbox = frames::PREFACE.to_vec();
        let settings = [(setting::ENABLE_PUSH, 0), (setting::INITIAL_WINDOW_SIZE, STREAM_WINDOW)];
        frames::put_settings(&mut outbox, &settings);
        frames::put_window_update(&mut outbox, 0, MAX_31 - DEFAULT_WINDOW);
        let mut connection = Self {
            socket,
            inbox: vec![0; INBOX],
            unread: 0..0,
            outbox,
            written: 0,
            received: 0,
            settled: false,
            leaving: false,
            window: DEFAULT_WINDOW.into(),
            stream_window: DEFAULT_WINDOW.into(),
            max_streams: usize::MAX,
        };
        connection.flush()?;
        while !connection.settled {
            if connection.receive()? == 0 {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the server sent no settings"));
            }
            // No stream is open yet, so no event is of interest.
            while connection.next()?.is_some() {}
        }
        connection.flush()?;
        connection.socket.set_nonblocking(true)?;
        Ok(connection)
    }

    /// Reads once; 0 if there is nothing now.
    pub(super) fn receive(&mut self) -> io::Result<usize> {
        // What remains is less than a frame.
        self.inbox.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        match self.socket.read(&mut self.inbox[self.unread.end..]) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up")),
            Ok(length) => {
                self.unread.end += length;
                Ok(length)
            }
            Err(error) if is_transient(&error) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// The next event in what was read. Answers by itself what concerns the connection alone.
    pub(super) fn next(&mut self) -> io::Result<Option<Event<'_>>> {
        loop {
            let Some(header) = Header::read(&self.inbox[self.unread.clone()]) else {
                return Ok(None);
            };
            if header.length > MAX_PAYLOAD {
                return Err(violation("a frame that is too long"));
            }
            let body = self.unread.start + HEADER..self.unread.start + HEADER + header.length;
            if body.end > self.unread.end {
                return Ok(None);
            }
            self.unread.start = body.end;
            let end = header.has(flag::END_STREAM);
            match header.kind {
                kind::DATA => {
                    let length = header.length as u32;
                    self.take_in(length);
                    let bytes = frames::data(header, &self.inbox[body])?;
                    return Ok(Some(Event::Data { stream: header.stream, bytes, length, end }));
                }
                // If CONTINUATION frames follow, they are only more of what is not looked at.
                kind::HEADERS => return Ok(Some(Event::Headers { stream: header.stream, end })),
                kind::RST_STREAM => {
                    let code = frames::number(&self.inbox[body], 0)?;
                    return Ok(Some(Event::Reset { stream: header.stream, code }));
                }
                kind::GOAWAY => {
                    self.leaving = true;
                    let last = frames::number(&self.inbox[body.clone()], 0)? & MAX_31;
                    let code = frames::number(&self.inbox[body], 4)?;
                    return Ok(Some(Event::GoAway { last, code }));
                }
                kind::WINDOW_UPDATE => {
                    let by = i64::from(frames::number(&self.inbox[body], 0)? & MAX_31);
                    if header.stream != 0 {
                        return Ok(Some(Event::Window { stream: Some(header.stream), by }));
                    }
                    self.window += by;
                }
                kind::SETTINGS if !header.has(flag::ACK) => {
                    let by = self.settle(body)?;
                    if by != 0 {
                        return Ok(Some(Event::Window { stream: None, by }));
                    }
                }
                kind::PING if !header.has(flag::ACK) => {
                    frames::put(&mut self.outbox, kind::PING, flag::ACK, 0, &self.inbox[body]);
                }
                kind::PUSH_PROMISE => return Err(violation("a push that was not allowed")),
                // Acknowledgements, and what RFC 9113 says to ignore.
                _ => {}
            }
        }
    }

    /// Takes the server's settings, acknowledges them, and returns by how much the windows of streams grew.
    fn settle(&mut self, body: std::ops::Range<usize>) -> io::Result<i64> {
        let before = self.stream_window;
        for (id, value) in frames::settings(&self.inbox[body])? {
            match id {
                setting::HEADER_TABLE_SIZE if (value as usize) < hpack::TABLE_SIZE => {
                    return Err(violation("a header table size below the default: not supported"));
                }
                setting::MAX_CONCURRENT_STREAMS => self.max_streams = value as usize,
                setting::INITIAL_WINDOW_SIZE => self.stream_window = value.into(),
                _ => {}
            }
        }
        frames::put(&mut self.outbox, kind::SETTINGS, flag::ACK, 0, &[]);
        self.settled = true;
        Ok(self.stream_window - before)
    }

    fn take_in(&mut self, length: u32) {
        self.received += length;
        if self.received >= GIVE_BACK {
            frames::put_window_update(&mut self.outbox, 0, self.received);
            self.received = 0;
        }
    }

    /// Opens a stream with a block of headers that fits one frame.
    pub(super) fn put_headers(&mut self, stream: u32, block: &[u8]) {
        frames::put(&mut self.outbox, kind::HEADERS, flag::END_HEADERS, stream, block);
    }

    /// Sends data as far as the windows allow, and returns how much that was. Takes it from the stream's
    /// window. `end`: nothing follows the last byte.
    pub(super) fn put_data(
        &mut self,
        stream: u32,
        bytes: &[u8],
        window: &mut i64,
        end: bool,
    ) -> usize {
        let mut sent = 0;
        while sent < bytes.len() {
            let allowed = usize::try_from(self.window.min(*window)).unwrap_or(0);
            let length = (bytes.len() - sent).min(MAX_PAYLOAD).min(allowed);
            if length == 0 {
                break;
            }
            let piece = &bytes[sent..sent + length];
            sent += length;
            let flags = if end && sent == bytes.len() { flag::END_STREAM } else { 0 };
            frames::put(&mut self.outbox, kind::DATA, flags, stream, piece);
            let taken = i64::from(length as u32);
            self.window -= taken;
            *window -= taken;
        }
        sent
    }

    /// Says that nothing follows on a stream.
    pub(super) fn put_end(&mut self, stream: u32) {
        frames::put(&mut self.outbox, kind::DATA, flag::END_STREAM, stream, &[]);
    }

    /// Gives a stream up.
    pub(super) fn put_reset(&mut self, stream: u32) {
        frames::put_reset(&mut self.outbox, stream);
    }

    /// Opens the window of a stream by what was received on it.
    pub(super) fn give_back(&mut self, stream: u32, received: u32) {
        frames::put_window_update(&mut self.outbox, stream, received);
    }

    /// Writes what the kernel takes; whether that is all.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        while self.written < self.outbox.len() {
            match self.socket.write(&self.outbox[self.written..]) {
                Ok(length) => self.written += length,
                Err(error) if is_transient(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.outbox.clear();
        self.written = 0;
        Ok(true)
    }

    /// Whether the connection's window allows to send anything.
    pub(super) fn is_open(&self) -> bool {
        self.window > 0
    }

    /// Whether the server wants no more streams.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// How much may be sent on a new stream.
    pub(super) fn stream_window(&self) -> i64 {
        self.stream_window
    }

    /// How many streams may be open at once.
    pub(super) fn max_streams(&self) -> usize {
        self.max_streams
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn violation(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the server sent {what}"))
}
