//! The DHT in a run: which node is used, and its thread.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::analyzer::engine::Engine;
use crate::config::settings::{DhtChoice, DhtSourceSettings};
use crate::dht::OwnNode;
use crate::dht::finder::Finder;
use crate::dht::node::address::Family;
use crate::dht::node::{DhtHandle, DhtNode, DhtSettings};
use crate::dht::pending::PendingLookups;
use crate::dht::pymdht::{NodeState, PymdhtClient, PymdhtContext, PymdhtStatus};
use crate::dht::requester::{DhtBackend, RequesterContext, run};
use crate::exit::Exit;
use crate::intake::{NodeIntake, PeerIntake};
use crate::live::DhtFigures;
use crate::model::record::Record;
use crate::net::tcp::{SocketRegister, TcpConnector};

use super::prepare::{Refusal, refuse};
use super::status::say;

/// Time in which a pymdht must answer to be taken by `dht.backend = "auto"`.
const PROBE: Duration = Duration::from_secs(1);

/// Pauses between attempts to reach a pymdht that failed.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The source of DHT peers of a run.
pub(super) struct Dht {
    node: Node,
    context: RequesterContext,
    /// Of the telnet connection alone, shut behind the thread, so that it can
    /// take leave.
    sockets: Arc<SocketRegister>,
}

enum Node {
    Pymdht(PymdhtContext),
    Own(Arc<DhtHandle>),
}

impl Dht {
    /// Chooses the node that the settings want, and takes the port of our
    /// own; `None` without `-d`. `listen_port` is announced, so there is one
    /// with `-p` only.
    pub(super) fn prepare(
        engine: &Arc<Engine>,
        listen_port: Option<u16>,
        output: &Path,
    ) -> Result<Option<Self>, Refusal> {
        let Some(settings) = &engine.settings.dht else {
            return Ok(None);
        };
        let sockets = Arc::new(SocketRegister::default());
        let pymdht = pymdht(engine, settings, &sockets);
        let probe = || PymdhtClient::new(pymdht.clone()).probe(PROBE).is_ok();
        let external = match settings.backend {
            DhtChoice::Pymdht => true,
            DhtChoice::Own => false,
            DhtChoice::Auto => probe(),
        };
        let node = if external {
            Node::Pymdht(pymdht)
        } else {
            let handle = Arc::new(own(engine, settings, output)?);
            // Set once: a run has one node.
            let _ = engine.nodes.set(Arc::clone(&handle) as Arc<dyn NodeIntake>);
            Node::Own(handle)
        };
        let torrents = Arc::clone(engine);
        let context = RequesterContext {
            clock: Arc::clone(&engine.clock),
            stop: engine.stop.clone(),
            torrents: Arc::new(move || torrents.directory.all()),
            pending: PendingLookups::new(),
            intake: Arc::clone(&engine.scheduler) as Arc<dyn PeerIntake>,
            records: engine.records.clone(),
            interval: settings.interval,
            lookup_timeout: settings.lookup_timeout,
            announce_port: listen_port,
        };
        let dht = Self {
            node,
            context,
            sockets,
        };
        engine.record(Record::Manifest {
            key: "dht_backend",
            value: dht.name().to_owned(),
        });
        Ok(Some(dht))
    }

    /// Which node it is.
    pub(super) const fn name(&self) -> &'static str {
        match self.node {
            Node::Pymdht(_) => "pymdht",
            Node::Own(_) => "own",
        }
    }

    /// Where magnet links register to be looked up.
    pub(super) fn pending(&self) -> PendingLookups {
        self.context.pending.clone()
    }

    /// Body of the DHT thread.
    pub(super) fn run(&self) {
        let mut backend: Box<dyn DhtBackend> = match &self.node {
            Node::Pymdht(context) => Box::new(PymdhtClient::new(context.clone())),
            Node::Own(handle) => Box::new(OwnNode::new(
                Arc::clone(handle),
                Arc::clone(&self.context.clock),
                self.context.stop.clone(),
            )),
        };
        run(self.context.clone(), &mut *backend);
    }

    /// In a few words for the status line.
    pub(super) fn state(&self) -> String {
        match &self.node {
            Node::Pymdht(context) => match context.status.figures().state {
                NodeState::Unknown => "pymdht".to_owned(),
                NodeState::Up => "pymdht up".to_owned(),
                NodeState::Down => "pymdht DOWN".to_owned(),
            },
            Node::Own(handle) => own_state(handle.is_running(), handle.status().nodes_good()),
        }
    }

    /// The address families of our own node; each wants a thread. None with
    /// pymdht.
    pub(super) fn families(&self) -> Vec<Family> {
        match &self.node {
            Node::Pymdht(_) => Vec::new(),
            Node::Own(handle) => handle.families().collect(),
        }
    }

    /// Figures of our own node; nothing with pymdht.
    pub(super) fn node_figures(&self) -> Option<DhtFigures> {
        let Node::Own(handle) = &self.node else {
            return None;
        };
        let status = handle.status();
        Some(DhtFigures {
            running: handle.is_running(),
            nodes_good: status.nodes_good(),
            nodes_known: status.nodes_known(),
            lookups: status.families().map(|family| family.lookups).sum(),
            queries_out: status.queries_out(),
            timeouts: status.families().map(|family| family.counts.timeouts).sum(),
            queries_in: status.queries_in(),
            dropped: status.dropped(),
        })
    }

    /// Looks single torrents up for the page; only by our own node.
    pub(super) fn finder(&self) -> Option<Finder> {
        match &self.node {
            Node::Pymdht(_) => None,
            Node::Own(handle) => Some(Finder::of(
                Arc::clone(handle),
                Arc::clone(&self.context.clock),
                self.context.stop.clone(),
            )),
        }
    }

    /// Body of the thread of our own node for `family`.
    pub(super) fn run_node(&self, family: Family) {
        if let Node::Own(handle) = &self.node {
            handle.run(family);
        }
    }

    /// Ends the node, behind the thread.
    pub(super) fn end(&self) {
        self.sockets.shut_all();
        if let Node::Own(handle) = &self.node {
            handle.stop();
        }
    }
}

fn pymdht(
    engine: &Arc<Engine>,
    settings: &DhtSourceSettings,
    sockets: &Arc<SocketRegister>,
) -> PymdhtContext {
    let connect = TcpConnector::new(Arc::clone(sockets), Arc::clone(&engine.clock));
    PymdhtContext {
        connect: Arc::new(connect),
        clock: Arc::clone(&engine.clock),
        stop: engine.stop.clone(),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, settings.control_port)),
        answer_wait: engine.settings.visit.quiet_timeout,
        pause_first: PAUSES.0,
        pause_max: PAUSES.1,
        status: Arc::new(PymdhtStatus::new()),
    }
}

/// Our own node in a few words: with good nodes, or without its thread.
fn own_state(running: bool, good: usize) -> String {
    if running {
        format!("{good} nodes")
    } else {
        "own node DOWN".to_owned()
    }
}

/// A node at any port, where the listener listens too.
pub(super) fn node_settings(settings: &DhtSourceSettings, listen: IpAddr) -> DhtSettings {
    let address = match listen {
        IpAddr::V4(v4) => v4,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    };
    let base = if settings.allow_private {
        DhtSettings::loopback(address)
    } else {
        DhtSettings::default()
    };
    DhtSettings {
        address: Some(address),
        address6: settings.address6,
        bootstrap: settings.bootstrap.clone(),
        packets_per_second: settings.packets_per_second,
        packets_burst: settings.packets_per_second.saturating_mul(2),
        ..base
    }
}

/// Takes the port of our own node, where the listener listens too.
fn own(
    engine: &Arc<Engine>,
    settings: &DhtSourceSettings,
    output: &Path,
) -> Result<DhtHandle, Refusal> {
    let wanted = DhtSettings {
        port: settings.node_port,
        // Nobody listens in the other one.
        announce_in: Some(Family::of(engine.settings.listen.address)),
        state_file: settings.save_nodes.then(|| output.join("dht_nodes")),
        ..node_settings(settings, engine.settings.listen.address)
    };
    let node = DhtNode::prepare(wanted, Arc::clone(&engine.clock), &engine.stop, None);
    let node = node.map_err(|error| {
        refuse(
            Exit::PortUnavailable,
            format!("{error} (dht_node_port), or stop the program that uses it"),
        )
    })?;
    if settings.address6.is_some() && node.port(Family::V6).is_none() {
        say("the DHT is used over IPv4 only: this machine has no IPv6 (dht.address6)");
    }
    Ok(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_its_thread_is_shown() {
        assert_eq!(own_state(true, 7), "7 nodes");
        assert_eq!(own_state(false, 7), "own node DOWN");
    }
}
