//! What all connections of a run share: the clock, the phase, the bodies and the counts.

use std::io;
use std::time::{Duration, Instant};

use super::bodies::Bodies;
use super::cpu::{cpu_time_of, cpu_time_of_thread};
use super::outcome::Outcome;
use super::plan::{Length, Plan};

/// How long answers are waited for after the last request, and how long none may come before.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many bytes of a wrong answer are shown.
const SHOWN: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measured,
    /// No more requests; answers are still checked.
    Draining,
}

/// What all connections of a run share.
pub(super) struct Progress<'p> {
    pub(super) plan: &'p Plan,
    pub(super) bodies: Bodies,
    pub(super) outcome: Outcome,
    origin: Instant,
    /// When the clock was last looked at.
    now: Duration,
    phase: Phase,
    /// When the phase began.
    since: Duration,
    /// When the last request ended.
    last_end: Duration,
    /// CPU times of loader and observed process at the begin of the measured time.
    cpu_before: (Duration, Option<Duration>),
    under_way: u64,
    /// Requests that ended in the measured time, well or not.
    ended: u64,
}

impl<'p> Progress<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        Self {
            plan,
            bodies: Bodies::new(plan),
            outcome: Outcome::default(),
            origin: Instant::now(),
            now: Duration::ZERO,
            phase: Phase::WarmUp,
            since: Duration::ZERO,
            last_end: Duration::ZERO,
            cpu_before: (Duration::ZERO, None),
            under_way: 0,
            ended: 0,
        }
    }

    /// Starts the clock.
    pub(super) fn start(&mut self) -> io::Result<()> {
        self.origin = Instant::now();
        self.advance()
    }

    pub(super) fn look_at_clock(&mut self) {
        self.now = self.origin.elapsed();
    }

    /// When the clock was last looked at, since the start.
    pub(super) fn now(&self) -> Duration {
        self.now
    }

    /// Goes on to the next phase if its time has come.
    pub(super) fn advance(&mut self) -> io::Result<()> {
        if self.phase == Phase::WarmUp && self.now >= self.plan.warm_up {
            self.enter(Phase::Measured);
            self.cpu_before = self.cpu_times()?;
        }
        let stuck = self.now > self.last_end.max(self.since) + PATIENCE;
        match (self.phase, self.plan.length) {
            (Phase::Draining, _) => return Ok(()),
            _ if stuck => self.fault(|| format!("no request ended for {PATIENCE:?}")),
            (Phase::Measured, Length::For(time)) if self.now >= self.since + time => {}
            (Phase::Measured, Length::Requests(count)) if self.ended >= count => {}
            _ => return Ok(()),
        }
        self.stop()
    }

    /// Ends the measured time, and lets no more requests begin.
    pub(super) fn stop(&mut self) -> io::Result<()> {
        if self.phase == Phase::Measured {
            let (loader, observed) = self.cpu_times()?;
            let (loader_before, observed_before) = self.cpu_before;
            self.outcome.elapsed = self.now.saturating_sub(self.since);
            self.outcome.loader_cpu = loader.saturating_sub(loader_before);
            self.outcome.observed_cpu =
                observed.zip(observed_before).map(|(after, before)| after.saturating_sub(before));
        }
        self.enter(Phase::Draining);
        Ok(())
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = self.now;
    }

    fn cpu_times(&self) -> io::Result<(Duration, Option<Duration>)> {
        Ok((cpu_time_of_thread(), self.plan.observe.map(cpu_time_of).transpose()?))
    }

    /// Whether no more requests begin.
    pub(super) fn is_draining(&self) -> bool {
        self.phase == Phase::Draining
    }

    /// Whether answers have been waited for long enough.
    pub(super) fn is_overdue(&self) -> bool {
        self.is_draining() && self.now > self.since + PATIENCE
    }

    /// How many requests may begin now.
    pub(super) fn room(&self) -> u64 {
        match (self.phase, self.plan.length) {
            (Phase::Draining, _) => 0,
            (Phase::Measured, Length::Requests(count)) => {
                count.saturating_sub(self.ended + self.under_way)
            }
            _ => u64::MAX,
        }
    }

    /// A request has begun.
    pub(super) fn began(&mut self) {
        self.under_way += 1;
        self.outcome.most_under_way = self.outcome.most_under_way.max(self.under_way);
    }

    /// A request that began then has ended with a good answer.
    pub(super) fn good(&mut self, begun: Duration) {
        self.end();
        if self.phase == Phase::Measured {
            self.outcome.answered += 1;
            self.outcome.latency.record(self.now.saturating_sub(begun).as_nanos() as u64);
        }
    }

    /// Whether the answer to a body is good. If not, that is still to be counted.
    pub(super) fn check(&mut self, body: usize, message: Option<&[u8]>) -> bool {
        if message.is_some_and(|message| (self.plan.check)(body, message)) {
            return true;
        }
        self.outcome.first_wrong.get_or_insert_with(|| match message {
            None => format!("the answer to body {body} is compressed"),
            Some(message) => {
                let shown = &message[..message.len().min(SHOWN)];
                let length = message.len();
                format!("the answer to body {body} failed the check: {length} bytes, {shown:02x?}")
            }
        });
        false
    }

    /// A request has ended otherwise.
    pub(super) fn wrong(&mut self, why: impl FnOnce() -> String) {
        self.end();
        self.fault(why);
    }

    /// Something is wrong that is not the end of a request.
    pub(super) fn fault(&mut self, why: impl FnOnce() -> String) {
        self.outcome.wrong += 1;
        self.outcome.first_wrong.get_or_insert_with(why);
    }

    fn end(&mut self) {
        self.under_way -= 1;
        self.last_end = self.now;
        if self.phase == Phase::Measured {
            self.ended += 1;
        }
    }
}
