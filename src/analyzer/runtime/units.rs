//! The threads of a run: which there are and how each is started.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::analyzer::listener::Listener;
use crate::analyzer::neighbours::Neighbours;
use crate::analyzer::workers;
use crate::dht::node::STACK;
use crate::dht::node::address::Family;
use crate::model::TorrentId;
use crate::net::utp::UtpSocket;
use crate::threads::{LARGE_STACK, VISIT_STACK};

use super::crew::{Crew, Stage, Unit};
use super::dht::Dht;
use super::local_trackers::LocalTrackers;
use super::magnets::Magnets;
use super::prepare::Run;

/// Starts every thread of the run, the writer first.
pub(super) fn start_all(run: &mut Run, crew: &mut Crew) -> io::Result<()> {
    run.statistics.tick();
    crew.start(writer(run))?;
    let utp: &[_] = run.engine.utp.as_ref().map_or(&[], |utp| &utp.sockets);
    for socket in utp {
        crew.start(utp_socket(socket))?;
    }
    if let Some(listener) = run.listener.take().map(Arc::new) {
        for (index, socket) in utp.iter().enumerate() {
            crew.start(accept_utp(&listener, index, socket))?;
        }
        for index in 0..listener.sockets() {
            crew.start(accept(&listener, index))?;
        }
    }
    for (index, trackers) in run.trackers.torrents().iter().enumerate() {
        crew.start(tracker(run, index, trackers.torrent().id))?;
    }
    if let Some(local) = &run.local_trackers {
        crew.start(local_trackers(local))?;
    }
    if let Some(links) = &run.magnets {
        for number in 1..=links.threads() {
            crew.start(magnets(links, number))?;
        }
    }
    if let Some(dht) = &run.dht {
        for family in dht.families() {
            crew.start(node(dht, family))?;
        }
        crew.start(lookups(dht))?;
    }
    if let Some(all) = &run.neighbours {
        for (index, name) in all.threads().enumerate() {
            crew.start(neighbours(all, index, name))?;
        }
    }
    if let Some(hosts) = &run.hosts {
        hosts.start()?;
    }
    if let Some(page) = &run.page {
        crew.start(page.unit())?;
    }
    crew.start(statistics(run))?;
    // Last, since they make do with the threads that are left.
    if run.engine.settings.active {
        start_workers(run, crew)?;
    }
    Ok(())
}

/// Not restartable: a second writer would not know the peers of the first.
fn writer(run: &mut Run) -> Unit {
    let writer = Mutex::new(run.writer.take());
    let summary = Arc::clone(&run.summary);
    Unit {
        name: "writer".into(),
        stack: LARGE_STACK,
        stage: Stage::Writer,
        restart: false,
        body: Arc::new(move || {
            let Some((writer, records)) = writer.lock().take() else {
                return;
            };
            *summary.lock() = Some(writer.run(&records));
        }),
    }
}

fn utp_socket(socket: &Arc<UtpSocket>) -> Unit {
    let socket = Arc::clone(socket);
    Unit {
        name: format!("utp{}", family_mark(&socket)),
        stack: VISIT_STACK,
        stage: Stage::Listener,
        restart: true,
        body: Arc::new(move || socket.run()),
    }
}

fn accept_utp(listener: &Arc<Listener>, index: usize, socket: &UtpSocket) -> Unit {
    let listener = Arc::clone(listener);
    Unit {
        name: format!("accept-utp{}", family_mark(socket)),
        stack: VISIT_STACK,
        stage: Stage::Listener,
        restart: true,
        body: Arc::new(move || listener.run_utp(index)),
    }
}

/// What names of threads of a socket of IPv6 end in.
const fn family_mark(socket: &UtpSocket) -> &'static str {
    if socket.local_addr().is_ipv6() {
        "6"
    } else {
        ""
    }
}

/// The first socket is that of `listen.address`, the second for IPv6.
fn accept(listener: &Arc<Listener>, index: usize) -> Unit {
    let listener = Arc::clone(listener);
    Unit {
        name: if index == 0 { "accept" } else { "accept6" }.into(),
        stack: VISIT_STACK,
        stage: Stage::Listener,
        restart: true,
        body: Arc::new(move || listener.run(index)),
    }
}

/// The trackers of the torrent `id`, which has that index among them.
pub(super) fn tracker(run: &Run, index: usize, id: TorrentId) -> Unit {
    Unit {
        name: format!("tracker-{id}"),
        ..tracker_at(run, index)
    }
}

fn tracker_at(run: &Run, index: usize) -> Unit {
    let trackers = Arc::clone(&run.trackers);
    Unit {
        name: String::new(),
        stack: LARGE_STACK,
        stage: Stage::Sources,
        restart: true,
        body: Arc::new(move || trackers.run(index)),
    }
}

/// What was asked for stays so.
fn local_trackers(local: &Arc<LocalTrackers>) -> Unit {
    let local = Arc::clone(local);
    Unit {
        name: "local-trackers".into(),
        stack: VISIT_STACK,
        stage: Stage::Sources,
        restart: true,
        body: Arc::new(move || local.run()),
    }
}

/// A tracker that was found, which has that index among all.
pub(super) fn found_tracker(run: &Run, index: usize) -> Unit {
    Unit {
        name: format!("found-{index}"),
        ..tracker_at(run, index)
    }
}

fn magnets(magnets: &Arc<Magnets>, number: usize) -> Unit {
    let magnets = Arc::clone(magnets);
    Unit {
        name: format!("magnet-{number}"),
        stack: LARGE_STACK,
        stage: Stage::Magnets,
        restart: true,
        body: Arc::new(move || magnets.run(number)),
    }
}

fn lookups(dht: &Arc<Dht>) -> Unit {
    let dht = Arc::clone(dht);
    Unit {
        name: "dht".into(),
        stack: LARGE_STACK,
        stage: Stage::Dht,
        restart: true,
        body: Arc::new(move || dht.run()),
    }
}

/// Our own DHT node; the next thread goes on with its port and nodes.
fn node(dht: &Arc<Dht>, family: Family) -> Unit {
    let dht = Arc::clone(dht);
    Unit {
        name: family.thread_name().into(),
        stack: STACK,
        stage: Stage::Dht,
        restart: true,
        body: Arc::new(move || dht.run_node(family)),
    }
}

/// Local service discovery of one address family; the next thread goes on with
/// its socket.
fn neighbours(neighbours: &Arc<Neighbours>, index: usize, name: &str) -> Unit {
    let neighbours = Arc::clone(neighbours);
    Unit {
        name: name.into(),
        stack: VISIT_STACK,
        stage: Stage::Sources,
        restart: true,
        body: Arc::new(move || neighbours.run(index)),
    }
}

fn statistics(run: &Run) -> Unit {
    let statistics = Arc::clone(&run.statistics);
    Unit {
        name: "statistics".into(),
        stack: VISIT_STACK,
        stage: Stage::Statistics,
        restart: true,
        body: Arc::new(move || statistics.run()),
    }
}

fn start_workers(run: &Run, crew: &mut Crew) -> io::Result<()> {
    let settings = &run.engine.settings;
    let threads = settings.workers + settings.stay.map_or(0, |stay| stay.threads);
    for number in 1..=threads {
        let engine = Arc::clone(&run.engine);
        let unit = Unit {
            name: format!("contact-{number:04}"),
            stack: VISIT_STACK,
            stage: Stage::Contacts,
            restart: true,
            body: Arc::new(move || workers::run(&engine)),
        };
        match crew.start(unit) {
            Err(error) if number > 1 => {
                log::error!(
                    "contact threads: {} of {threads} started: {error}",
                    number - 1
                );
                return Ok(());
            }
            other => other?,
        }
    }
    Ok(())
}
