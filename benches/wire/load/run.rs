//! The event loop of a run.

use std::io;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use super::call::Calls;
use super::connection::{Connection, Event};
use super::exchange::Exchange;
use super::hpack::Blocks;
use super::outcome::Outcome;
use super::plan::Plan;
use super::progress::Progress;

/// How long to sleep at most where nothing comes, so that the run ends nearly in time.
const NAP: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
const NO_NAP: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// What one connection does.
pub(super) trait Work {
    /// Puts into the outbox all that may be sent now; false if this connection is of no more use.
    fn begin(&mut self, connection: &mut Connection, progress: &mut Progress<'_>) -> bool;

    /// Takes what came.
    fn take(&mut self, event: &Event<'_>, progress: &mut Progress<'_>);

    /// Gives up all that has not ended.
    fn abandon(&mut self, progress: &mut Progress<'_>, why: &str);

    /// Whether all that was begun has ended.
    fn is_done(&self) -> bool;
}

/// Makes unary calls as planned.
///
/// # Errors
/// If the plan cannot be carried out, or a connection not be opened. What happens later is counted.
pub fn unary(plan: &Plan) -> io::Result<Outcome> {
    let blocks = Blocks::new(&plan.fields())?;
    run(plan, || Calls::new(&blocks, plan.in_flight))
}

/// Sends messages on one bidirectional stream per connection as planned, so many per DATA frame (if they fit
/// one), and expects one answer for each, in their order.
///
/// # Errors
/// If the plan cannot be carried out, or a connection not be opened. What happens later is counted.
pub fn stream(plan: &Plan, messages_per_frame: usize) -> io::Result<Outcome> {
    if messages_per_frame == 0 || messages_per_frame > plan.in_flight {
        let why = "there must be 1 to `in_flight` messages per frame";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let blocks = Blocks::new(&plan.fields())?;
    run(plan, || Exchange::new(&blocks, messages_per_frame))
}

/// A connection and what it does.
struct Link<W> {
    connection: Connection,
    work: W,
    /// Whether the kernel took all that was to be written.
    flushed: bool,
    lost: bool,
}

impl<W: Work> Link<W> {
    /// Reads, and then writes what that allows.
    fn turn(&mut self, progress: &mut Progress<'_>) -> io::Result<()> {
        self.connection.receive()?;
        progress.look_at_clock();
        while let Some(event) = self.connection.next()? {
            match event {
                Event::Reset { .. } => progress.outcome.resets += 1,
                Event::GoAway { .. } => progress.outcome.goaways += 1,
                _ => {}
            }
            self.work.take(&event, progress);
        }
        self.push(progress)
    }

    fn push(&mut self, progress: &mut Progress<'_>) -> io::Result<()> {
        progress.look_at_clock();
        let useful = self.work.begin(&mut self.connection, progress);
        self.flushed = self.connection.flush()?;
        if useful || progress.is_draining() {
            return Ok(());
        }
        Err(io::Error::other("the connection takes no more requests"))
    }
}

fn run<W: Work>(plan: &Plan, work: impl Fn() -> W) -> io::Result<Outcome> {
    plan.validate()?;
    let mut links = Vec::with_capacity(plan.connections);
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for number in 0..plan.connections {
        let connection = Connection::open(plan.address)?;
        epoll::add(
            &epoll,
            &connection,
            epoll::EventData::new_u64(number as u64),
            epoll::EventFlags::IN,
        )?;
        links.push(Link { connection, work: work(), flushed: true, lost: false });
    }

    let mut progress = Progress::new(plan);
    progress.start()?;
    let nap = if plan.spin { NO_NAP } else { NAP };
    let mut events: Vec<epoll::Event> = Vec::with_capacity(plan.connections);
    let mut stopped = false;
    let mut ready: Vec<usize> = (0..links.len()).collect();
    loop {
        for number in ready.drain(..) {
            let link = &mut links[number];
            let flushed = link.flushed;
            let result = if link.lost { Ok(()) } else { link.turn(&mut progress) };
            if let Err(error) = result {
                epoll::delete(&epoll, &link.connection)?;
                link.lost = true;
                // Once the work is done, the server may hang up.
                if !(progress.is_draining() && link.work.is_done()) {
                    progress.outcome.lost_connections += 1;
                    link.work.abandon(&mut progress, &error.to_string());
                }
            } else if link.flushed != flushed {
                let out =
                    if link.flushed { epoll::EventFlags::empty() } else { epoll::EventFlags::OUT };
                let data = epoll::EventData::new_u64(number as u64);
                epoll::modify(&epoll, &link.connection, data, epoll::EventFlags::IN | out)?;
            }
        }
        progress.advance()?;
        if links.iter().all(|link| link.lost) {
            progress.stop()?;
        }
        if progress.is_draining() {
            if !stopped {
                // Every connection has to hear of it, even those that are silent.
                stopped = true;
                ready.extend(0..links.len());
                continue;
            }
            if progress.is_overdue() || links.iter().all(|link| link.lost || link.work.is_done()) {
                break;
            }
        }
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), Some(&nap)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ready.extend(events.iter().map(|event| event.data.u64() as usize));
        progress.look_at_clock();
        progress.advance()?;
    }
    for link in links.iter_mut().filter(|link| !link.lost) {
        link.work.abandon(&mut progress, "no answer in time");
    }
    Ok(progress.outcome)
}
