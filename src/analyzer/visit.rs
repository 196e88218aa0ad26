//! One visit, from the open connection to what was heard; the same code
//! outward and inward.
//!
//! 1. Outward we send our handshake (BEP 3) and read theirs; inward we read
//!    theirs up to the info hash, turn unknown torrents away, answer with the
//!    same info hash, and read their peer id.
//! 2. When both sides announced the fast extension (BEP 6) we send `have
//!    none`, as it demands of a side without pieces; when both speak the
//!    extension protocol (BEP 10) our extended handshake; when both have a DHT
//!    node (BEP 5) we tell the port of ours.
//! 3. We read messages until quiet, the message limit, completeness, the
//!    whole-visit budget, a break, or the end of the run. Nothing is
//!    requested and no payload is sent: there is no code for it.
//!
//! Runs on contact and caller threads; all its waiting is in the [`Stream`].

mod session;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::config::settings::VisitSettings;
use crate::model::record::MessageCounts;
use crate::model::{Evidence, Link, PeerId, Reason, Torrent};
use crate::net::Stream;
use crate::protocol::extension::{CLIENT, OwnHandshake};
use crate::protocol::handshake::{Handshake, Reserved};
use crate::protocol::pex::NamedPeer;
use crate::stop::StopToken;

use super::directory::Directory;
use super::evaluate::{Heard, Verdict, judge};
use super::exchange::understood;

use session::{Cut, Session};

/// What every visit needs.
#[derive(Clone, Copy)]
pub struct Visitor<'a> {
    /// Time.
    pub clock: &'a dyn Clock,
    /// The visit's parameters.
    pub settings: &'a VisitSettings,
    /// Our peer id.
    pub own_id: PeerId,
    /// End of the run.
    pub stop: &'a StopToken,
    /// Where the peer is, to tell it so.
    pub peer: Option<IpAddr>,
    /// Decides whether the visit becomes a stay; `None`: it does not.
    pub observe: Option<&'a dyn Observe>,
}

/// Decides how long a peer is listened to.
pub trait Observe {
    /// Whether the visit goes on as a stay. Asked at most once in a visit, when it
    /// is over (quiet, message limit or budget) and the peer told progress. `None`
    /// ends it as usual.
    fn stay(&self, torrent: &Torrent, peer_id: PeerId, heard: &mut Heard) -> Option<StayTerms>;

    /// How much longer the peer is heard once it told progress, where the visit is
    /// but a look at its pieces; `None` until it is quiet.
    fn look(&self) -> Option<Duration> {
        None
    }
}

/// How long a peer is stayed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StayTerms {
    /// At most, from the start of the stay.
    pub longest: Duration,
    /// Without any piece more.
    pub patience: Duration,
    /// How long the peer may take to tell a piece that it has.
    pub have_delay: Duration,
}

/// What came of a visit.
#[derive(Debug)]
pub struct Report {
    /// What it is worth.
    pub verdict: Verdict,
    /// Who answered, once the handshake was done.
    pub peer_id: Option<PeerId>,
    /// What was heard, once the handshake was done.
    pub heard: Option<Box<Heard>>,
    /// What it went over, once the handshake was done.
    pub link: Option<Link>,
    /// Whether a connection was there at all.
    pub connected: bool,
    /// The ways of an outgoing contact that were tried, by
    /// [`Way::code`](super::dial::Way::code): bit 0 for code 0, and so on.
    pub tried: u8,
}

impl Report {
    /// A contact that ended before the handshake was done.
    pub const fn without_handshake(verdict: Verdict) -> Self {
        Self {
            verdict,
            peer_id: None,
            heard: None,
            link: None,
            connected: false,
            tried: 0,
        }
    }

    /// What the contact shows of the address, whatever its verdict: at most
    /// [`Evidence::Progress`].
    pub fn evidence(&self) -> Evidence {
        match &self.heard {
            Some(heard) if heard.told => Evidence::Progress,
            Some(_) => Evidence::Handshake,
            None if self.connected => Evidence::Answered,
            None => Evidence::Listed,
        }
    }

    /// The peers that it named, less those that were taken out.
    pub fn named(&self) -> &[NamedPeer] {
        self.heard
            .as_ref()
            .map_or(&[], |heard| heard.exchange.named())
    }

    /// The messages read, if any were.
    pub fn messages(&self) -> Option<Box<MessageCounts>> {
        let counts = self.heard.as_ref()?.counts;
        (counts.total > 0).then(|| Box::new(counts))
    }
}

/// Requests that may wait, as BEP 10 has it; a peer without pieces gets none.
const REQUEST_QUEUE: u32 = 250;

impl<'a> Visitor<'a> {
    /// The same with stays, as `observe` decides.
    #[must_use]
    pub const fn observed_by(mut self, observe: &'a dyn Observe) -> Self {
        self.observe = Some(observe);
        self
    }
}

impl Visitor<'_> {
    /// The same for the peer at `ip`.
    #[must_use]
    pub const fn at(mut self, ip: IpAddr) -> Self {
        self.peer = Some(ip);
        self
    }

    /// Visits the peer at the other end of `stream`, which we opened; the
    /// visit's budget began at `started`, before the connection.
    pub fn outgoing(&self, stream: &mut dyn Stream, torrent: &Torrent, started: Instant) -> Report {
        let mut session = Session::new(*self, stream, started);
        let theirs = session.greet(torrent);
        self.finish(session, torrent, theirs)
    }

    /// Evaluates a caller. `admit` may turn it away once the torrent is
    /// known. Also returns the torrent, where it is one of ours.
    pub fn incoming(
        &self,
        stream: &mut dyn Stream,
        directory: &Directory,
        admit: &dyn Fn(&Torrent) -> Result<(), Reason>,
    ) -> (Option<Arc<Torrent>>, Report) {
        let mut session = Session::new(*self, stream, self.clock.now());
        let (torrent, theirs) = session.answer(directory, admit);
        let report = match &torrent {
            Some(torrent) => self.finish(session, torrent, theirs),
            None => Report::without_handshake(
                self.verdict_of(theirs.err().unwrap_or(Cut::Broken(Reason::Aborted))),
            ),
        };
        (torrent, report)
    }

    fn finish(
        &self,
        mut session: Session<'_>,
        torrent: &Torrent,
        theirs: Result<Handshake, Cut>,
    ) -> Report {
        let theirs = match theirs {
            Ok(theirs) => theirs,
            Err(cut) => return Report::without_handshake(self.verdict_of(cut)),
        };
        let fast = self.settings.fast_extension && theirs.reserved.supports_fast();
        let extension = self.settings.extension_protocol && theirs.reserved.supports_extension();
        let mut heard = self.nothing_heard(torrent, fast, extension);
        let end = match session.introduce(torrent, theirs.reserved, fast) {
            Ok(()) => session.listen(&mut heard, torrent),
            Err(cut) => cut.into_end(false),
        };
        heard.finish(self.clock.now());
        if torrent.private {
            // BEP 27: who is in its swarm is none of the DHT's business.
            heard.dht_port = None;
        }
        let verdict = judge(end, heard.told, self.settings);
        Report {
            verdict,
            peer_id: Some(theirs.peer_id),
            heard: Some(heard),
            link: Some(session.link()),
            connected: true,
            tried: 0,
        }
    }

    /// What is heard is not on the stack, where it would lie several times on
    /// its way out, in each of ten thousand threads.
    #[inline(never)]
    fn nothing_heard(&self, torrent: &Torrent, fast: bool, extension: bool) -> Box<Heard> {
        let heard = Heard::new(torrent, fast)
            .with_extension(extension)
            .with_exchange(self.exchanges(torrent))
            .with_tracker_exchange(self.exchanges_trackers(torrent));
        Box::new(heard)
    }

    /// The worth of a contact that was cut before the end of the handshake.
    fn verdict_of(&self, cut: Cut) -> Verdict {
        if self.stop.is_stopped() {
            return Verdict::Interrupted;
        }
        Verdict::Failed(match cut {
            Cut::Quiet | Cut::Budget => Reason::TimedOut,
            Cut::Broken(reason) => reason,
            Cut::Stopped => return Verdict::Interrupted,
        })
    }

    /// The port of our DHT node, for peers of a torrent that is not private
    /// (BEP 27: those are none of the DHT's business).
    fn dht_port(&self, torrent: &Torrent) -> Option<u16> {
        self.settings.dht_port.filter(|_| !torrent.private)
    }

    /// How much longer the peer is heard once it told progress, in a look.
    fn look(&self) -> Option<Duration> {
        self.observe.and_then(Observe::look)
    }

    /// Whether peers may name others: not of a private torrent (BEP 27), and not in
    /// a look, of which there may be one a second.
    fn exchanges(&self, torrent: &Torrent) -> bool {
        self.settings.peer_exchange && !torrent.private && self.look().is_none()
    }

    /// Whether peers may name trackers: as with others.
    fn exchanges_trackers(&self, torrent: &Torrent) -> bool {
        self.settings.tracker_exchange && !torrent.private && self.look().is_none()
    }

    /// What we tell a peer of us (BEP 10).
    fn extended_handshake(&self, torrent: &Torrent) -> OwnHandshake<'static> {
        OwnHandshake {
            extensions: understood(self.exchanges(torrent), self.exchanges_trackers(torrent)),
            client: CLIENT,
            port: self.settings.listen_port,
            request_queue: Some(REQUEST_QUEUE),
            your_ip: self.peer,
        }
    }

    fn own_handshake(&self, torrent: &Torrent) -> Handshake {
        let mut reserved = Reserved::default();
        if self.settings.extension_protocol {
            reserved = reserved.with_extension();
        }
        if self.settings.fast_extension {
            reserved = reserved.with_fast();
        }
        if self.dht_port(torrent).is_some() {
            reserved = reserved.with_dht();
        }
        Handshake {
            reserved,
            info_hash: torrent.info_hash,
            peer_id: self.own_id,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
