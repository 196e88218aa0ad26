//! A running practice swarm: listeners, trackers and callers on loopback.
//!
//! Threads: one that accepts for all peers over IPv4, one for the peers that
//! open late, one for each peer of IPv6 and two for each of uTP (`doors`), one for the HTTP trackers, one for each UDP tracker in the plan, one for
//! each node of the DHT and one for its control port, one that makes the
//! calls, and the pool. All of them are joined by [`Swarm::stop`]
//! and when the swarm is dropped, within a fraction of a second.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::caller;
use super::dht::{self, Dht};
use super::doors::Doors;
use super::plan::{CallerPort, Plan};
use super::pool::Pool;
use super::pymdht::ScriptedPymdht;
use super::serve::{Directory, directory, serve, serve_utp};
use super::sockets::{self, TICK};
use super::story::{Ports, Story};
use super::tracker::{self, TrackerMode, Trackers};
use super::truth::{Contact, Truth, TruthRecord};
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::net::utp::UtpSocket;
use crate::stop::{StopTrigger, stop_pair};
use crate::threads;

/// Connections served at one time; more wait in line.
const CONNECTIONS: usize = 4096;

const STACK: usize = 256 * 1024;

/// A plan that is being acted out.
pub struct Swarm {
    story: Arc<Story>,
    pool: Arc<Pool>,
    trackers: Arc<Trackers>,
    dht: Arc<Dht>,
    /// In a story with a DHT.
    control: Option<ScriptedPymdht>,
    http: SocketAddr,
    trackers_udp: Vec<(TrackerMode, SocketAddr)>,
    trigger: StopTrigger,
    threads: Vec<JoinHandle<()>>,
    /// Of the peers that are reached so.
    utp: Vec<Arc<UtpSocket>>,
    /// Hold the ports on which nobody listens, so that nobody else gets them.
    _refusing: Vec<socket2::Socket>,
}

impl Swarm {
    /// Opens all sockets on ports chosen by the system and begins the story;
    /// callers wait for [`Swarm::call`]. `clock` drives progress and the
    /// times in the truth.
    pub fn start(plan: Plan, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let started = clock.timestamp();
        Self::start_with(plan, (clock, started), TruthRecord::Memory(Vec::new()))
    }

    /// The same, with every contact written to a truth file at `path` when it
    /// is over instead of being kept; [`Swarm::finish`] completes the file.
    pub fn start_into(path: &Path, plan: Plan, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let started = clock.timestamp();
        let record = TruthRecord::file(path, &plan, started)?;
        Self::start_with(plan, (clock, started), record)
    }

    fn start_with(
        plan: Plan,
        time: (Arc<dyn Clock>, Timestamp),
        record: TruthRecord,
    ) -> io::Result<Self> {
        let everywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let open = sockets::listen(everywhere)?;
        let late = sockets::bound(everywhere)?;
        let refusing = sockets::bound(everywhere)?;
        let closed = [(); CallerPort::CLOSED].map(|()| sockets::bound(everywhere));
        let closed = closed.into_iter().collect::<io::Result<Vec<_>>>()?;
        let mut closed_ports = [0; CallerPort::CLOSED];
        for (port, socket) in closed_ports.iter_mut().zip(&closed) {
            *port = port_of(socket)?;
        }
        let http = sockets::listen(sockets::any_port())?;
        let ports = Ports {
            open: open.local_addr()?.port(),
            refusing: port_of(&refusing)?,
            late: port_of(&late)?,
            closed: closed_ports,
        };
        let (trigger, stop) = stop_pair();
        let mut doors = Doors::open(&plan, &ports, &time.0)?;
        let places = (ports, std::mem::take(&mut doors.places));
        let story = Arc::new(Story::new(plan, time, stop, places, record));
        let (dht, nodes) = Dht::bind(&story)?;
        let mut swarm = Self {
            dht,
            control: None,
            trackers: Arc::new(Trackers::new(Arc::clone(&story))),
            pool: Arc::new(Pool::new(CONNECTIONS)),
            http: http.local_addr()?,
            trackers_udp: Vec::new(),
            utp: Vec::new(),
            trigger,
            threads: Vec::new(),
            _refusing: closed
                .into_iter()
                .chain([refusing])
                .chain(doors.refusing.drain(..))
                .collect(),
            story,
        };
        let directory = directory(&swarm.story);
        swarm.spawn_peers(&directory, open, late)?;
        swarm.spawn_doors(&directory, doors)?;
        let (trackers, pool) = (Arc::clone(&swarm.trackers), Arc::clone(&swarm.pool));
        swarm.spawn("lab-http", move || tracker::serve(&trackers, &pool, &http))?;
        swarm.spawn_udp()?;
        swarm.spawn_dht(nodes)?;
        Ok(swarm)
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(threads::spawn(name, STACK, body)?);
        Ok(())
    }

    fn spawn_peers(
        &mut self,
        directory: &Directory,
        open: std::net::TcpListener,
        late: socket2::Socket,
    ) -> io::Result<()> {
        let parts = || {
            (
                Arc::clone(&self.story),
                Arc::clone(&self.pool),
                Arc::clone(directory),
            )
        };
        let (first, second) = (parts(), parts());
        self.spawn("lab-accept", move || {
            let (story, pool, directory) = first;
            serve(&story, &pool, &directory, &open);
        })?;
        self.spawn("lab-late", move || {
            let (story, pool, directory) = second;
            if story.wait_until(story.plan.late_opening()) && late.listen(4096).is_ok() {
                serve(&story, &pool, &directory, &late.into());
            }
        })
    }

    /// The peers that have a listener of their own.
    fn spawn_doors(&mut self, directory: &Directory, doors: Doors) -> io::Result<()> {
        for listener in doors.ipv6 {
            let (story, pool) = (Arc::clone(&self.story), Arc::clone(&self.pool));
            let directory = Arc::clone(directory);
            self.spawn("lab-accept6", move || {
                serve(&story, &pool, &directory, &listener);
            })?;
        }
        for (peer, socket) in doors.utp {
            self.utp.push(Arc::clone(&socket));
            let (story, pool) = (Arc::clone(&self.story), Arc::clone(&self.pool));
            let run = Arc::clone(&socket);
            self.spawn("lab-utp", move || run.run())?;
            self.spawn("lab-accept-utp", move || {
                serve_utp(&story, &pool, peer, &socket);
            })?;
        }
        Ok(())
    }

    fn spawn_udp(&mut self) -> io::Result<()> {
        let plan = &self.story.plan;
        let mut modes: Vec<TrackerMode> = (plan.torrents.iter())
            .flat_map(|torrent| torrent.trackers.iter().copied())
            .filter(|mode| mode.is_udp())
            .collect();
        modes.sort_unstable();
        modes.dedup();
        for mode in modes {
            let socket = UdpSocket::bind(sockets::any_port())?;
            socket.set_read_timeout(Some(TICK))?;
            self.trackers_udp.push((mode, socket.local_addr()?));
            let trackers = Arc::clone(&self.trackers);
            self.spawn("lab-udp", move || trackers.serve_udp(&socket, mode))?;
        }
        Ok(())
    }

    fn spawn_dht(&mut self, nodes: Vec<UdpSocket>) -> io::Result<()> {
        if nodes.is_empty() {
            return Ok(());
        }
        for (index, socket) in nodes.into_iter().enumerate() {
            let dht = Arc::clone(&self.dht);
            self.spawn("lab-dht", move || dht.serve(index, &socket))?;
        }
        self.control = Some(dht::control_port(&self.dht)?);
        Ok(())
    }

    /// The story.
    pub fn plan(&self) -> &Plan {
        &self.story.plan
    }

    /// Milliseconds since the story began.
    pub fn elapsed(&self) -> u64 {
        self.story.elapsed()
    }

    /// Where the peer at `index` says that it listens.
    pub fn peer_address(&self, index: usize) -> Option<SocketAddr> {
        self.story.address_of(index)
    }

    /// The announce URL of the tracker of this mode; `None` for a UDP mode
    /// that is not in the plan.
    pub fn tracker_url(&self, mode: TrackerMode) -> Option<String> {
        if !mode.is_udp() {
            return Some(format!("http://{}/{}/announce", self.http, mode.as_str()));
        }
        let (_, address) = self.trackers_udp.iter().find(|(other, _)| *other == mode)?;
        Some(format!("udp://{address}/announce"))
    }

    /// The torrent file of the torrent at `index`.
    pub fn torrent_file(&self, index: usize) -> Option<Vec<u8>> {
        let torrent = self.story.plan.torrents.get(index)?;
        let urls: Vec<String> = torrent
            .trackers
            .iter()
            .filter_map(|mode| self.tracker_url(*mode))
            .collect();
        Some(torrent.file(&urls))
    }

    /// The magnet link of the torrent at `index`; `None` when that is given
    /// by a torrent file.
    pub fn magnet_link(&self, index: usize) -> Option<String> {
        let torrent = self.story.plan.torrents.get(index)?;
        let magnet = torrent.magnet.as_ref()?;
        let urls: Vec<String> = torrent
            .trackers
            .iter()
            .filter_map(|mode| self.tracker_url(*mode))
            .collect();
        let hints = magnet.hints.iter();
        let hints: Vec<SocketAddr> = hints.filter_map(|peer| self.peer_address(*peer)).collect();
        Some(torrent.link(&urls, &hints))
    }

    /// Writes every magnet link into the file `magnet.txt` in `folder`, if
    /// there are any.
    pub fn magnet_list(&self, folder: &Path) -> io::Result<()> {
        let torrents = 0..self.story.plan.torrents.len();
        let links = torrents.filter_map(|index| self.magnet_link(index));
        let text: String = links.map(|link| link + "\n").collect();
        if text.is_empty() {
            return Ok(());
        }
        std::fs::write(folder.join("magnet.txt"), text)
    }

    /// Where the nodes of the DHT are.
    pub fn dht_nodes(&self) -> Vec<SocketAddr> {
        self.dht.addresses()
    }

    /// The control port of the pymdht; `None` in a story without DHT.
    pub fn control_port(&self) -> Option<u16> {
        let control = self.control.as_ref()?;
        Some(control.address().port())
    }

    /// Writes every torrent file into `folder`, named so that they are
    /// imported in the order of the plan; those of magnet links are left out.
    pub fn torrent_files(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let torrents = self.story.plan.torrents.iter().enumerate();
        torrents
            .filter(|(_, torrent)| torrent.magnet.is_none())
            .filter_map(|(index, _)| Some((index, self.torrent_file(index)?)))
            .map(|(index, bytes)| {
                let path = folder.join(format!("practice-{:03}.torrent", index + 1));
                std::fs::write(&path, bytes)?;
                Ok(path)
            })
            .collect()
    }

    /// Lets the callers call `target`, the analyzer's listener, from now on;
    /// calls whose time is past are made at once.
    pub fn call(&mut self, target: SocketAddr) -> io::Result<()> {
        let (story, pool) = (Arc::clone(&self.story), Arc::clone(&self.pool));
        self.spawn("lab-calls", move || {
            caller::make_calls(&story, &pool, target);
        })
    }

    /// The contacts that have ended so far, in order of their end; none when
    /// they go into a file.
    pub fn contacts(&self) -> Vec<Contact> {
        self.story.recorded().contacts()
    }

    /// How many contacts have ended so far.
    pub fn contacts_ended(&self) -> u64 {
        self.story.recorded().len()
    }

    /// The truth so far.
    pub fn truth(&self) -> Truth {
        Truth {
            plan: self.story.plan.clone(),
            started: self.story.started,
            ended: self.story.clock.timestamp(),
            contacts: self.contacts(),
            trackers: self.trackers.counts(),
            magnets: self.story.magnets(),
            dht: self.dht.counts(),
            exchanged: self.story.exchanged(),
        }
    }

    /// Ends the story, closes every connection, waits for every thread and
    /// returns the whole truth.
    pub fn stop(mut self) -> Truth {
        self.end();
        self.truth()
    }

    /// The same, with the truth file completed.
    ///
    /// # Errors
    /// When anything of the truth file could not be written.
    pub fn finish(self) -> io::Result<Truth> {
        let story = Arc::clone(&self.story);
        let truth = self.stop();
        story.recorded().finish(&truth)?;
        Ok(truth)
    }

    fn end(&mut self) {
        self.trigger.stop();
        drop(self.control.take());
        for socket in self.utp.drain(..) {
            socket.shut();
        }
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
        self.pool.stop();
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        self.end();
    }
}

fn port_of(socket: &socket2::Socket) -> io::Result<u16> {
    let address = socket.local_addr()?.as_socket();
    Ok(address.map_or(0, |address| address.port()))
}

#[cfg(test)]
mod tests;
