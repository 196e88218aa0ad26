//! What a thread or a process has used: CPU time and memory.

use std::path::PathBuf;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time of the calling thread so far.
pub(crate) fn of_this_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// Whether a thread of this process is called `name`.
pub(crate) fn runs(name: &str) -> bool {
    thread(name).is_some()
}

/// CPU time of the thread of this process that is called `name`.
pub(crate) fn of_thread(name: &str) -> Duration {
    let path = thread(name).expect("the thread runs");
    let text = std::fs::read_to_string(path.join("schedstat")).expect("the thread runs");
    let nanoseconds = text.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(nanoseconds.expect("schedstat begins with a number"))
}

/// CPU time of a process so far, its ended threads included; in steps of 10 ms.
pub(crate) fn of_process(process: &str) -> Duration {
    let path = format!("/proc/{process}/stat");
    let text = std::fs::read_to_string(path).expect("the process runs");
    // The name may have spaces, and ends with the last bracket.
    let (_, behind) = text.rsplit_once(')').expect("a name");
    let fields = behind.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.map(|it| it.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}

/// CPU time so far of all its threads but those of the page.
pub(crate) fn of_others(process: &str) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("the process runs");
    let time = |path: PathBuf| {
        // A thread may end meanwhile.
        let name = std::fs::read_to_string(path.join("comm")).ok()?;
        let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
        let nanoseconds = text.split(' ').next()?.parse().ok()?;
        (!name.starts_with("web")).then(|| Duration::from_nanos(nanoseconds))
    };
    tasks.flatten().filter_map(|task| time(task.path())).sum()
}

fn thread(name: &str) -> Option<PathBuf> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc is there");
    let mut tasks = tasks.flatten().map(|task| task.path());
    tasks.find(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|it| it.trim() == name))
}

/// Resident memory of a process in bytes; `self` for this one.
pub(crate) fn resident(process: &str) -> f64 {
    status(process, "VmRSS") * 1024.0
}

/// Threads of a process.
pub(crate) fn threads(process: &str) -> f64 {
    status(process, "Threads")
}

fn status(process: &str, field: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).expect("process runs");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .expect("field is there");
    let number = line.trim_start_matches(':').split_whitespace().next();
    number
        .and_then(|number| number.parse().ok())
        .expect("a number")
}
