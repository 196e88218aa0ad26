//! The DHT of a trial: which node the analyzer uses, and where it finds the
//! practice nodes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use super::super::swarm::Swarm;

/// The node that the analyzer asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DhtOfTrial {
    /// Its own, among those of the swarm.
    Own,
    /// The pymdht of the swarm, by its control port.
    Pymdht,
    /// None: there is no DHT in the story.
    None,
}

impl DhtOfTrial {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Own, Self::Pymdht, Self::None];

    /// The word of the option.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Pymdht => "pymdht",
            Self::None => "none",
        }
    }

    /// The choice of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }
}

/// Where the analyzer finds what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DhtPlaces {
    /// `dht_control_port`.
    pub(super) control: u16,
    /// `dht_node_port`: free for the analyzer's own node.
    pub(super) node: u16,
    /// `dht.bootstrap`.
    pub(super) bootstrap: Vec<SocketAddr>,
}

/// Nodes that the analyzer begins with; it finds the others.
const BOOTSTRAP: usize = 3;

impl DhtPlaces {
    /// Those of `swarm`; `None` in a story without DHT.
    pub(super) fn of(swarm: &Swarm) -> io::Result<Option<Self>> {
        let Some(control) = swarm.control_port() else {
            return Ok(None);
        };
        // Free a moment ago: the analyzer is started at once.
        let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut bootstrap = swarm.dht_nodes();
        bootstrap.truncate(BOOTSTRAP);
        Ok(Some(Self {
            control,
            node: free.local_addr()?.port(),
            bootstrap,
        }))
    }

    /// The part of the configuration file at top level.
    pub(super) fn top(&self) -> String {
        format!(
            "dht_control_port = {}\ndht_node_port = {}\ndht_request_interval = 2\n",
            self.control, self.node
        )
    }

    /// The table of the configuration file.
    pub(super) fn table(&self, which: DhtOfTrial) -> String {
        let nodes: Vec<String> = self.bootstrap.iter().map(SocketAddr::to_string).collect();
        format!(
            "\n[dht]\nbackend = \"{}\"\nbootstrap = \"{}\"\nallow_private = true\n\
             lookup_timeout_seconds = 10\npackets_per_second = 1000\n",
            which.as_str(),
            nodes.join(" ")
        )
    }
}
