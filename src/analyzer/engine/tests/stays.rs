//! With whom we stay, and what becomes of the others.

use super::*;
use crate::analyzer::revisits::EarlyRevisits;
use crate::config::settings::{AdaptiveSettings, StaySettings};
use crate::model::VisitEnd;

const ADAPTIVE: AdaptiveSettings = AdaptiveSettings {
    soonest: Duration::from_secs(30),
    latest: Duration::from_secs(900),
    early_per_second: 4.0,
};

/// A torrent of 8 pieces, places for `threads` stays, fixed revisits.
fn staying(threads: usize, scripts: Vec<Vec<Step>>) -> World {
    let mut world = world(scripts);
    let stay = StaySettings {
        threads,
        within: Duration::from_secs(300),
        longest: Duration::from_secs(900),
        have_delay: Some(Duration::from_secs(1)),
    };
    world.engine.settings.stay = Some(stay);
    world.engine.stays = Stays::new(Some(&stay), 1);
    world
}

/// A peer that tells `bits`, and then a piece each `pause` seconds.
fn live(bits: u8, pieces: &[u32], pause: u64) -> Vec<Step> {
    let mut script = peer(ID, Some(bits));
    script.pop();
    let haves = pieces.iter().map(|piece| {
        let mut have = Vec::new();
        crate::protocol::message::encode_have(crate::model::PieceIndex(*piece), &mut have);
        Step::Send(Duration::from_secs(pause), have)
    });
    script.extend(haves);
    script
}

fn visit(record: Record) -> Box<Visit> {
    match record {
        Record::Visit(visit) => visit,
        other => panic!("no visit: {other:?}"),
    }
}

#[test]
fn a_peer_that_is_soon_to_cross_is_stayed_with() {
    // 2 pieces in 300 s, then 1 to go.
    let world = staying(
        1,
        vec![
            live(0xf8, &[], 0),
            live(0xfe, &[7], 100),
            live(0xff, &[], 0),
        ],
    );
    world.offer();
    let (_, first) = world.next();
    assert_eq!(
        visit(first).ended,
        VisitEnd::Quiet,
        "its speed is not known"
    );
    let (waited, second) = world.next();
    let second = visit(second);
    assert_eq!((waited, second.pieces), (300, PieceCount(8)));
    assert_eq!(second.ended, VisitEnd::Complete);
    assert_eq!(second.duration, Duration::from_secs(100));
    let (below, reached) = (second.below.unwrap(), second.reached.unwrap());
    // Its bitfield was the whole truth when the visit began.
    assert_eq!(reached.at.millis() - below.at.millis(), 100_000);
    assert_eq!(world.engine.scheduler.waiting(), 0, "never again");
    let counts = world.engine.stays.counts();
    assert_eq!((counts.begun, counts.without_place), (1, 0));
    assert_eq!(world.engine.stays.now(), 0);
}

#[test]
fn who_is_far_or_stalls_is_visited_again() {
    // 1 piece in 300 s, 4 to go; then none more.
    let scripts = vec![live(0xe0, &[], 0), live(0xf0, &[], 0), live(0xf0, &[], 0)];
    let world = staying(1, scripts);
    world.offer();
    for _ in 0..3 {
        let (_, record) = world.next();
        assert_eq!(visit(record).ended, VisitEnd::Quiet);
    }
    assert_eq!(world.engine.stays.counts().begun, 0);
    assert_eq!(world.engine.scheduler.waiting(), 1);
}

#[test]
fn a_stay_that_did_not_see_the_crossing_is_followed_by_a_visit() {
    // It tells no piece more, though it gets one.
    let mut world = staying(
        1,
        vec![live(0xf8, &[], 0), live(0xfe, &[], 0), live(0xff, &[], 0)],
    );
    world.engine.settings.policy.adaptive = Some(ADAPTIVE);
    world.offer();
    let (_, first) = world.next();
    assert_eq!(visit(first).ended, VisitEnd::Quiet);
    let (waited, stay) = world.next();
    let stay = visit(stay);
    // 2 pieces in some 100 s: 47 s to go; three times that and 1 s are waited for.
    assert_eq!((waited, stay.ended), (100, VisitEnd::Quiet));
    assert_eq!(stay.pieces, PieceCount(7));
    assert!((140..=160).contains(&stay.duration.as_secs()), "{stay:?}");
    let (waited, last) = world.next();
    assert_eq!((waited, visit(last).pieces), (1, PieceCount(8)));
    assert_eq!(world.engine.scheduler.waiting(), 0);
}

#[test]
fn who_tells_its_haves_late_is_looked_at() {
    // 2 pieces in 100 s, the last of them some time in these.
    let told = [0xf8, 0xfe, 0xfe, 0xfe, 0xfe, 0xff];
    let scripts = told.map(|bits| live(bits, &[], 0)).to_vec();
    let mut world = staying(1, scripts);
    world.engine.settings.policy.adaptive = Some(ADAPTIVE);
    let stay = world.engine.settings.stay.as_mut().unwrap();
    stay.have_delay = None;
    world.offer();
    let mut visits = Vec::new();
    for _ in told {
        let (waited, record) = world.next();
        visits.push((waited, visit(record)));
    }
    let waits: Vec<u64> = visits.iter().map(|(waited, _)| *waited).collect();
    assert_eq!(waits, [0, 100, 1, 1, 1, 1], "it may cross at any time");
    let ends = |it: &(u64, Box<Visit>)| (it.1.ended, it.1.duration.as_millis());
    assert!(
        visits[..2]
            .iter()
            .all(|it| ends(it) == (VisitEnd::Quiet, 6_000))
    );
    assert!(
        visits[2..5]
            .iter()
            .all(|it| ends(it) == (VisitEnd::Look, 250))
    );
    assert_eq!(ends(&visits[5]), (VisitEnd::Complete, 0));
    assert_eq!(world.engine.stays.counts().begun, 0);
    let counts = EarlyRevisits {
        planned: 1,
        looks: 4,
        ..EarlyRevisits::default()
    };
    assert_eq!(world.engine.scheduler.revisits().early(), counts);
    assert_eq!(world.engine.scheduler.waiting(), 0);
}

#[test]
fn whom_there_is_no_room_to_look_at_is_stayed_with() {
    let scripts = vec![live(0xf8, &[], 0), live(0xfe, &[7], 100)];
    let mut world = staying(1, scripts);
    world.engine.settings.policy.adaptive = Some(AdaptiveSettings {
        early_per_second: 0.001,
        ..ADAPTIVE
    });
    world.engine.settings.stay.as_mut().unwrap().have_delay = None;
    world.offer();
    world.next();
    let (waited, second) = world.next();
    let second = visit(second);
    assert_eq!((waited, second.ended), (100, VisitEnd::Complete));
    assert_eq!(second.duration, Duration::from_secs(100));
    let (below, reached) = (second.below.unwrap(), second.reached.unwrap());
    assert_eq!(reached.at.millis() - below.at.millis(), 100_000);
    assert_eq!(world.engine.stays.counts().begun, 1);
    assert_eq!(world.engine.scheduler.revisits().early().looks, 0);
}

#[test]
fn without_a_place_there_are_visits() {
    let world = staying(0, vec![live(0xf8, &[], 0), live(0xfe, &[7], 100)]);
    world.offer();
    world.next();
    let (_, record) = world.next();
    assert_eq!(visit(record).ended, VisitEnd::Quiet);
    let counts = world.engine.stays.counts();
    assert_eq!((counts.begun, counts.without_place), (0, 1));
    assert_eq!(
        world.engine.scheduler.revisits().early(),
        EarlyRevisits::default()
    );
}

#[test]
fn the_place_for_contacts_is_free_while_we_stay() {
    /// A peer that looks at the places when its last piece is asked for.
    struct Looks {
        inner: FakeStream,
        seen: Arc<AtomicU64>,
        free: Receiver<()>,
    }
    impl Stream for Looks {
        fn read(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize, NetError> {
            self.seen
                .fetch_max(self.free.len() as u64, Ordering::Relaxed);
            self.inner.read(buffer, wait)
        }
        fn write_all(&mut self, bytes: &[u8], wait: Duration) -> Result<(), NetError> {
            self.inner.write_all(bytes, wait)
        }
        fn link(&self) -> crate::model::Link {
            self.inner.link()
        }
    }
    struct Network(
        Mutex<Vec<Vec<Step>>>,
        ManualClock,
        Arc<AtomicU64>,
        Receiver<()>,
    );
    impl Connect for Network {
        fn connect(&self, _: SocketAddr, _: Duration) -> Result<Box<dyn Stream>, NetError> {
            Ok(Box::new(Looks {
                inner: FakeStream::new(&self.1, self.0.lock().remove(0)),
                seen: Arc::clone(&self.2),
                free: self.3.clone(),
            }))
        }
    }
    let mut world = staying(1, vec![]);
    let seen = Arc::new(AtomicU64::new(0));
    let free = world.engine.stays.free().unwrap();
    let scripts = vec![live(0xf8, &[], 0), live(0xfe, &[7], 100)];
    let clock = world.clock.clone();
    world.engine.connect = Arc::new(Network(
        Mutex::new(scripts),
        clock,
        Arc::clone(&seen),
        free.clone(),
    ));
    world.offer();
    for wanted in [0, 1] {
        let ticket = loop {
            match world.engine.scheduler.take_now() {
                Some(ticket) => break ticket,
                None => world.clock.advance(Duration::from_secs(1)),
            }
        };
        let post = Post::new(world.engine.stays.enter(&world.engine.stop));
        world.engine.in_hand(ticket).contact(&post);
        assert_eq!(seen.load(Ordering::Relaxed), wanted);
        drop(post);
        assert_eq!(free.len(), 1, "given back once");
    }
}

/// A call from 127.0.0.9, which listens at 6881, that tells `bits` and then
/// `script`; what it was worth.
fn call(world: &World, bits: u8, script: Vec<Step>) -> Option<Box<Visit>> {
    let handshake = Handshake {
        reserved: Reserved::default().with_extension(),
        info_hash: InfoHash::new([7; 20]),
        peer_id: ID,
    };
    let mut bytes = handshake.encode().to_vec();
    encode_raw(20, b"\0d1:pi6881ee", &mut bytes);
    encode_bitfield(&[bits], &mut bytes);
    let mut all = vec![Step::Send(Duration::ZERO, bytes)];
    all.extend(script);
    let mut stream = FakeStream::new(&world.clock, all);
    let engine = &world.engine;
    let from = PeerAddress::from_compact([127, 0, 0, 9, 0xc0, 0]);
    let post = Post::new(None::<()>);
    let candidate = Candidate {
        engine,
        post: &post,
        whom: Whom::Caller(from),
        look: false,
    };
    let started = engine.clock.now();
    let visitor = engine.visitor().observed_by(&candidate);
    let (found, report) = visitor.incoming(&mut stream, &engine.directory, &|_| Ok(()));
    let key = PeerKey::new(from, found.unwrap().id);
    engine.caller_done(Some(key), from.socket_addr(), started, &report);
    world.records.try_recv().ok().map(visit)
}

#[test]
fn a_caller_is_stayed_with_and_not_visited_meanwhile() {
    let mut world = staying(1, vec![]);
    // It is never due while it calls.
    world.engine.settings.policy.revisit_delay = Duration::from_secs(10_000);
    let quiet = || vec![];
    assert_eq!(call(&world, 0xf8, quiet()).unwrap().ended, VisitEnd::Quiet);
    world.clock.advance(Duration::from_secs(294));
    let second = call(&world, 0xfe, live(0, &[7], 100).split_off(1)).unwrap();
    assert_eq!(
        (second.ended, second.pieces),
        (VisitEnd::Complete, PieceCount(8))
    );
    assert_eq!(world.engine.stays.counts().begun, 1);
    // It is in the queue, and needs no visit more.
    assert_eq!(world.engine.scheduler.waiting(), 1);
    world.clock.advance(Duration::from_secs(10_000));
    let ticket = world.engine.scheduler.take_now().unwrap();
    world.engine.in_hand(ticket).contact(&idle());
    assert_eq!(world.engine.scheduler.waiting(), 0);
}

#[test]
fn whom_somebody_stays_with_is_put_back() {
    let world = staying(2, vec![live(0xff, &[], 0)]);
    world.offer();
    let ticket = world.engine.scheduler.take_now().unwrap();
    let place = world.engine.stays.begin(ticket.key).unwrap();
    assert!(world.engine.stays.begin(ticket.key).is_none(), "not twice");
    world.engine.in_hand(ticket).contact(&idle());
    assert!(world.records.is_empty());
    assert_eq!(world.engine.scheduler.waiting(), 1);
    assert_eq!(world.engine.scheduler.never_contacted(), 1);
    drop(place);
    let (waited, record) = world.next();
    assert_eq!((waited, visit(record).pieces), (300, PieceCount(8)));
    assert_eq!(world.engine.scheduler.never_contacted(), 0);
}
