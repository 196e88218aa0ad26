//! Threads on demand for the lab's connections, bounded and all joined.
//!
//! A job takes an idle thread or a new one; when all are busy it waits in
//! line. Stacks are small, so that a thousand waiting connections cost little.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use crate::threads;

type Job = Box<dyn FnOnce() + Send>;

const STACK: usize = 128 * 1024;

/// Jobs that wait for a thread; above that they are refused.
const LINE: usize = 8192;

pub(super) struct Pool {
    jobs: Mutex<Option<Sender<Job>>>,
    line: Receiver<Job>,
    /// Threads that wait and have not been promised a job.
    idle: Arc<AtomicUsize>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    most: usize,
}

impl Pool {
    pub(super) fn new(most: usize) -> Self {
        let (jobs, line) = bounded(LINE);
        Self {
            jobs: Mutex::new(Some(jobs)),
            line,
            idle: Arc::default(),
            threads: Mutex::default(),
            most,
        }
    }

    /// Runs `job` on a thread; `false` when the pool is stopped or the line is
    /// full: the job was dropped, which closes its connection.
    #[must_use]
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) -> bool {
        let Some(jobs) = self.jobs.lock().clone() else {
            return false;
        };
        let promised = self
            .idle
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |idle| {
                idle.checked_sub(1)
            })
            .is_ok();
        let accepted = jobs.try_send(Box::new(job)).is_ok();
        if accepted && !promised {
            self.grow();
        } else if promised && !accepted {
            self.idle.fetch_add(1, Ordering::AcqRel);
        }
        accepted
    }

    /// One thread more, if there may be one. When the system has none left,
    /// the job waits for one of those that are there.
    fn grow(&self) {
        let mut threads = self.threads.lock();
        if threads.len() >= self.most {
            return;
        }
        let (line, idle) = (self.line.clone(), Arc::clone(&self.idle));
        let started = threads::spawn("lab-party", STACK, move || {
            while let Ok(job) = line.recv() {
                job();
                idle.fetch_add(1, Ordering::AcqRel);
            }
        });
        threads.extend(started);
    }

    /// Lets the threads finish what is in line and waits for them. The jobs
    /// themselves must end soon: they watch the stop token.
    pub(super) fn stop(&self) {
        self.jobs.lock().take();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            drop(thread.join());
        }
    }

    /// Threads started so far.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.threads.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn bounded_and_joined() {
        let pool = Pool::new(3);
        let (done, results) = bounded(100);
        let (gate, opened) = bounded::<()>(0);
        for number in 0..20 {
            let (done, opened) = (done.clone(), opened.clone());
            assert!(pool.run(move || {
                let _ = opened.recv();
                done.send(number).unwrap();
            }));
        }
        assert_eq!(pool.size(), 3);
        drop(gate);
        let mut all: Vec<i32> = (0..20)
            .map(|_| results.recv_timeout(SOON).unwrap())
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
        pool.stop();
        assert!(!pool.run(move || done.send(99).unwrap()));
        assert!(results.is_empty());
    }

    #[test]
    fn a_full_line_refuses() {
        let pool = Pool::new(1);
        let (gate, opened) = bounded::<()>(0);
        let wait = || {
            let opened = opened.clone();
            move || {
                let _ = opened.recv();
            }
        };
        let accepted = (0..LINE + 10).filter(|_| pool.run(wait())).count();
        // One job may be on the thread already.
        assert!((LINE..=LINE + 1).contains(&accepted), "{accepted}");
        drop(gate);
        pool.stop();
    }

    #[test]
    fn reuses_idle_threads() {
        let pool = Pool::new(50);
        let (done, results) = bounded(1);
        for _ in 0..10 {
            let done = done.clone();
            assert!(pool.run(move || done.send(()).unwrap()));
            results.recv_timeout(SOON).unwrap();
            while pool.idle.load(Ordering::Acquire) == 0 {
                std::thread::yield_now();
            }
        }
        assert_eq!(pool.size(), 1);
        pool.stop();
    }
}
