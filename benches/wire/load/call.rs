//! Unary calls on one connection.

use std::time::Duration;

use super::connection::{Connection, Event};
use super::frames::MAX_31;
use super::hpack::Blocks;
use super::messages::Messages;
use super::progress::Progress;
use super::run::Work;

/// A call under way.
#[derive(Default)]
struct Call {
    /// Its stream, or 0: no call.
    stream: u32,
    body: usize,
    begun: Duration,
    /// Messages that came, and how many of them passed the check.
    came: u32,
    passed: u32,
    answer: Messages,
}

/// A call whose body the server has not allowed to be sent wholly. No other begins before.
struct Stalled {
    stream: u32,
    body: usize,
    sent: usize,
    window: i64,
}

/// The calls of one connection.
pub(super) struct Calls<'b> {
    blocks: &'b Blocks,
    /// Where calls stand: that of a stream at half its identifier, modulo the length, which is a power of two.
    places: Vec<Call>,
    next_stream: u32,
    open: usize,
    stalled: Option<Stalled>,
    /// A stream that ended before its body was sent.
    unwanted: Option<u32>,
}

impl<'b> Calls<'b> {
    pub(super) fn new(blocks: &'b Blocks, in_flight: usize) -> Self {
        // Twice the room, so that the place of a call that takes long is seldom in the way of a new one.
        let places =
            std::iter::repeat_with(Call::default).take((2 * in_flight).next_power_of_two());
        Self {
            blocks,
            places: places.collect(),
            next_stream: 1,
            open: 0,
            stalled: None,
            unwanted: None,
        }
    }

    fn place(&self, stream: u32) -> usize {
        (stream / 2) as usize & (self.places.len() - 1)
    }

    /// The call of a stream, unless it has ended.
    fn find(&mut self, stream: u32) -> Option<&mut Call> {
        let place = self.place(stream);
        Some(&mut self.places[place]).filter(|call| call.stream == stream && stream != 0)
    }

    /// Begins a call; false if there are no identifiers left.
    fn begin_one(&mut self, connection: &mut Connection, progress: &mut Progress<'_>) -> bool {
        // Identifiers may be left out.
        while self.places[self.place(self.next_stream)].stream != 0 {
            self.next_stream += 2;
        }
        let stream = self.next_stream;
        if stream > MAX_31 {
            return false;
        }
        self.next_stream += 2;
        let place = self.place(stream);
        let body = progress.bodies.next();
        let call = &mut self.places[place];
        (call.stream, call.body, call.begun, call.came, call.passed) =
            (stream, body, progress.now(), 0, 0);
        self.open += 1;
        progress.began();

        let block = if stream == 1 { &self.blocks.first } else { &self.blocks.later };
        connection.put_headers(stream, block);
        let mut window = connection.stream_window();
        let bytes = progress.bodies.get(body);
        let sent = connection.put_data(stream, bytes, &mut window, true);
        if sent < bytes.len() {
            self.stalled = Some(Stalled { stream, body, sent, window });
        }
        true
    }

    /// Sends more of the body that was not sent wholly.
    fn resume(&mut self, connection: &mut Connection, progress: &Progress<'_>) {
        if let Some(stream) = self.unwanted.take() {
            connection.put_reset(stream);
        }
        if let Some(stalled) = &mut self.stalled {
            let rest = &progress.bodies.get(stalled.body)[stalled.sent..];
            let sent = connection.put_data(stalled.stream, rest, &mut stalled.window, true);
            stalled.sent += sent;
            if sent == rest.len() {
                self.stalled = None;
            }
        }
    }

    fn end(&mut self, stream: u32, progress: &mut Progress<'_>, fault: Option<String>) {
        let Some(call) = self.find(stream) else { return };
        call.stream = 0;
        let complete = call.answer.is_empty();
        call.answer.clear();
        match (fault, call.came, call.passed) {
            (None, 1, 1) if complete => progress.good(call.begun),
            (Some(fault), ..) => progress.wrong(|| fault),
            (None, 0, _) => progress.wrong(|| "trailers without a message: an error".to_owned()),
            (None, 1, 0) => progress.wrong(|| "a message that failed the check".to_owned()),
            (None, ..) => progress.wrong(|| "not exactly one message".to_owned()),
        }
        self.open -= 1;
        if self.stalled.take_if(|stalled| stalled.stream == stream).is_some() {
            self.unwanted = Some(stream);
        }
    }

    fn end_all(&mut self, after: u32, progress: &mut Progress<'_>, why: &str) {
        for place in 0..self.places.len() {
            let stream = self.places[place].stream;
            if stream > after {
                self.end(stream, progress, Some(why.to_owned()));
            }
        }
    }
}

impl Work for Calls<'_> {
    fn begin(&mut self, connection: &mut Connection, progress: &mut Progress<'_>) -> bool {
        self.resume(connection, progress);
        if connection.is_leaving() {
            return self.open > 0;
        }
        let limit = progress.plan.in_flight.min(connection.max_streams());
        while self.open < limit
            && self.stalled.is_none()
            && connection.is_open()
            && progress.room() > 0
        {
            if !self.begin_one(connection, progress) {
                return self.open > 0;
            }
        }
        true
    }

    fn take(&mut self, event: &Event<'_>, progress: &mut Progress<'_>) {
        match *event {
            Event::Data { stream, bytes, end, .. } => {
                let Some(call) = self.find(stream) else { return };
                let Call { body, came, passed, answer, .. } = call;
                answer.feed(bytes, |message| {
                    *came += 1;
                    *passed += u32::from(progress.check(*body, message));
                });
                if end {
                    self.end(stream, progress, Some("no trailers".to_owned()));
                }
            }
            Event::Headers { stream, end: true } => self.end(stream, progress, None),
            Event::Headers { .. } => {}
            Event::Reset { stream, code } => {
                self.end(stream, progress, Some(format!("RST_STREAM with error code {code}")));
                // It is closed on both sides already.
                self.unwanted.take_if(|unwanted| *unwanted == stream);
            }
            Event::GoAway { last, code } => {
                self.end_all(last, progress, &format!("GOAWAY with error code {code}"));
                self.unwanted = None;
            }
            Event::Window { stream, by } => {
                let of =
                    |stalled: &&mut Stalled| stream.is_none_or(|stream| stream == stalled.stream);
                if let Some(stalled) = self.stalled.as_mut().filter(of) {
                    stalled.window += by;
                }
            }
        }
    }

    fn abandon(&mut self, progress: &mut Progress<'_>, why: &str) {
        self.end_all(0, progress, why);
    }

    fn is_done(&self) -> bool {
        self.open == 0
    }
}
