//! From messages to progress: what a peer told in one visit. Pure; the same
//! messages always give the same pieces.

mod verdict;

use std::time::{Duration, Instant};

use crate::model::record::{ExtensionHandshake, MessageCounts};
use crate::model::{
    PieceCount, PieceIndex, PieceSet, PseudonymKey, Reason, Torrent, WrongBitfield,
};
use crate::outside::outside_text;
use crate::protocol::extension::{self, ExtendedHandshake};
use crate::protocol::message::{Message, WrongLength, id};
use crate::protocol::pex::UT_PEX;

use super::exchange::{DONT_HAVE, Exchange, PEX, TEX};

pub use verdict::{End, Verdict, judge};

/// What was heard in one visit.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Distinct pieces announced: a bitfield replaces, a have adds.
    pub pieces: PieceSet,
    /// Messages by kind.
    pub counts: MessageCounts,
    /// Whether any message told progress (bitfield, have, have all, have
    /// none).
    pub told: bool,
    /// The last time that it told less than the threshold; once it reached
    /// it, the last time before that. What comes within [`BURST`], or at first
    /// within [`OPENING`], is one statement: clients save haves up, and some
    /// tell a complete set as a bitfield with gaps and haves behind it.
    pub below: Option<Moment>,
    /// The first time that it told as much as the threshold, since when it
    /// never told less.
    pub reached: Option<Moment>,
    /// Longest wait for one whole message.
    pub longest_wait: Option<Duration>,
    /// The UDP port of its DHT node (BEP 5, `port`), as told last; never 0.
    pub dht_port: Option<u16>,
    /// The peer's extended handshake (BEP 10), if one came.
    pub handshake: Option<Box<ExtendedHandshake>>,
    /// The peers (BEP 11) and trackers (BEP 28) that it named.
    pub exchange: Exchange,
    threshold: PieceCount,
    /// The first time that it told progress.
    since: Option<Instant>,
    /// What `below` was by the statement before.
    earlier: Option<Moment>,
    /// What becomes `earlier` when it is [`BURST`] old.
    recent: Option<Moment>,
    fast: bool,
    extension: bool,
    exchanges: bool,
    exchanges_trackers: bool,
    /// While we stay with the peer: how long it may take to tell a piece.
    have_delay: Option<Duration>,
}

/// How long a peer may take to tell what it has when the visit begins.
pub const OPENING: Duration = Duration::from_secs(1);

/// How long one statement may take: haves that were saved up arrive in several
/// packets, which need not be read at once.
pub const BURST: Duration = Duration::from_millis(100);

/// What a peer had told at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Instant,
    /// Distinct pieces by then.
    pub pieces: PieceCount,
}

impl Heard {
    /// Nothing yet, for `torrent`; `fast` when both sides announced BEP 6,
    /// without which have all and have none mean nothing.
    pub fn new(torrent: &Torrent, fast: bool) -> Self {
        Self {
            pieces: PieceSet::new(torrent.pieces),
            threshold: torrent.threshold,
            since: None,
            earlier: None,
            recent: None,
            below: None,
            reached: None,
            counts: MessageCounts::default(),
            told: false,
            longest_wait: None,
            dht_port: None,
            handshake: None,
            exchange: Exchange::default(),
            fast,
            extension: false,
            exchanges: false,
            exchanges_trackers: false,
            have_delay: None,
        }
    }

    /// The same; with `extension` both sides announced BEP 10, without which
    /// extended messages are only counted.
    #[must_use]
    pub const fn with_extension(mut self, extension: bool) -> Self {
        self.extension = extension;
        self
    }

    /// The same; with `exchanges` the peers that this one names are taken.
    #[must_use]
    pub const fn with_exchange(mut self, exchanges: bool) -> Self {
        self.exchanges = exchanges;
        self
    }

    /// The same; with `exchanges` the trackers that this one names are taken.
    #[must_use]
    pub const fn with_tracker_exchange(mut self, exchanges: bool) -> Self {
        self.exchanges_trackers = exchanges;
        self
    }

    /// From here on it is stayed with, by haves that are up to `have_delay` late.
    pub const fn stay(&mut self, have_delay: Duration) {
        self.have_delay = Some(have_delay);
    }

    /// Takes one message, read at `now`.
    ///
    /// # Errors
    /// The reason why the message breaks the protocol; the pieces stay as
    /// they were. A `piece` breaks it too: payload is never asked for.
    pub fn take(
        &mut self,
        message: &Result<Message<'_>, WrongLength>,
        now: Instant,
    ) -> Result<(), Reason> {
        self.counts.total += 1;
        let message = match message {
            Ok(message) => message,
            Err(wrong) => {
                *self.counter(wrong.id) += 1;
                return Err(Reason::PayloadLength);
            }
        };
        *self.counter(id_of(message)) += 1;
        match message {
            Message::Have(index) if !self.pieces.insert(*index) => {
                return Err(Reason::HaveOutOfRange);
            }
            Message::Bitfield(bits) => self.pieces.replace(bits).map_err(|wrong| match wrong {
                WrongBitfield::Length { .. } => Reason::BitfieldLength,
                WrongBitfield::SpareBits => Reason::SpareBits,
            })?,
            Message::Oversized {
                id: id::BITFIELD, ..
            } => return Err(Reason::BitfieldLength),
            Message::HaveAll if self.fast => self.pieces.fill(),
            Message::HaveNone if self.fast => self.pieces.clear(),
            Message::Extended(payload) if self.extension => {
                return self.take_extended(payload, now);
            }
            Message::Piece => return Err(Reason::PieceReceived),
            Message::Port(port) => {
                self.dht_port = Some(*port).filter(|port| *port > 0);
                return Ok(());
            }
            Message::Have(_) => {}
            _ => return Ok(()),
        }
        self.told = true;
        self.note_progress(now);
        Ok(())
    }

    /// An extended message; one of a number that is not ours says nothing.
    fn take_extended(&mut self, payload: &[u8], now: Instant) -> Result<(), Reason> {
        match extension::split(payload) {
            Some((extension::HANDSHAKE, handshake)) => {
                if let Ok(theirs) = ExtendedHandshake::parse(handshake) {
                    self.handshake.get_or_insert_default().update(theirs);
                }
            }
            Some((PEX, payload)) if self.exchanges => self.exchange.take(payload, now),
            Some((TEX, payload)) if self.exchanges_trackers => {
                self.exchange.take_trackers(payload);
            }
            Some((DONT_HAVE, piece)) => {
                let index = extension::dont_have(piece).ok_or(Reason::PayloadLength)?;
                if !self.pieces.remove(index) {
                    return Err(Reason::HaveOutOfRange);
                }
                // What was lost says nothing of what is there.
                if self.told {
                    self.note_progress(now);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the peer announced an extended handshake that is still to
    /// come. Clients send it beside their bitfield: who is let go for being
    /// complete is heard so far.
    pub const fn awaits_handshake(&self) -> bool {
        self.extension && self.handshake.is_none()
    }

    /// Whether the peer speaks peer exchange and has not named anybody yet.
    pub fn awaits_exchange(&self) -> bool {
        let theirs = self.handshake.as_ref();
        self.exchanges
            && !self.exchange.has_begun()
            && theirs.is_some_and(|theirs| theirs.number_of(UT_PEX).is_some())
    }

    /// What the peer told of itself, fit for the database.
    pub fn extension(&self, pseudonyms: &PseudonymKey) -> Option<Box<ExtensionHandshake>> {
        let theirs = self.handshake.as_ref()?;
        let client = theirs.client.as_deref().map(outside_text);
        Some(Box::new(ExtensionHandshake {
            client: client.filter(|client| !client.is_empty()),
            listen_port: theirs.port,
            request_queue: theirs.request_queue,
            upload_only: theirs.upload_only,
            metadata_size: theirs.metadata_size,
            your_ip: theirs.your_ip.map(|ip| pseudonyms.of_claimed(ip)),
        }))
    }

    /// Takes the haves that lie whole at the start of `input`, `most` of them
    /// at the most, all read at `now`; returns their bytes. The same as
    /// [`Heard::take`] for each, at a fraction of the cost: live clients send
    /// them by the hundred. Stops before whatever needs a closer look: another
    /// message, an index out of range, the piece that reaches the threshold;
    /// and behind the last piece of the torrent.
    pub fn take_haves(&mut self, input: &[u8], most: u32, now: Instant) -> usize {
        let (frames, _) = input.as_chunks::<HAVE_LEN>();
        let mut taken = 0;
        for frame in frames {
            let [0, 0, 0, 5, id::HAVE, index @ ..] = frame else {
                break;
            };
            let reaches = self.reached.is_none() && self.pieces.count().0 + 1 >= self.threshold.0;
            let index = PieceIndex(u32::from_be_bytes(*index));
            if taken >= most || reaches || !self.pieces.insert(index) {
                break;
            }
            taken += 1;
            if self.pieces.is_complete() {
                break;
            }
        }
        if taken > 0 {
            self.counts.total += taken;
            self.counts.have += taken;
            self.told = true;
            self.note_progress(now);
        }
        HAVE_LEN * taken as usize
    }

    fn note_progress(&mut self, at: Instant) {
        let since = *self.since.get_or_insert(at);
        let pieces = self.pieces.count();
        let moment = Some(Moment { at, pieces });
        if self.reached.is_none() {
            self.note_earlier(at);
        }
        if pieces < self.threshold {
            self.below = moment;
            self.reached = None;
        } else if self.reached.is_none() {
            self.reached = moment;
            let opening = at.saturating_duration_since(since) < OPENING;
            self.below = self.earlier.filter(|_| !opening);
            self.allow_for_delay();
        }
    }

    /// In a stay, what was not told by a have may have been there since
    /// `have_delay` before; what was told first was the whole of it.
    fn allow_for_delay(&mut self) {
        if let (Some(below), Some(delay), Some(since)) =
            (&mut self.below, self.have_delay, self.since)
        {
            below.at = below
                .at
                .checked_sub(delay)
                .map_or(since, |then| then.max(since));
        }
    }

    /// The first time that it told progress.
    pub const fn told_since(&self) -> Option<Instant> {
        if self.told { self.since } else { None }
    }

    /// Whether the visit became a stay.
    pub const fn was_stay(&self) -> bool {
        self.have_delay.is_some()
    }

    /// Keeps a moment that is [`BURST`] before `at`, and not much older than
    /// twice that where the peer told anything meanwhile.
    fn note_earlier(&mut self, at: Instant) {
        let over = |it: &Moment| at.saturating_duration_since(it.at) >= BURST;
        if self.recent.as_ref().is_none_or(over) {
            self.earlier = self.recent.or(self.earlier);
            self.recent = self.below;
        }
        self.earlier = self.below.filter(over).or(self.earlier);
    }

    /// The visit ends at `now`: a peer that told nothing has nothing.
    pub fn finish(&mut self, now: Instant) {
        if !self.told {
            self.note_progress(now);
        }
        if self.reached.is_none() {
            self.allow_for_delay();
        }
    }

    /// Notes that a whole message took `wait` to come.
    pub fn waited(&mut self, wait: Duration) {
        self.longest_wait = Some(self.longest_wait.map_or(wait, |longest| longest.max(wait)));
    }

    fn counter(&mut self, id: u8) -> &mut u32 {
        let counts = &mut self.counts;
        match id {
            id::CHOKE..=id::NOT_INTERESTED => &mut counts.state,
            id::HAVE => &mut counts.have,
            id::BITFIELD => &mut counts.bitfield,
            id::PIECE => &mut counts.piece,
            id::REQUEST | id::CANCEL | id::SUGGEST | id::REJECT | id::ALLOWED_FAST => {
                &mut counts.transfer
            }
            id::PORT => &mut counts.port,
            id::HAVE_ALL => &mut counts.have_all,
            id::HAVE_NONE => &mut counts.have_none,
            id::EXTENDED => &mut counts.extended,
            KEEP_ALIVE => &mut counts.keep_alive,
            _ => &mut counts.unknown,
        }
    }
}

/// Bytes of a `have` with its prefix.
const HAVE_LEN: usize = 9;

/// Stands for the keep-alive, which has no id; no BEP uses 255.
const KEEP_ALIVE: u8 = 255;

/// No BEP uses 254; counted as unknown.
const UNKNOWN: u8 = 254;

const fn id_of(message: &Message<'_>) -> u8 {
    match message {
        Message::KeepAlive => KEEP_ALIVE,
        Message::Choke => id::CHOKE,
        Message::Unchoke => id::UNCHOKE,
        Message::Interested => id::INTERESTED,
        Message::NotInterested => id::NOT_INTERESTED,
        Message::Have(_) => id::HAVE,
        Message::Bitfield(_) => id::BITFIELD,
        Message::Request => id::REQUEST,
        Message::Piece => id::PIECE,
        Message::Cancel => id::CANCEL,
        Message::Port(_) => id::PORT,
        Message::Suggest => id::SUGGEST,
        Message::HaveAll => id::HAVE_ALL,
        Message::HaveNone => id::HAVE_NONE,
        Message::Reject => id::REJECT,
        Message::AllowedFast => id::ALLOWED_FAST,
        Message::Extended(_) => id::EXTENDED,
        Message::Oversized { id, .. } => *id,
        Message::Unknown(_) => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::VisitSettings;
    use crate::model::VisitEnd;
    use proptest::prelude::*;

    fn heard() -> Heard {
        Heard::new(&Torrent::sample(20), true)
    }

    #[test]
    fn bitfield_replaces_and_have_adds() {
        let mut heard = heard();
        for message in [
            Message::Have(PieceIndex(19)),
            Message::Bitfield(&[0xff, 0, 0]),
            Message::Have(PieceIndex(8)),
            Message::Have(PieceIndex(8)),
            Message::Have(PieceIndex(0)),
        ] {
            assert_eq!(heard.take(&Ok(message), Instant::now()), Ok(()));
        }
        assert_eq!(heard.pieces.count(), PieceCount(9));
        assert_eq!(
            (heard.counts.total, heard.counts.have, heard.counts.bitfield),
            (5, 4, 1)
        );
    }

    #[test]
    fn have_all_and_none_count_only_with_the_fast_extension() {
        let mut fast = heard();
        assert_eq!(fast.take(&Ok(Message::HaveAll), Instant::now()), Ok(()));
        assert!(fast.pieces.is_complete());
        assert_eq!(fast.take(&Ok(Message::HaveNone), Instant::now()), Ok(()));
        assert_eq!(fast.pieces.count(), PieceCount(0));
        let mut slow = Heard::new(&Torrent::sample(20), false);
        assert_eq!(slow.take(&Ok(Message::HaveAll), Instant::now()), Ok(()));
        assert!(!slow.told);
        assert_eq!(slow.pieces.count(), PieceCount(0));
    }

    #[test]
    fn a_lost_piece_lowers_the_set_and_moves_the_crossing() {
        let mut heard = Heard::new(&Torrent::sample(20), true).with_extension(true);
        let threshold = heard.threshold;
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let lost = [DONT_HAVE, 0, 0, 0, 19];
        heard.take(&Ok(Message::Extended(&lost)), at(0)).unwrap();
        assert!(!heard.told, "nothing is known of the other pieces");
        heard.take(&Ok(Message::HaveAll), at(1)).unwrap();
        assert_eq!(heard.reached.unwrap().at, at(1));
        for (piece, time) in [(19, 2), (19, 3), (18, 4)] {
            let lost = [DONT_HAVE, 0, 0, 0, piece];
            heard.take(&Ok(Message::Extended(&lost)), at(time)).unwrap();
        }
        assert_eq!(heard.pieces.count(), PieceCount(18));
        assert!(threshold > PieceCount(18) && heard.reached.is_none());
        assert_eq!(heard.below.unwrap().at, at(4));
        for (piece, time) in [(18, 5), (19, 6)] {
            heard
                .take(&Ok(Message::Have(PieceIndex(piece))), at(time))
                .unwrap();
        }
        assert!(heard.below.unwrap().at < heard.reached.unwrap().at);
        for (lost, reason) in [
            (&[DONT_HAVE, 0, 0, 0, 20][..], Reason::HaveOutOfRange),
            (&[DONT_HAVE, 0, 0][..], Reason::PayloadLength),
        ] {
            assert_eq!(heard.take(&Ok(Message::Extended(lost)), at(7)), Err(reason));
        }
        assert!(heard.pieces.is_complete());
    }

    #[test]
    fn extended_messages_are_read_only_where_both_sides_speak_the_protocol() {
        let handshake =
            b"\0d1:pi6881e4:reqqi9e11:upload_onlyi1e1:v9:a ERROR\n 6:yourip4:\x7f\0\0\x05e";
        let mut deaf = heard();
        deaf.take(&Ok(Message::Extended(handshake)), Instant::now())
            .unwrap();
        deaf.take(&Ok(Message::Extended(&[DONT_HAVE])), Instant::now())
            .unwrap();
        let key = PseudonymKey::new([7; 20]);
        assert_eq!((deaf.counts.extended, deaf.extension(&key)), (2, None));
        let mut heard = heard().with_extension(true);
        for payload in [&handshake[..], b"\0garbage", b"", b"\xc8unknown"] {
            heard
                .take(&Ok(Message::Extended(payload)), Instant::now())
                .unwrap();
        }
        assert!(!heard.told);
        let told = ExtensionHandshake {
            client: Some("a error".to_owned()),
            listen_port: Some(6881),
            request_queue: Some(9),
            upload_only: Some(true),
            metadata_size: None,
            your_ip: Some(key.of_claimed([127, 0, 0, 5].into())),
        };
        assert_eq!(heard.extension(&key).as_deref(), Some(&told));
    }

    #[test]
    fn every_violation_has_its_reason_and_changes_nothing() {
        let mut heard = heard();
        heard
            .take(&Ok(Message::Bitfield(&[0xf0, 0, 0])), Instant::now())
            .unwrap();
        let wrong = WrongLength {
            id: id::HAVE,
            expected: 4,
            received: 3,
        };
        for (message, reason) in [
            (Ok(Message::Have(PieceIndex(20))), Reason::HaveOutOfRange),
            (Ok(Message::Bitfield(&[0xff, 0xff])), Reason::BitfieldLength),
            (
                Ok(Message::Bitfield(&[0xff, 0xff, 0x0f])),
                Reason::SpareBits,
            ),
            (
                Ok(Message::Oversized {
                    id: id::BITFIELD,
                    length: 400,
                }),
                Reason::BitfieldLength,
            ),
            (Ok(Message::Piece), Reason::PieceReceived),
            (Err(wrong), Reason::PayloadLength),
        ] {
            assert_eq!(heard.take(&message, Instant::now()), Err(reason));
        }
        assert_eq!(heard.pieces.count(), PieceCount(4));
        assert_eq!(heard.counts.total, 7);
    }

    #[test]
    fn everything_else_is_counted_by_kind() {
        let mut heard = heard();
        for message in [
            Message::KeepAlive,
            Message::Unchoke,
            Message::Interested,
            Message::Request,
            Message::Suggest,
            Message::Port(1),
            Message::Extended(&[]),
            Message::Unknown(99),
            Message::Unknown(255),
        ] {
            assert_eq!(heard.take(&Ok(message), Instant::now()), Ok(()));
        }
        let wanted = MessageCounts {
            total: 9,
            keep_alive: 1,
            state: 2,
            transfer: 2,
            port: 1,
            extended: 1,
            unknown: 2,
            ..MessageCounts::default()
        };
        assert_eq!(heard.counts, wanted);
        assert!(!heard.told);
    }

    proptest! {
        #[test]
        fn haves_in_bulk_are_the_same_as_one_by_one(
            indices in prop::collection::vec(0_u32..24, 0..60),
            threshold in 1_u32..=20,
            most in 0_u32..60,
            split in 0_usize..12,
        ) {
            let torrent = Torrent { threshold: PieceCount(threshold), ..Torrent::sample(20) };
            let mut bulk = Heard::new(&torrent, true);
            let mut single = Heard::new(&torrent, true);
            let now = Instant::now();
            let mut bytes = Vec::new();
            for (place, index) in indices.iter().enumerate() {
                if place == split {
                    bytes.extend([0, 0, 0, 1, id::UNCHOKE]);
                }
                crate::protocol::message::encode_have(PieceIndex(*index), &mut bytes);
            }
            let used = bulk.take_haves(&bytes, most, now);
            let taken = used / HAVE_LEN;
            prop_assert!(taken <= split.min(most as usize) || split >= indices.len());
            for index in indices.iter().take(taken) {
                prop_assert_eq!(single.take(&Ok(Message::Have(PieceIndex(*index))), now), Ok(()));
            }
            prop_assert_eq!(
                (bulk.pieces, bulk.counts, bulk.told, bulk.below, bulk.reached),
                (single.pieces, single.counts, single.told, single.below, single.reached)
            );
        }
    }

    #[test]
    fn a_break_counts_only_when_progress_was_told() {
        let settings = crate::analyzer::visit::tests::settings();
        let reset = End::Broken(Reason::RESET);
        assert_eq!(
            judge(reset, true, &settings),
            Verdict::Counts(VisitEnd::Broken(Reason::RESET))
        );
        assert_eq!(
            judge(reset, false, &settings),
            Verdict::Failed(Reason::RESET)
        );
        let thesis = VisitSettings {
            keep_partial: false,
            ..settings.clone()
        };
        assert_eq!(judge(reset, true, &thesis), Verdict::Failed(Reason::RESET));
        assert_eq!(
            judge(End::Quiet, false, &settings),
            Verdict::Counts(VisitEnd::Quiet)
        );
        assert_eq!(
            judge(End::Budget, false, &settings),
            Verdict::Failed(Reason::BudgetSpent)
        );
        assert_eq!(
            judge(End::Budget, true, &settings),
            Verdict::Counts(VisitEnd::Budget)
        );
        assert_eq!(judge(End::Stopped, false, &settings), Verdict::Interrupted);
        assert_eq!(
            judge(End::Stopped, true, &settings),
            Verdict::Counts(VisitEnd::Stopped)
        );
    }

    #[test]
    fn what_comes_at_once_is_one_statement() {
        let start = Instant::now();
        let mut heard = Heard::new(&Torrent::sample(20), true);
        let threshold = heard.threshold.0;
        let have = |piece| Ok(Message::Have(PieceIndex(piece)));
        // A seed with a lazy bitfield: it was never seen below.
        let bits = Ok(Message::Bitfield(&[0xff, 0xff, 0]));
        heard.take(&bits, start).unwrap();
        for piece in 16..20 {
            heard
                .take(&have(piece), start + Duration::from_millis(300))
                .unwrap();
        }
        assert!(heard.pieces.is_complete() && heard.reached.is_some());
        assert_eq!(heard.below, None);
        // Haves that were saved up: it had the last one with the others.
        let mut heard = Heard::new(&Torrent::sample(20), true);
        for (seconds, range) in [(0, 0..5), (5, 5..9), (9, 9..threshold)] {
            for piece in range {
                // Not all in one packet.
                let pause = Duration::from_millis(piece.into());
                let at = start + Duration::from_secs(seconds) + pause;
                heard.take(&have(piece), at).unwrap();
            }
        }
        let below = heard.below.unwrap();
        assert_eq!(
            (below.at, below.pieces),
            (start + Duration::from_millis(5008), PieceCount(9))
        );
        let last = Duration::from_millis(9000 + u64::from(threshold) - 1);
        assert_eq!(heard.reached.unwrap().at, start + last);
        // A stream without pauses: no statement is older than it must be.
        let mut heard = Heard::new(&Torrent::sample(20), true);
        let at = |piece: u32| start + Duration::from_secs(2) + BURST / 3 * piece;
        heard.take(&have(0), start).unwrap();
        for piece in 1..threshold {
            heard.take(&have(piece), at(piece)).unwrap();
        }
        let width = heard.reached.unwrap().at - heard.below.unwrap().at;
        assert!((BURST..=2 * BURST).contains(&width), "{width:?}");
    }

    #[test]
    fn the_crossing_is_known_to_the_message() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let moment = |seconds, pieces| {
            let pieces = PieceCount(pieces);
            Some(Moment {
                at: at(seconds),
                pieces,
            })
        };
        let torrent = Torrent {
            threshold: PieceCount(10),
            ..Torrent::sample(20)
        };
        let mut heard = Heard::new(&torrent, true);
        heard
            .take(&Ok(Message::Bitfield(&[0xff, 0, 0])), at(1))
            .unwrap();
        heard
            .take(&Ok(Message::Have(PieceIndex(8))), at(2))
            .unwrap();
        heard.take(&Ok(Message::KeepAlive), at(3)).unwrap();
        assert_eq!((heard.below, heard.reached), (moment(2, 9), None));
        heard
            .take(&Ok(Message::Have(PieceIndex(9))), at(4))
            .unwrap();
        heard
            .take(&Ok(Message::Have(PieceIndex(10))), at(5))
            .unwrap();
        heard.finish(at(9));
        assert_eq!((heard.below, heard.reached), (moment(2, 9), moment(4, 10)));
        heard.take(&Ok(Message::HaveNone), at(10)).unwrap();
        assert_eq!((heard.below, heard.reached), (moment(10, 0), None));
        heard.take(&Ok(Message::HaveAll), at(11)).unwrap();
        assert_eq!(
            (heard.below, heard.reached),
            (moment(10, 0), moment(11, 20))
        );
        let mut silent = Heard::new(&torrent, true);
        silent.finish(at(6));
        assert_eq!((silent.below, silent.reached), (moment(6, 0), None));
    }
}
