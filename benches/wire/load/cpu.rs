//! CPUs: which one a thread runs on, and how much of them a process used.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// The unit of `/proc/<pid>/stat`: Linux has `USER_HZ` = 100 on every common architecture.
const CLOCK_TICK: Duration = Duration::from_millis(10);

/// Lets the calling thread run on this core alone, the first being 0.
///
/// Threads and processes that it starts afterwards inherit it. To put a server on another core: pin to
/// that core, start the server, pin to one's own.
pub fn pin_to(core: usize) -> io::Result<()> {
    if core >= CpuSet::MAX_CPU {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no such core"));
    }
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// The CPU time of all threads that a process has, in user mode and in the kernel, in nanoseconds.
///
/// Take the difference of two: a thread that ends takes its share along. The kernel brings that of a thread which
/// runs just now up to date at each tick, a few milliseconds apart. Where the kernel keeps no scheduler
/// statistics, only to 10 ms.
pub fn cpu_time_of(pid: u32) -> io::Result<Duration> {
    let process = Path::new("/proc").join(pid.to_string());
    let mut total = Duration::ZERO;
    for task in fs::read_dir(process.join("task"))? {
        match fs::read_to_string(task?.path().join("schedstat")) {
            Ok(statistics) => total += first_number(&statistics)?,
            // It ended since the folder was read, or there is no such file at all.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    if total.is_zero() { ticks(&fs::read_to_string(process.join("stat"))?) } else { Ok(total) }
}

/// The CPU time of the calling thread.
pub(super) fn cpu_time_of_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec.cast_unsigned() as u32)
}

fn first_number(schedstat: &str) -> io::Result<Duration> {
    let number = schedstat.split_whitespace().next().and_then(|number| number.parse().ok());
    number.map(Duration::from_nanos).ok_or_else(|| io::Error::other("schedstat cannot be read"))
}

fn ticks(stat: &str) -> io::Result<Duration> {
    // The second field is the program's name in brackets, and may itself hold blanks and brackets.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut times = after_name.split_whitespace().skip(11).map_while(|field| field.parse().ok());
    let (user, system): (Option<u32>, Option<u32>) = (times.next(), times.next());
    user.zip(system)
        .map(|(user, system)| CLOCK_TICK * (user + system))
        .ok_or_else(|| io::Error::other("stat cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ticks_after_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 1 0 100 1 1";
        assert_eq!(ticks(stat).unwrap(), Duration::from_secs(3));
        assert!(ticks("").is_err());
    }

    #[test]
    fn a_busy_process_uses_time() {
        let before = cpu_time_of(std::process::id()).unwrap();
        let thread_before = cpu_time_of_thread();
        while cpu_time_of_thread() < thread_before + Duration::from_millis(20) {}
        // The scheduler's statistics of a running thread may lag by a tick.
        assert!(cpu_time_of(std::process::id()).unwrap() > before + Duration::from_millis(5));
    }

    #[test]
    fn no_process_is_an_error() {
        assert!(cpu_time_of(u32::MAX).is_err());
    }
}
