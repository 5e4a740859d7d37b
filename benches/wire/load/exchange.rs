//! One bidirectional stream on a connection.

use std::collections::VecDeque;
use std::time::Duration;

use super::connection::{Connection, Event, GIVE_BACK};
use super::hpack::Blocks;
use super::messages::Messages;
use super::progress::Progress;
use super::run::Work;

/// The only stream of the connection.
const STREAM: u32 = 1;

/// A message that has not been answered.
struct Question {
    body: usize,
    begun: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Headers are still to be sent.
    New,
    /// Questions may be sent.
    Open,
    /// All have been sent; answers and trailers may come.
    HalfClosed,
    /// Nothing comes any more.
    Ended,
}

/// A stream of questions, answered in their order.
pub(super) struct Exchange<'b> {
    blocks: &'b Blocks,
    messages_per_frame: usize,
    state: State,
    questions: VecDeque<Question>,
    /// Questions that the server has not yet allowed to be sent wholly, and how much of them was sent.
    batch: Vec<u8>,
    sent: usize,
    /// How much may be sent on the stream.
    window: i64,
    /// Data received since the stream's window was last opened again.
    received: u32,
    answers: Messages,
}

impl<'b> Exchange<'b> {
    pub(super) fn new(blocks: &'b Blocks, messages_per_frame: usize) -> Self {
        Self {
            blocks,
            messages_per_frame,
            state: State::New,
            questions: VecDeque::new(),
            batch: Vec::new(),
            sent: 0,
            window: 0,
            received: 0,
            answers: Messages::default(),
        }
    }

    /// Sends the batch as far as the windows allow; whether that is all of it.
    fn send(&mut self, connection: &mut Connection) -> bool {
        let rest = &self.batch[self.sent..];
        self.sent += connection.put_data(STREAM, rest, &mut self.window, false);
        self.sent == self.batch.len()
    }

    /// Puts the next questions into the batch; false if it is not the time for any.
    fn fill(&mut self, progress: &mut Progress<'_>) -> bool {
        let room = progress.room();
        let free = progress.plan.in_flight - self.questions.len();
        // Frames of fewer messages than told only where the run ends.
        let count = self.messages_per_frame.min(usize::try_from(room).unwrap_or(usize::MAX));
        if count == 0 || count > free {
            return false;
        }
        self.batch.clear();
        self.sent = 0;
        for _ in 0..count {
            let body = progress.bodies.next();
            self.batch.extend_from_slice(progress.bodies.get(body));
            self.questions.push_back(Question { body, begun: progress.now() });
            progress.began();
        }
        true
    }

    /// Trailers came.
    fn end(&mut self, progress: &mut Progress<'_>) {
        if self.state == State::HalfClosed && self.questions.is_empty() && self.answers.is_empty() {
            self.state = State::Ended;
        } else {
            self.fail(progress, "trailers before the stream was half-closed and all was answered");
        }
    }

    /// The stream ended in another way. That is wrong even if all was answered.
    fn fail(&mut self, progress: &mut Progress<'_>, why: &str) {
        if self.is_done() {
            return;
        }
        self.state = State::Ended;
        if self.questions.is_empty() {
            progress.fault(|| why.to_owned());
        }
        for _ in self.questions.drain(..) {
            progress.wrong(|| why.to_owned());
        }
    }

    fn take_data(&mut self, bytes: &[u8], progress: &mut Progress<'_>) {
        let Self { answers, questions, .. } = self;
        answers.feed(bytes, |message| {
            let Some(question) = questions.pop_front() else {
                progress.fault(|| "an answer without a question".to_owned());
                return;
            };
            if progress.check(question.body, message) {
                progress.good(question.begun);
            } else {
                progress.wrong(|| "a message that failed the check".to_owned());
            }
        });
    }
}

impl Work for Exchange<'_> {
    fn begin(&mut self, connection: &mut Connection, progress: &mut Progress<'_>) -> bool {
        if self.state == State::New && !progress.is_draining() {
            connection.put_headers(STREAM, &self.blocks.first);
            self.window = connection.stream_window();
            self.state = State::Open;
        }
        if self.received >= GIVE_BACK && self.state != State::Ended {
            connection.give_back(STREAM, self.received);
            self.received = 0;
        }
        if self.state == State::Open {
            while self.send(connection) && self.fill(progress) {}
            if progress.is_draining() && self.sent == self.batch.len() {
                connection.put_end(STREAM);
                self.state = State::HalfClosed;
            }
        }
        self.state != State::Ended
    }

    fn take(&mut self, event: &Event<'_>, progress: &mut Progress<'_>) {
        match *event {
            Event::Data { stream: STREAM, bytes, length, end } => {
                self.received += length;
                self.take_data(bytes, progress);
                if end {
                    self.fail(progress, "no trailers");
                }
            }
            Event::Headers { stream: STREAM, end: true } => self.end(progress),
            Event::Reset { stream: STREAM, code } => {
                self.fail(progress, &format!("RST_STREAM with error code {code}"));
            }
            // Where the server is to answer the stream yet, it does; if it hangs up, we see it.
            Event::GoAway { last, code } if last < STREAM => {
                self.fail(progress, &format!("GOAWAY with error code {code}"));
            }
            Event::Window { stream: Some(STREAM) | None, by } => self.window += by,
            _ => {}
        }
    }

    fn abandon(&mut self, progress: &mut Progress<'_>, why: &str) {
        self.fail(progress, why);
    }

    fn is_done(&self) -> bool {
        self.state == State::Ended || self.state == State::New
    }
}
