//! CPU per visit by the way in which it ends, with everything that a contact
//! worker does: taking the peer, the visit, the record, giving the peer back.
//! The records are looked for every few milliseconds, as the writer does while
//! rows wait for their commit.
//!
//! Yardstick: a bare loop of the same system calls on the same peers with the
//! same number of threads. `strace -f` shows for one visit, in both: `socket`,
//! `connect`, `poll` and `getsockopt` for its end, `setsockopt` for no delay,
//! `sendto` for the handshake, `poll` and `recvfrom` for what is said, `poll`
//! and, unless it is the timeout, `recvfrom` for the end (neither when the
//! peer is complete), and `close`. In a run, a visit that ends while no rows
//! wait has a `futex` too, which wakes the writer.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::Duration;

use btda::analyzer::workers;
use btda::config::settings::EncryptionPolicy;
use btda::lab::wire;
use btda::model::record::Record;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::{Domain, Protocol, Socket, Type};

use super::peers::{Kind, PIECES, Peers};
use super::table::{Row, paired, per};
use super::world::{World, info_hash, loopback, settings, wait_until};
use super::{Scale, cpu};

/// Quiet time that ends a visit here; short, since only CPU is measured.
const QUIET: Duration = Duration::from_millis(20);

/// Longest wait where nobody waits.
const LONG: Duration = Duration::from_secs(60);

pub(crate) fn measure(scale: Scale) {
    for (kind, end) in [
        (Kind::Partial, "timeout"),
        (Kind::Close, "close"),
        (Kind::Complete, "completeness"),
    ] {
        let peers = Peers::start(kind, 4096);
        for (threads, load) in [(1, "1×"), (4, "4×"), (16, "16×")] {
            let round = Round::new(kind, threads, peers.port, scale);
            let rounds: Vec<(f64, f64)> = (0..scale.pick(9, 2))
                .map(|_| (round.engine(), round.bare()))
                .collect();
            let (figure, yardstick, ratio) = paired(&rounds);
            let name = format!("CPU per visit ended by {end}");
            Row::new(&name, format!("{load}: {threads} threads"))
                .figure(figure.seconds())
                .yardstick(format!("bare calls {}", yardstick.seconds()))
                .ratio(&ratio)
                .goal("≤ 1.3", ratio.median <= 1.3)
                .tell();
        }
    }
}

/// CPU per visit with encryption (768-bit key exchange, two RC4 streams)
/// against the same visit in the clear, both ended by completeness.
pub(crate) fn encrypted(scale: Scale) {
    let plain = Peers::start(Kind::Complete, 4096);
    let encrypted = Peers::start(Kind::Encrypted, 4096);
    for (threads, load) in [(1, "1×"), (4, "4×"), (16, "16×")] {
        let encrypted = Round::new(Kind::Encrypted, threads, encrypted.port, scale);
        let plain = Round::new(Kind::Complete, threads, plain.port, scale);
        let rounds: Vec<(f64, f64)> = (0..scale.pick(9, 2))
            .map(|_| (encrypted.engine(), plain.engine()))
            .collect();
        let (figure, yardstick, ratio) = paired(&rounds);
        Row::new(
            "CPU per encrypted visit",
            format!("{load}: {threads} threads"),
        )
        .figure(figure.seconds())
        .yardstick(format!("in the clear {}", yardstick.seconds()))
        .ratio(&ratio)
        .tell();
    }
}

struct Round {
    kind: Kind,
    threads: usize,
    port: u16,
    /// Visits of each thread.
    visits: usize,
}

impl Round {
    fn new(kind: Kind, threads: usize, port: u16, scale: Scale) -> Self {
        let all = match kind {
            // So many that one thread does not measure chance.
            Kind::Partial => (scale.pick(25, 5) * threads).max(scale.pick(80, 5)),
            _ => scale.pick(2_000, 20 * threads),
        };
        Self {
            kind,
            threads,
            port,
            visits: all / threads,
        }
    }

    fn quiet(&self) -> Duration {
        if self.kind == Kind::Partial {
            QUIET
        } else {
            LONG
        }
    }

    /// CPU seconds per visit of the contact workers.
    fn engine(&self) -> f64 {
        let mut settings = settings();
        settings.visit.quiet_timeout = self.quiet();
        settings.visit.encryption = if self.kind == Kind::Encrypted {
            EncryptionPolicy::Encrypted
        } else {
            EncryptionPolicy::Plain
        };
        settings.policy.revisit_delay = LONG;
        let world = World::new(PIECES, settings);
        let all = self.visits * self.threads;
        world.offer(all, self.port);
        let workers = measured(self.threads, |_| {
            let engine = Arc::clone(&world.engine);
            move || workers::run(&engine)
        });
        let (mut taken, mut failures) = (0, 0);
        let over = wait_until(LONG, || {
            for record in world.records.try_iter() {
                taken += 1;
                failures += usize::from(!matches!(record, Record::Visit(_)));
            }
            taken >= all
        });
        assert!(over, "visits go on");
        // Where the machine is busy, a peer may be late.
        assert!(failures <= all / 20, "{failures} of {all} visits failed");
        world.stop();
        per(sum(workers), all)
    }

    /// The same for the bare calls.
    fn bare(&self) -> f64 {
        let workers = measured(self.threads, |thread| {
            let first = thread * self.visits;
            let (visits, port, quiet) = (self.visits, self.port, self.quiet());
            let complete = self.kind == Kind::Complete;
            let hash = info_hash();
            let name = b"-BN0001-barebarebare";
            let ours = wire::handshake(wire::NO_EXTENSIONS, hash.as_bytes(), name);
            move || {
                for number in first..first + visits {
                    let address = SocketAddr::new(loopback(number).into(), port);
                    bare_visit(address, &ours, quiet, complete).expect("peers answer");
                }
            }
        });
        per(sum(workers), self.visits * self.threads)
    }
}

fn bare_visit(address: SocketAddr, ours: &[u8], quiet: Duration, complete: bool) -> io::Result<()> {
    let mut buffer = [0; 2048];
    let kind = Type::STREAM.nonblocking();
    let socket = Socket::new(Domain::IPV4, kind, Some(Protocol::TCP))?;
    // Under way is an error here; how it went is asked below.
    let _ = socket.connect(&address.into());
    wait(&socket, PollFlags::OUT, quiet)?;
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    socket.set_tcp_nodelay(true)?;
    send(&socket, ours, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
    while wait(&socket, PollFlags::IN, quiet)? {
        let (read, _) = recv(&socket, &mut buffer, RecvFlags::DONTWAIT)?;
        if read == 0 || complete {
            break;
        }
    }
    Ok(())
}

fn wait(socket: &Socket, flags: PollFlags, wait: Duration) -> io::Result<bool> {
    let wait = Timespec::try_from(wait).expect("a short time");
    Ok(poll(&mut [PollFd::new(socket, flags)], Some(&wait))? > 0)
}

/// Starts threads at one moment; each gives the CPU time of its body.
pub(super) fn measured<B: FnOnce() + Send + 'static>(
    threads: usize,
    body: impl Fn(usize) -> B,
) -> Vec<JoinHandle<Duration>> {
    let start = Arc::new(Barrier::new(threads));
    (0..threads)
        .map(|thread| {
            let (body, start) = (body(thread), Arc::clone(&start));
            std::thread::spawn(move || {
                start.wait();
                let before = cpu::of_this_thread();
                body();
                cpu::of_this_thread().saturating_sub(before)
            })
        })
        .collect()
}

pub(super) fn sum(threads: Vec<JoinHandle<Duration>>) -> Duration {
    let times = threads.into_iter().map(|it| it.join().expect("no panic"));
    times.sum()
}
