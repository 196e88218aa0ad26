//! uTP: CPU of a visit against the same visit over TCP, and thousands of
//! callers over uTP at once.
//!
//! Both ends of uTP are in this process; what the far end uses does not count
//! as CPU, but does as memory.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use btda::analyzer::listener::Listener;
use btda::clock::{Clock, SystemClock};
use btda::lab::wire;
use btda::net::tcp::ListenSocket;
use btda::net::utp::{UtpConnector, UtpSocket};
use btda::net::{Connect, Stream};
use btda::protocol::utp::endpoint::Limits;

use super::peers::{Kind, PIECES, Peers, bitfield};
use super::table::{Row, paired, per, short};
use super::visit::{measured, sum};
use super::world::{World, info_hash, settings, torrent, wait_until};
use super::{Scale, cpu};

const LONG: Duration = Duration::from_secs(60);

const LIMITS: Limits = Limits {
    callers: 20_000,
    backlog: 20_000,
    total: 60_000,
};

/// Name of the thread whose CPU time counts.
const NEAR: &str = "utp-near";

/// A socket and its thread.
fn socket(name: &str) -> (Arc<UtpSocket>, std::thread::JoinHandle<()>) {
    let clock = Arc::new(SystemClock::new());
    let address = "127.0.0.1:0".parse().expect("valid");
    let socket = UtpSocket::bind(address, LIMITS, clock).expect("loopback can be bound");
    let own = Arc::clone(&socket);
    let thread = std::thread::Builder::new().name(name.to_owned());
    let thread = thread.spawn(move || own.run()).expect("a thread");
    // Its name is there when it has begun to run.
    assert!(wait_until(LONG, || cpu::runs(name)), "the thread begins");
    (socket, thread)
}

/// CPU per visit of a complete peer, the connection included.
pub(crate) fn visit(scale: Scale) {
    let tcp = Peers::start(Kind::Complete, 4096);
    let tcp = SocketAddr::from(([127, 0, 0, 1], tcp.port));
    let (near, near_thread) = socket(NEAR);
    let world = World::over_utp(PIECES, settings(), &near);
    for (threads, load) in [(1, "1×"), (4, "4×"), (16, "16×")] {
        let visits = scale.pick(1_000, 40) / threads;
        let rounds: Vec<(f64, f64)> = (0..scale.pick(7, 2))
            .map(|_| round(&world, tcp, (threads, visits)))
            .collect();
        let (figure, yardstick, ratio) = paired(&rounds);
        Row::new("CPU per uTP visit", format!("{load}: {threads} threads"))
            .figure(figure.seconds())
            .yardstick(format!("over TCP {}", yardstick.seconds()))
            .ratio(&ratio)
            .tell();
    }
    world.stop();
    near.shut();
    near_thread.join().expect("no panic");
}

/// CPU per visit over uTP and over TCP. The far end is a new one each time: to
/// one that heard many calls of late, a new call with the number of an old one
/// is a late copy of it, and there are only 65,536 numbers.
fn round(world: &World, tcp: SocketAddr, load: (usize, usize)) -> (f64, f64) {
    let (far, far_thread) = socket("utp-far");
    let peer = Arc::clone(&far);
    let peer = std::thread::spawn(move || serve(&peer));
    let utp = &world.engine.utp.as_ref().expect("it was given").connect;
    let before = cpu::of_thread(NEAR);
    let own = visits_over(world, utp, far.local_addr(), load);
    let socket = cpu::of_thread(NEAR).saturating_sub(before);
    let bare = visits_over(world, &world.engine.connect, tcp, load);
    far.shut();
    far_thread.join().expect("no panic");
    peer.join().expect("no panic");
    let all = load.0 * load.1;
    (per(own + socket, all), per(bare, all))
}

/// CPU time of the threads that visit.
fn visits_over(
    world: &World,
    connect: &Arc<dyn Connect>,
    address: SocketAddr,
    (threads, visits): (usize, usize),
) -> Duration {
    sum(measured(threads, |_| {
        let (engine, connect) = (Arc::clone(&world.engine), Arc::clone(connect));
        let torrent = torrent(PIECES);
        move || {
            let mut failed = 0;
            for _ in 0..visits {
                let started = Instant::now();
                let mut stream = connect.connect(address, LONG).expect("the peer answers");
                let report = engine.visitor().outgoing(&mut *stream, &torrent, started);
                failed += usize::from(report.heard.is_none());
            }
            // Where the machine is busy, a peer may be late.
            assert!(
                failed <= visits / 10 + 1,
                "{failed} of {visits} visits failed"
            );
        }
    }))
}

/// Says what a complete peer says, and keeps the newest streams.
fn serve(socket: &Arc<UtpSocket>) {
    let name = b"-BN0001-peerpeerpeer";
    let mut speech = wire::handshake(wire::NO_EXTENSIONS, info_hash().as_bytes(), name);
    speech.extend(bitfield(PIECES, 0xff));
    let mut open = VecDeque::new();
    while let Some((mut stream, _)) = socket.accept() {
        let _ = stream.write_all(&speech, LONG);
        open.push_back(stream);
        if open.len() > 64 {
            open.pop_front();
        }
    }
}

/// Callers over uTP, each with a thread that evaluates it.
pub(crate) fn streams(scale: Scale) {
    for (load, count) in [("1×", 312), ("4×", 1_250), ("16×", 5_000)] {
        at_once(
            &format!("{load}: {count} at once"),
            scale.pick(count, count / 25),
        );
    }
}

fn at_once(load: &str, count: usize) {
    let (far, far_thread) = socket("utp-far");
    let (near, near_thread) = socket(NEAR);
    let mut settings = settings();
    settings.visit.quiet_timeout = LONG;
    settings.visit.budget = LONG;
    settings.listen.callers_max = 15_000;
    settings.listen.per_address_max = 15_000;
    let world = World::over_utp(PIECES, settings, &far);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let address = "127.0.0.1:0".parse().expect("valid");
    let tcp = ListenSocket::bind(address, &world.engine.sockets, clock);
    let listener = Listener::new(
        Arc::clone(&world.engine),
        vec![tcp.expect("it can be bound")],
    );
    let listener = std::thread::spawn(move || listener.run_utp(0));
    let before = cpu::resident("self");
    let began = Instant::now();
    let open = call(&near, far.local_addr(), count);
    let took = began.elapsed();
    let active = || {
        let now = world.engine.stats.snapshot(Instant::now());
        usize::try_from(now.callers_active).expect("fits")
    };
    wait_until(Duration::from_secs(5), || active() >= count);
    let served = open.len().min(active());
    let memory = (cpu::resident("self") - before) / served.max(1) as f64 / 1024.0;
    Row::new("callers over uTP dropped or refused", load)
        .figure(count.saturating_sub(served).to_string())
        .yardstick(format!("{count} called within {:.1} s", took.as_secs_f64()))
        .goal("0", served >= count)
        .tell();
    Row::new("RSS per caller over uTP, both ends", load)
        .figure(format!("{} KiB", short(memory)))
        .goal("≤ 20 KiB", memory <= 20.0)
        .tell();
    drop(open);
    assert!(wait_until(LONG, || active() == 0), "callers leave");
    world.stop();
    for (socket, thread) in [(near, near_thread), (far, far_thread)] {
        socket.shut();
        thread.join().expect("no panic");
    }
    listener.join().expect("no panic");
}

/// Calls by a few threads; the streams of those that got a handshake.
fn call(near: &Arc<UtpSocket>, address: SocketAddr, count: usize) -> Vec<Box<dyn Stream>> {
    const THREADS: usize = 8;
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let connector = UtpConnector::new(Arc::clone(near));
            let share = (thread..count).step_by(THREADS).count();
            std::thread::spawn(move || {
                let greet = || greeted(connector.connect(address, LONG).ok()?);
                (0..share).filter_map(|_| greet()).collect::<Vec<_>>()
            })
        })
        .collect();
    let streams = threads.into_iter().map(|it| it.join().expect("no panic"));
    streams.flatten().collect()
}

fn greeted(mut stream: Box<dyn Stream>) -> Option<Box<dyn Stream>> {
    let name = b"-BN0001-callcallcall";
    let ours = wire::handshake(wire::NO_EXTENSIONS, info_hash().as_bytes(), name);
    stream.write_all(&ours, LONG).ok()?;
    let mut heard = 0;
    while heard < wire::HANDSHAKE_LEN {
        match stream.read(&mut [0; wire::HANDSHAKE_LEN], LONG) {
            Ok(read) if read > 0 => heard += read,
            _ => return None,
        }
    }
    Some(stream)
}
