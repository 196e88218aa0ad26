//! Visits that go on as stays.

use super::*;
use crate::protocol::message::encode_have_none;

/// Stays with everybody.
struct Always;

const TERMS: StayTerms = StayTerms {
    longest: Duration::from_secs(900),
    patience: Duration::from_secs(300),
    have_delay: Duration::from_secs(10),
};

impl Observe for Always {
    fn stay(&self, _: &Torrent, _: PeerId, heard: &mut Heard) -> Option<StayTerms> {
        assert!(heard.told, "asked behind what it told");
        Some(TERMS)
    }
}

/// A peer without the fast extension that has 8 of 20 pieces, and then plays
/// `script`; the threshold is at 11. Also gives the seconds, and what we said
/// behind our handshake.
fn stay(world: &World, script: Vec<Step>) -> (Report, u64, Vec<u8>) {
    let torrent = Torrent {
        threshold: PieceCount(11),
        ..torrent()
    };
    let mut all = vec![send(&handshake(false)), send(&bitfield([0xff, 0, 0]))];
    all.extend(script);
    let mut stream = FakeStream::new(&world.clock, all);
    let start = world.clock.now();
    let visitor = world.visitor().observed_by(&Always);
    let report = visitor.outgoing(&mut stream, &torrent, start);
    let said = stream.written.split_off(68);
    (report, (world.clock.now() - start).as_secs(), said)
}

fn after(seconds: u64, bytes: Vec<u8>) -> Step {
    Step::Send(Duration::from_secs(seconds), bytes)
}

fn counts(end: VisitEnd) -> Verdict {
    Verdict::Counts(end)
}

#[test]
fn haves_are_read_until_the_threshold() {
    let world = World::new();
    let start = world.clock.now();
    let script = vec![
        after(100, have(8)),
        after(3, have(9)),
        after(4, [have(10), have(11)].concat()),
        after(1, have(12)),
    ];
    let (report, seconds, said) = stay(&world, script);
    assert_eq!(report.verdict, counts(VisitEnd::Crossed));
    assert_eq!((seconds, pieces(&report)), (107, 12));
    let heard = report.heard.unwrap();
    let at = |told: Option<crate::analyzer::evaluate::Moment>| (told.unwrap().at - start).as_secs();
    assert_eq!(
        (at(heard.below), at(heard.reached)),
        (93, 107),
        "a have may be late"
    );
    assert_eq!(
        heard.longest_wait,
        Some(Duration::ZERO),
        "only of the visit before"
    );
    let keep_alive = message(encode_keep_alive);
    assert_eq!(
        said, keep_alive,
        "one word in 107 seconds, and nothing else"
    );
}

#[test]
fn haves_may_be_late() {
    let world = World::new();
    let start = world.clock.now();
    let (report, _, _) = stay(
        &world,
        vec![after(50, have(8)), after(40, [have(9), have(10)].concat())],
    );
    let heard = report.heard.unwrap();
    let (below, reached) = (heard.below.unwrap(), heard.reached.unwrap());
    // What comes at once is one statement; the have before it was told at 50 s.
    assert_eq!((below.at - start).as_secs(), 40);
    assert_eq!((reached.at - start).as_secs(), 90);
    assert_eq!(
        (below.pieces, reached.pieces),
        (PieceCount(9), PieceCount(11))
    );
}

#[test]
fn keep_alives_go_out_while_the_peer_is_silent() {
    let world = World::new();
    let words = || (0..14).map(|_| after(30, message(encode_keep_alive)));
    let (report, seconds, said) = stay(&world, words().collect());
    // Words are no progress.
    assert_eq!(report.verdict, counts(VisitEnd::Quiet));
    assert_eq!((seconds, said.len()), (300, 3 * 4));
    assert!(said.iter().all(|byte| *byte == 0));
    let haves: Vec<_> = (0..8).map(|_| after(250, have(0))).collect();
    let (report, seconds, said) = stay(&World::new(), haves);
    assert_eq!(report.verdict, counts(VisitEnd::StayOver));
    // The stay begins when the peer was quiet for six seconds.
    assert_eq!((seconds, said.len()), (906, 10 * 4));
}

#[test]
fn a_stay_that_breaks_counts_whatever_the_method() {
    for world in [World::new(), World::thesis()] {
        let close = Step::Close(Duration::from_secs(20));
        let (report, seconds, _) = stay(&world, vec![after(20, have(8)), close]);
        assert_eq!(report.verdict, broken(Reason::Closed));
        assert_eq!((seconds, pieces(&report)), (40, 9));
        let below = report.heard.unwrap().below.unwrap();
        let ago = world.clock.now() - below.at;
        assert_eq!((ago.as_secs(), below.pieces), (30, PieceCount(9)));
    }
    let fail = Step::Fail(Duration::from_secs(20), Reason::RESET);
    let (report, ..) = stay(&World::new(), vec![after(20, have(8)), fail]);
    assert_eq!(report.verdict, broken(Reason::RESET));
    let (report, ..) = stay(&World::new(), vec![after(20, have(20))]);
    assert_eq!(report.verdict, broken(Reason::HaveOutOfRange));
}

#[test]
fn the_end_of_the_run_ends_a_stay() {
    let world = World::new();
    world.trigger.stop();
    let (report, ..) = stay(&world, vec![Step::Close(Duration::from_secs(20))]);
    assert_eq!(report.verdict, counts(VisitEnd::Stopped));
}

#[test]
fn who_has_everything_or_told_nothing_is_not_stayed_with() {
    let all = vec![after(1, bitfield([0xff, 0xff, 0xf0]))];
    let (report, seconds, _) = stay(&World::new(), all);
    assert_eq!((report.verdict, seconds), (counts(VisitEnd::Complete), 1));
    let at_once = vec![after(20, bitfield([0xff, 0xff, 0xf0]))];
    let (report, seconds, _) = stay(&World::new(), at_once);
    assert_eq!((report.verdict, seconds), (counts(VisitEnd::Complete), 20));
    let world = World::new();
    let mut stream = FakeStream::new(&world.clock, vec![send(&handshake(false))]);
    let visitor = world.visitor().observed_by(&Always);
    let report = visitor.outgoing(&mut stream, &torrent(), world.clock.now());
    assert_eq!(report.verdict, counts(VisitEnd::Quiet));
}

#[test]
fn the_limits_of_a_visit_do_not_end_a_stay() {
    for limit in [1_000, 20] {
        let again: Vec<_> = (0..200).map(|_| after(1, have(0))).collect();
        let script = [
            again,
            vec![send(&have(8)), after(9, have(9)), after(9, have(10))],
        ];
        let mut world = World::new();
        world.settings.message_limit = limit;
        let (report, seconds, _) = stay(&world, script.concat());
        // The budget or the messages of the visit are spent.
        assert_eq!((report.verdict, seconds), (counts(VisitEnd::Crossed), 218));
        assert_eq!(report.heard.unwrap().counts.have, 203);
    }
}

#[test]
fn what_came_behind_the_last_message_of_the_visit_belongs_to_the_stay() {
    let mut world = World::new();
    world.settings.message_limit = 2;
    // The visit ends by the first have: behind it lie one, and half of another.
    let last = have(10);
    let script = vec![
        send(&[have(0), have(8), last[..4].to_vec()].concat()),
        after(5, [&last[4..], &have(9)].concat()),
    ];
    let (report, seconds, _) = stay(&world, script);
    assert_eq!((report.verdict, seconds), (counts(VisitEnd::Crossed), 5));
    assert_eq!(pieces(&report), 11);
    // The threshold itself may lie there.
    let haves = [have(0), have(8), have(9), have(10)].concat();
    let (report, seconds, _) = stay(&world, vec![send(&haves)]);
    assert_eq!((report.verdict, seconds), (counts(VisitEnd::Crossed), 0));
}

proptest! {
    #[test]
    fn whatever_it_says_a_stay_ends(bytes in prop::collection::vec(any::<u8>(), 0..400), chunk in 1_usize..40, pause in 0_u64..200) {
        let script = bytes.chunks(chunk).map(|part| after(pause, part.to_vec()));
        let mut script: Vec<_> = script.collect();
        script.insert(0, after(7, message(encode_have_none)));
        let (_, seconds, said) = stay(&World::new(), script);
        prop_assert!(seconds <= 960, "{seconds}");
        prop_assert!(said.iter().all(|byte| *byte == 0) && said.len() <= 11 * 4);
    }
}
