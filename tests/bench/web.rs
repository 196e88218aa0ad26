//! The page of a run that is busy: what it answers, how soon, and what the run
//! loses by it.
//!
//! The real program with a full pool on quiet peers. Phases with and without
//! readers of the page take turns in one run, so that each has its yardstick
//! beside it. Readers are a process of their own: some ask again as soon as
//! they have the answer, some listen to the events.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::child::Other;
use super::peers::{Kind, Peers};
use super::run::{Plan, Run};
use super::table::{Row, Spread, quantile, short};
use super::world::wait_until;
use super::{Scale, cpu};

const LONG: Duration = Duration::from_secs(60);

/// Addresses of the page that are asked for, the cheapest first: it is the
/// yardstick of the others.
const PATHS: [&str; 7] = [
    "/healthz",
    "/",
    "/assets/page.css",
    "/watch",
    "/api/watch",
    "/metrics",
    "/reports",
];

/// Who reads.
#[derive(Debug, Clone, Copy)]
struct Crowd {
    /// Connections that ask.
    asking: usize,
    /// Connections that listen to the events.
    listening: usize,
}

/// What the readers saw.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// Answers or events per second.
    rate: f64,
    /// Wait for an answer, or for the next event, in seconds.
    p50: f64,
    p99: f64,
}

pub(crate) fn measure(scale: Scale) {
    let jobs = scale.pick(1_024, 64);
    let turns = scale.pick(4, 1);
    let mut busy = Busy::start(jobs);
    let crowd = Crowd {
        asking: 16,
        listening: 16,
    };
    // What is done once is done before anything counts.
    busy.phase(turns, None);
    busy.phase(turns, Some(("/api/watch", crowd)));
    answers(&mut busy, scale, turns, crowd);
    events(&mut busy, turns);
    losses(&mut busy, scale, turns, crowd);
    busy.run.interrupt();
}

/// Answers per second and waits, of each address.
fn answers(busy: &mut Busy, scale: Scale, turns: usize, crowd: Crowd) {
    let crowd = Crowd {
        listening: 0,
        ..crowd
    };
    let mut cheapest = f64::NAN;
    for path in PATHS {
        let phases = (0..scale.pick(3, 1)).map(|_| busy.phase(turns, Some((path, crowd))).1);
        let seen: Vec<Seen> = phases.flatten().collect();
        let rates = Spread::of(seen.iter().map(|it| it.rate));
        if cheapest.is_nan() {
            cheapest = rates.median;
        }
        Row::new(
            &format!("page: GET {path}"),
            format!("{} connections", crowd.asking),
        )
        .figure(format!("{}, {}", rates.with_unit(1.0, "/s"), waits(&seen)))
        .yardstick(format!("GET /healthz {}/s", short(cheapest)))
        .ratio(&rates.scaled(1.0 / cheapest))
        .tell();
    }
}

/// Events per second and the time between two of one listener.
fn events(busy: &mut Busy, turns: usize) {
    for listening in [1, 16] {
        let crowd = Crowd {
            asking: 0,
            listening,
        };
        let seen = busy.phase(turns * 3, Some(("/events", crowd))).1;
        let seen: Vec<Seen> = seen.into_iter().collect();
        let rate = Spread::of(seen.iter().map(|it| it.rate));
        let wished = listening as f64;
        Row::new("page: events", format!("{listening} listeners"))
            .figure(format!("{}, {}", rate.with_unit(1.0, "/s"), waits(&seen)))
            .yardstick("one a second each")
            .ratio(&rate.scaled(1.0 / wished))
            .tell();
    }
}

/// Visits per second and CPU of the run, with readers and without.
fn losses(busy: &mut Busy, scale: Scale, turns: usize, crowd: Crowd) {
    let rounds: Vec<(Work, Work)> = (0..scale.pick(9, 2))
        .map(|_| {
            let alone = busy.phase(turns, None).0;
            (busy.phase(turns, Some(("/api/watch", crowd))).0, alone)
        })
        .collect();
    let load = format!(
        "{} threads; {} ask, {} listen",
        busy.jobs, crowd.asking, crowd.listening
    );
    let spreads = |of: fn(&Work) -> f64| {
        let pairs: Vec<(f64, f64)> = rounds
            .iter()
            .map(|(with, alone)| (of(with), of(alone)))
            .collect();
        super::table::paired(&pairs)
    };
    let (with, alone, ratio) = spreads(|it| it.visits);
    Row::new("run with its page read: visits/s", load.clone())
        .figure(with.with_unit(1.0, "/s"))
        .yardstick(format!("nobody reads {}", alone.with_unit(1.0, "/s")))
        .ratio(&ratio)
        .goal("≥ 0.98", ratio.median >= 0.98)
        .tell();
    let (with, alone, ratio) = spreads(|it| it.cpu / it.visits);
    Row::new("run with its page read: CPU per visit", load.clone())
        .figure(with.seconds())
        .yardstick(format!("nobody reads {}", alone.seconds()))
        .ratio(&ratio)
        .tell();
    let (with, alone, _) = spreads(|it| it.page);
    Row::new("CPU of the page", load)
        .figure(with.with_unit(100.0, "% of a core"))
        .yardstick(format!("nobody reads {}", alone.with_unit(100.0, "%")))
        .tell();
}

fn waits(seen: &[Seen]) -> String {
    let p50 = Spread::of(seen.iter().map(|it| it.p50));
    let p99 = Spread::of(seen.iter().map(|it| it.p99));
    format!("p50 {}, p99 {}", p50.seconds(), p99.seconds())
}

/// What the run did in a phase, by second.
#[derive(Debug, Clone, Copy)]
struct Work {
    visits: f64,
    /// CPU of all threads but the page's.
    cpu: f64,
    /// CPU of the page's threads.
    page: f64,
}

/// A run with a full pool.
struct Busy {
    run: Run,
    peers: Peers,
    page: SocketAddr,
    jobs: usize,
}

impl Busy {
    fn start(jobs: usize) -> Self {
        let mut peers = Peers::start(Kind::Quiet, jobs * 2);
        let plan = Plan {
            torrents: 1,
            peers: jobs * 2,
            port: peers.port,
            jobs,
        };
        let run = Run::start_with_page(&plan);
        let page = run.page.expect("it serves a page");
        let full = wait_until(LONG, || peers.accepted() >= jobs);
        assert!(full, "all threads visit");
        Self {
            run,
            peers,
            page,
            jobs,
        }
    }

    /// Lets each thread make so many visits, with readers of an address or
    /// none. Threads that started together visit in bursts, so that a number
    /// of visits from an edge on is fair and a time is not.
    fn phase(&mut self, turns: usize, readers: Option<(&str, Crowd)>) -> (Work, Option<Seen>) {
        let mut readers = readers.map(|(path, crowd)| {
            let page = self.page.to_string();
            let [asking, listening] = [crowd.asking, crowd.listening].map(|it| it.to_string());
            Other::start(&["--readers", &page, path, &asking, &listening])
        });
        if let Some(readers) = &mut readers {
            assert_eq!(readers.line(), "ready");
        }
        let id = self.run.id();
        let idle = self.peers.accepted();
        let from = self.wait_for(idle + 1);
        let (begun, whole, others) = (Instant::now(), cpu::of_process(&id), cpu::of_others(&id));
        self.wait_for(from + self.jobs * turns);
        let time = begun.elapsed().as_secs_f64();
        let by_second = |from: Duration, to: Duration| to.saturating_sub(from).as_secs_f64() / time;
        let whole = by_second(whole, cpu::of_process(&id));
        let others = by_second(others, cpu::of_others(&id));
        let work = Work {
            visits: (self.jobs * turns) as f64 / time,
            cpu: others,
            page: (whole - others).max(0.0),
        };
        let seen = readers.map(|mut readers| {
            let line = readers.ask("end");
            let numbers: Vec<f64> = line.split(' ').map(|it| it.parse().expect(it)).collect();
            Seen {
                rate: numbers[0],
                p50: numbers[1],
                p99: numbers[2],
            }
        });
        (work, seen)
    }
}

impl Busy {
    /// Visits so far, when they are at least `count`.
    fn wait_for(&mut self, count: usize) -> usize {
        let mut visits = 0;
        let reached = wait_until(LONG, || {
            visits = self.peers.accepted();
            visits >= count
        });
        assert!(reached, "visits go on");
        visits
    }
}

/// Body of the child that reads until it is told to end.
pub(crate) fn child(arguments: &[String]) {
    let page: SocketAddr = arguments[0].parse().expect("an address");
    let path = Arc::new(arguments[1].clone());
    let [asking, listening] =
        [2, 3].map(|place| arguments[place].parse::<usize>().expect("a number"));
    let over = Arc::new(AtomicBool::new(false));
    let reader = |listens: bool| {
        let (path, over) = (Arc::clone(&path), Arc::clone(&over));
        let mut reader = Reader::connect(page);
        std::thread::spawn(move || {
            if listens {
                reader.listen(&over)
            } else {
                reader.ask(&path, &over)
            }
        })
    };
    let mut askers: Vec<_> = (0..asking).map(|_| reader(false)).collect();
    let listeners: Vec<_> = (0..listening).map(|_| reader(true)).collect();
    println!("ready");
    let start = Instant::now();
    let told = std::io::stdin().lock().read_line(&mut String::new());
    told.expect("orders are text");
    over.store(true, Ordering::Relaxed);
    let seconds = start.elapsed().as_secs_f64();
    // Listeners are a load beside those who ask, else what is measured.
    if askers.is_empty() {
        askers = listeners;
    }
    let waits = askers
        .into_iter()
        .map(|it| it.join().expect("the page answers"));
    let mut waits: Vec<f64> = waits.flatten().collect();
    waits.sort_by(f64::total_cmp);
    println!(
        "{} {} {}",
        waits.len() as f64 / seconds,
        quantile(&waits, 0.5),
        quantile(&waits, 0.99)
    );
    std::process::exit(0);
}

/// One connection.
struct Reader {
    host: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Reader {
    fn connect(host: SocketAddr) -> Self {
        let stream = TcpStream::connect(host).expect("the page is there");
        stream.set_nodelay(true).expect("TCP");
        stream.set_read_timeout(Some(LONG)).expect("TCP");
        Self {
            host,
            stream: BufReader::new(stream),
        }
    }

    /// Asks again and again; the waits for whole answers in seconds.
    fn ask(&mut self, path: &str, over: &AtomicBool) -> Vec<f64> {
        let mut waits = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let asked = Instant::now();
            self.send(path);
            let length = self.head().expect("an answer with its length");
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body).expect("a whole answer");
            waits.push(asked.elapsed().as_secs_f64());
        }
        waits
    }

    /// Takes events; the times between them in seconds.
    fn listen(&mut self, over: &AtomicBool) -> Vec<f64> {
        self.send("/events");
        self.head();
        let (mut waits, mut last, mut line) = (Vec::new(), None, String::new());
        while !over.load(Ordering::Relaxed) {
            line.clear();
            self.stream.read_line(&mut line).expect("events go on");
            if line.starts_with("event: ") {
                let now = Instant::now();
                if let Some(last) = last.replace(now) {
                    waits.push((now - last).as_secs_f64());
                }
            }
        }
        waits
    }

    fn send(&mut self, path: &str) {
        let text = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        let sent = self.stream.get_mut().write_all(text.as_bytes());
        sent.expect("the page takes requests");
    }

    /// Reads the head of an answer; its length, where it has one.
    fn head(&mut self) -> Option<usize> {
        let (mut line, mut length) = (String::new(), None);
        self.stream.read_line(&mut line).expect("an answer");
        assert!(line.starts_with("HTTP/1.1 200 "), "{line}");
        while line.trim_end() != "" {
            line.clear();
            self.stream.read_line(&mut line).expect("a whole head");
            if let Some(number) = line.strip_prefix("content-length: ") {
                length = number.trim_end().parse().ok();
            }
        }
        length
    }
}
