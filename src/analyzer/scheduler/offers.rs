//! Who is offered to the scheduler, and whether it is taken. Called by whoever
//! finds peers: trackers, DHT, visits, neighbours.

use std::net::IpAddr;

use crate::intake::{Offer, PeerIntake};
use crate::model::{Barred, Origin, PeerAddress, PeerKey, Source, TorrentId, Transport};
use crate::protocol::pex::NamedPeer;

use super::super::dial::Way;
use super::Scheduler;
use super::queue::{History, Ticket};

impl Scheduler {
    /// Offers a peer that another one, which was found by `source`, names for
    /// `torrent`. A caller was found by nobody: whom it names counts as if a
    /// tracker had, since only callers are `incoming`.
    pub fn offer_named(&self, torrent: TorrentId, source: Source, named: &NamedPeer) -> Offer {
        let encrypted = named.prefers_encryption().then_some(Way {
            transport: Transport::Tcp,
            encrypted: true,
        });
        self.accept(Ticket {
            key: PeerKey::new(named.address, torrent),
            source: match source {
                Source::Tracker | Source::Incoming => Source::Tracker,
                Source::Dht => Source::Dht,
            },
            origin: Some(Origin::Pex),
            history: History {
                worked: encrypted,
                ..History::default()
            },
        })
    }

    /// Offers a peer that announces itself in our own network (BEP 14). Only
    /// callers are `incoming`, so it counts as if a tracker had named it.
    pub fn offer_local(&self, torrent: TorrentId, address: PeerAddress) -> Offer {
        self.accept(Ticket {
            key: PeerKey::new(address, torrent),
            source: Source::Tracker,
            origin: Some(Origin::Lsd),
            history: History::default(),
        })
    }

    fn accept(&self, ticket: Ticket) -> Offer {
        let address = ticket.key.address;
        if !address.is_callable() {
            return Offer::Uncallable;
        }
        let barred = self.rules.check(address.ip()).err();
        let now = self.clock.now();
        let mut state = self.state.lock();
        if let Some(barred) = barred {
            match barred {
                Barred::Reserved => state.barred.reserved += 1,
                Barred::OptedOut => state.barred.opted_out += 1,
                Barred::Ipv6 => state.barred.ipv6 += 1,
            }
            return Offer::Barred;
        }
        if state.own.contains(&address) {
            return Offer::Own;
        }
        if !state.has_room(&ticket.key) {
            return Offer::Barred;
        }
        let before = state.queue.next_due();
        if !state.queue.put_ticket(ticket, now) {
            return Offer::Known;
        }
        state.fresh += 1;
        self.wake(&state, before);
        Offer::New
    }
}

impl PeerIntake for Scheduler {
    fn own_ip(&self, ip: IpAddr) {
        self.state.lock().note_own_ip(ip);
    }

    fn offer(&self, torrent: TorrentId, source: Source, address: PeerAddress) -> Offer {
        self.accept(Ticket {
            key: PeerKey::new(address, torrent),
            source,
            origin: None,
            history: History::default(),
        })
    }
}
