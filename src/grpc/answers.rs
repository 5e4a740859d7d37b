//! The answers of `StreamAuthorize`.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Status, Streaming};
use tracing::Instrument;

use super::authorization::{Asker, AuthorizationServer, CONCURRENT, Item};
use super::convert::RequestView;
use super::health::Readiness;
use super::status;

type Outcome = Result<Item, Status>;

/// Answers the questions of a stream in their order: most at once, the others each in a task of its own.
/// Nobody polls a body whose client does not read it.
pub(super) struct Answers {
    questions: Streaming<Bytes>,
    server: AuthorizationServer,
    asker: Arc<Asker>,
    readiness: watch::Receiver<Readiness>,
    drained: BoxFuture<'static, ()>,
    pending: VecDeque<Pending>,
    end: End,
}

/// How far a stream is from its end.
enum End {
    /// Questions are taken.
    NotYet,
    /// No more are, and this is the last word.
    Last(Status),
    /// Everything is said.
    Over,
}

enum Pending {
    Answered(Outcome),
    Task(AbortOnDropHandle<Outcome>),
}

impl Answers {
    /// What this server answers to these questions, until it is shut down.
    pub(super) fn new(
        questions: Streaming<Bytes>,
        server: AuthorizationServer,
        asker: Asker,
        readiness: watch::Receiver<Readiness>,
    ) -> Self {
        let mut watched = readiness.clone();
        let drained = async move {
            // Without a sender there is no server any more.
            let _ = watched.wait_for(|now| *now == Readiness::Draining).await;
        };
        Self {
            questions,
            server,
            asker: Arc::new(asker),
            readiness,
            drained: drained.boxed(),
            pending: VecDeque::new(),
            end: End::NotYet,
        }
    }

    /// The next question; `None` when there are no more.
    fn poll_question(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        // A client that never stops sending must hear it, too.
        if *self.readiness.borrow() == Readiness::Draining {
            return Poll::Ready(Some(Err(status::draining())));
        }
        if let Poll::Ready(question) = self.questions.poll_next_unpin(context) {
            return Poll::Ready(question);
        }
        ready!(self.drained.poll_unpin(context));
        Poll::Ready(Some(Err(status::draining())))
    }

    /// Takes the questions that have come, as many as may be under way.
    fn take_questions(&mut self, context: &mut Context<'_>) -> Vec<Bytes> {
        let mut questions = Vec::new();
        while matches!(self.end, End::NotYet) && self.pending.len() + questions.len() < CONCURRENT {
            match self.poll_question(context) {
                Poll::Ready(Some(Ok(question))) => questions.push(question),
                Poll::Ready(Some(Err(last))) => self.end = End::Last(last),
                Poll::Ready(None) => self.end = End::Over,
                Poll::Pending => break,
            }
        }
        questions
    }

    /// Answers questions that came together: each at once if all that it takes is remembered.
    fn begin(&mut self, questions: &[Bytes]) {
        let at = self.server.moment();
        let caller = self.server.recognize(&self.asker, at);
        let plain: Vec<_> =
            questions.iter().map(|question| RequestView::read_streamed(question)).collect();
        let views: Vec<_> = plain.iter().copied().flatten().collect();
        let recalled = caller.as_ref().map(|caller| self.server.recall_all(caller, &views, at));
        let mut recalled = recalled.unwrap_or_default().into_iter();
        for (question, view) in questions.iter().zip(&plain) {
            let recalled = view.and_then(|_| recalled.next().flatten());
            self.pending.push_back(match (recalled, &caller) {
                (Some(recalled), Some(caller)) => {
                    Pending::Answered(Ok(self.server.conclude_one(caller, recalled, at.now)))
                }
                _ => self.look_up(question.clone()),
            });
        }
    }

    fn look_up(&self, question: Bytes) -> Pending {
        let (server, asker) = (self.server.clone(), Arc::clone(&self.asker));
        let answer = async move { server.streamed(&asker, &question).await };
        Pending::Task(AbortOnDropHandle::new(tokio::spawn(answer.in_current_span())))
    }

    /// The answer that is due next, if one is.
    fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<Option<Outcome>> {
        if let Some(Pending::Task(task)) = self.pending.front_mut() {
            let ended = ready!(task.poll_unpin(context));
            self.pending.pop_front();
            return Poll::Ready(Some(ended.unwrap_or_else(|_panic| Err(status::internal()))));
        }
        let due = self.pending.pop_front().map(|pending| match pending {
            Pending::Answered(answer) => answer,
            Pending::Task(_) => Err(status::internal()),
        });
        Poll::Ready(due)
    }
}

impl Stream for Answers {
    type Item = Outcome;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Outcome>> {
        let this = self.get_mut();
        if !matches!(this.pending.front(), Some(Pending::Answered(_))) {
            let questions = this.take_questions(context);
            if !questions.is_empty() {
                this.begin(&questions);
            }
        }
        match ready!(this.poll_due(context)) {
            Some(Ok(answer)) => Poll::Ready(Some(Ok(answer))),
            // Nothing follows an error.
            Some(Err(error)) => {
                this.pending.clear();
                this.end = End::Over;
                Poll::Ready(Some(Err(error)))
            }
            None => match std::mem::replace(&mut this.end, End::Over) {
                End::NotYet => {
                    this.end = End::NotYet;
                    Poll::Pending
                }
                End::Last(last) => Poll::Ready(Some(Err(last))),
                End::Over => Poll::Ready(None),
            },
        }
    }
}
