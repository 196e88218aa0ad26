//! Tests of `lab::swarm`.

use std::collections::HashSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use super::*;
use crate::clock::{ManualClock, SystemClock};
use crate::deadline::Deadline;
use crate::lab::behaviour::Behaviour;
use crate::lab::plan::LabOptions;
use crate::lab::truth::{End, Expected, Rules};
use crate::lab::wire::{self, Greeting};
use crate::model::{Direction, PieceCount, Reason, Timestamp};

const SOON: Duration = Duration::from_secs(20);
const PIECES: u32 = 50;

fn options() -> LabOptions {
    LabOptions {
        torrents: 1,
        peers: Behaviour::ALL.len(),
        callers: 0,
        pieces: (PIECES, PIECES),
        shares: Behaviour::ALL.map(|it| (it, 1)).to_vec(),
        duration: Duration::from_secs(3600),
        download: (Duration::from_secs(3600), Duration::from_secs(3600)),
        drip: Duration::from_millis(1),
        live_pause: Duration::from_millis(1),
        ..LabOptions::default()
    }
}

fn swarm() -> Swarm {
    Swarm::start(Plan::new(options()), Arc::new(SystemClock::new())).unwrap()
}

fn index_of(swarm: &Swarm, behaviour: Behaviour) -> usize {
    let peers = &swarm.plan().peers;
    peers
        .iter()
        .position(|peer| peer.behaviour == behaviour)
        .unwrap()
}

/// What a plain client sees that greets, closes its half and reads on.
#[derive(Debug)]
struct Seen {
    greeting: Option<Greeting>,
    messages: Vec<(u32, Vec<u8>)>,
    bytes: Vec<u8>,
    error: Option<ErrorKind>,
}

impl Seen {
    fn reset() -> Self {
        Self {
            greeting: None,
            messages: Vec::new(),
            bytes: Vec::new(),
            error: Some(ErrorKind::ConnectionReset),
        }
    }
}

fn connect(swarm: &Swarm, behaviour: Behaviour) -> std::io::Result<TcpStream> {
    let index = index_of(swarm, behaviour);
    let stream = TcpStream::connect(swarm.peer_address(index).unwrap())?;
    stream.set_read_timeout(Some(SOON))?;
    Ok(stream)
}

fn greet(swarm: &Swarm, stream: &mut TcpStream) {
    let info_hash = swarm.plan().torrents[0].info_hash;
    let hello = wire::handshake([0, 0, 0, 0, 0, 0, 0, 4], info_hash.as_bytes(), &[b'a'; 20]);
    stream.write_all(&hello).unwrap();
}

fn visit(swarm: &Swarm, behaviour: Behaviour) -> Seen {
    let mut stream = connect(swarm, behaviour).unwrap();
    greet(swarm, &mut stream);
    let mut bytes = Vec::new();
    // To whoever has left already no party does anything.
    if behaviour != Behaviour::Silent {
        let mut greeting = [0; 68];
        let read = match behaviour.fails_before_messages() {
            Some(_) => stream.read(&mut greeting),
            None => stream.read_exact(&mut greeting).map(|()| 68),
        };
        if let Err(error) = &read
            && error.kind() == ErrorKind::ConnectionReset
        {
            return Seen::reset();
        }
        bytes.extend(&greeting[..read.unwrap_or(0)]);
    }
    stream.shutdown(Shutdown::Write).ok();
    let error = stream.read_to_end(&mut bytes).err().map(|it| it.kind());
    let greeting = bytes.first_chunk().and_then(Greeting::parse);
    let messages = bytes.get(68..).map_or_else(Vec::new, messages);
    Seen {
        greeting,
        messages,
        bytes,
        error,
    }
}

/// Lengths and contents of the whole messages in `bytes`.
fn messages(mut bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut found = Vec::new();
    while let Some((prefix, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*prefix);
        let Some((body, rest)) = rest.split_at_checked(length as usize) else {
            found.push((length, Vec::new()));
            break;
        };
        found.push((length, body.to_vec()));
        bytes = rest;
    }
    found
}

/// Distinct pieces in messages, by a reading of BEP 3 and 6 of its own.
fn pieces(messages: &[(u32, Vec<u8>)]) -> u32 {
    let mut found = HashSet::new();
    for (_, body) in messages {
        match body.split_first() {
            Some((4, index)) if index.len() == 4 => {
                let index = u32::from_be_bytes(index.try_into().unwrap());
                found.extend((index < PIECES).then_some(index));
            }
            Some((5, bits)) if bits.len() == 7 => {
                found = (0..PIECES)
                    .filter(|index| bits[*index as usize / 8] >> (7 - index % 8) & 1 == 1)
                    .collect();
            }
            Some((14, [])) => found = (0..PIECES).collect(),
            _ => {}
        }
    }
    u32::try_from(found.len()).unwrap()
}

/// Whether `condition` becomes true before a generous deadline.
fn eventually(condition: impl Fn() -> bool) -> bool {
    let clock = SystemClock::new();
    let deadline = Deadline::after(clock.now(), SOON);
    while deadline.left(clock.now()).is_some() {
        if condition() {
            return true;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    false
}

/// The only contact of the behaviour.
fn contact(truth: &Truth, behaviour: Behaviour) -> Contact {
    let mut found = truth.contacts.iter().filter(|it| it.behaviour == behaviour);
    let contact = found.next().unwrap().clone();
    assert_eq!(found.next(), None);
    contact
}

#[test]
fn honest_peers_tell_what_the_truth_says() {
    use Behaviour::{
        Bitfield, Chatty, Fluctuates, HaveAllNone, HavesOnly, LazyBitfield, RedundantHaves, Seed,
    };
    let swarm = swarm();
    let all = [
        Bitfield,
        LazyBitfield,
        HavesOnly,
        RedundantHaves,
        HaveAllNone,
        Seed,
        Chatty,
        Fluctuates,
    ];
    let seen = all.map(|behaviour| visit(&swarm, behaviour));
    let truth = swarm.stop();
    for (behaviour, seen) in all.into_iter().zip(seen) {
        let contact = contact(&truth, behaviour);
        assert_eq!(seen.error, None, "{behaviour:?}");
        let greeting = seen.greeting.unwrap();
        assert_eq!(greeting.peer_id, truth.plan.peers[contact.party].peer_id);
        let told = pieces(&seen.messages);
        assert_eq!(contact.told.unwrap_or(0), told, "{behaviour:?}");
        assert_eq!(contact.messages as usize, seen.messages.len());
        assert!(contact.handshake && contact.finished, "{behaviour:?}");
        assert_eq!(contact.end, End::TheyClosed);
        if behaviour == Seed {
            assert_eq!(told, PIECES);
        }
        let ids: Vec<u8> = (seen.messages.iter())
            .filter_map(|(_, body)| body.first().copied())
            .collect();
        match behaviour {
            HavesOnly => assert!(ids.iter().all(|id| *id == 4)),
            LazyBitfield => assert!(ids[0] == 5 && ids[1..].iter().all(|id| *id == 4)),
            Chatty => assert_eq!(ids, [5, 9, 1, 2, 99, 6, 17]),
            _ => {}
        }
    }
}

#[test]
fn contacts_that_never_get_to_messages() {
    use Behaviour::{
        ClosesAtOnce, ClosesFirst, DripsHandshake, Garbage, HalfHandshake, Refuses, RefusesFirst,
        Resets, Silent, TlsHello, WrongInfoHash,
    };
    let swarm = swarm();
    for refusing in [Refuses, RefusesFirst] {
        let error = connect(&swarm, refusing).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
    assert_eq!(visit(&swarm, Silent).bytes, b"");
    assert_eq!(visit(&swarm, HalfHandshake).bytes.len(), 30);
    assert!(visit(&swarm, Garbage).bytes.starts_with(&[0x5a; 68]));
    assert!(visit(&swarm, TlsHello).bytes.starts_with(&[0x16, 3, 1]));
    assert_eq!(visit(&swarm, ClosesAtOnce).bytes, b"");
    let reset = visit(&swarm, Resets);
    assert_eq!(reset.error, Some(ErrorKind::ConnectionReset));
    let wrong = visit(&swarm, WrongInfoHash).greeting.unwrap();
    assert_ne!(
        &wrong.info_hash,
        swarm.plan().torrents[0].info_hash.as_bytes()
    );
    let mut dripping = connect(&swarm, DripsHandshake).unwrap();
    let mut bytes = [0; 68];
    dripping.read_exact(&mut bytes).unwrap();
    assert!(Greeting::parse(&bytes).is_some());
    assert_eq!(visit(&swarm, ClosesFirst).bytes, b"");
    assert!(visit(&swarm, ClosesFirst).greeting.is_some());
    drop(dripping);
    let truth = swarm.stop();
    for (behaviour, reason) in [
        (Silent, Reason::TimedOut),
        (HalfHandshake, Reason::TimedOut),
        (Garbage, Reason::UnknownProtocol),
        (TlsHello, Reason::UnknownProtocol),
        (ClosesAtOnce, Reason::Closed),
        (Resets, Reason::RESET),
        (WrongInfoHash, Reason::InfoHashMismatch),
    ] {
        let contact = contact(&truth, behaviour);
        let expected = truth.expected(&contact, Rules::corrected(1_000));
        assert_eq!(expected, Expected::Fails(reason), "{behaviour:?}");
        assert!(!behaviour.counts() && !contact.handshake);
    }
    let first_closes: Vec<bool> = (truth.contacts.iter())
        .filter(|it| it.behaviour == ClosesFirst)
        .map(|it| it.handshake)
        .collect();
    assert_eq!(first_closes, [false, true]);
}

#[test]
fn wrong_messages() {
    use Behaviour::{
        BadBitfieldLength, ClosesAfterHandshake, HaveBadPayload, HaveOutOfRange, HugeLengthFlood,
        HugeLengthSilent, SendsPiece, SpareBits,
    };
    let swarm = swarm();
    let last = |behaviour| visit(&swarm, behaviour).messages.pop();
    assert_eq!(last(ClosesAfterHandshake), None);
    assert_eq!(last(BadBitfieldLength).unwrap().0, 9);
    let spare = last(SpareBits).unwrap().1;
    assert!(spare.len() == 8 && spare[7] & 0x3f != 0);
    assert_eq!(last(HaveOutOfRange).unwrap().1, [4, 0, 0, 0, 50]);
    assert_eq!(last(HaveBadPayload).unwrap().1, [4, 0, 0, 0]);
    assert_eq!(last(SendsPiece).unwrap().1[0], 7);
    assert_eq!(visit(&swarm, HugeLengthSilent).bytes[68..], [0xff; 4]);
    let flood = visit(&swarm, HugeLengthFlood);
    assert_eq!(flood.messages[0].1[0], 5);
    assert_eq!(flood.messages[1].0, u32::MAX);
    assert!(flood.bytes.len() > 4_000_000);
    let truth = swarm.stop();
    for (behaviour, reason) in [
        (ClosesAfterHandshake, Reason::Closed),
        (BadBitfieldLength, Reason::BitfieldLength),
        (SpareBits, Reason::SpareBits),
        (HaveOutOfRange, Reason::HaveOutOfRange),
        (HaveBadPayload, Reason::PayloadLength),
        (SendsPiece, Reason::PieceReceived),
        (HugeLengthSilent, Reason::MessageTooLong),
        (HugeLengthFlood, Reason::MessageTooLong),
    ] {
        let contact = contact(&truth, behaviour);
        assert_eq!(contact.fault, Some(reason));
        let expected = truth.expected(&contact, Rules::corrected(1_000));
        let wanted = match contact.told {
            Some(told) if behaviour.counts() => Expected::Counts(PieceCount(told)),
            _ => Expected::Fails(reason),
        };
        assert_eq!(expected, wanted, "{behaviour:?}");
        assert_eq!(behaviour.counts(), matches!(expected, Expected::Counts(_)));
    }
}

#[test]
fn slow_and_live_peers() {
    use Behaviour::{DripsMessage, KeepAlives, LiveHaves};
    let swarm = Swarm::start(
        Plan::new(LabOptions {
            download: (Duration::from_secs(1), Duration::from_secs(1)),
            live_time: SOON,
            ..options()
        }),
        Arc::new(SystemClock::new()),
    )
    .unwrap();
    let read = |behaviour, count: usize| {
        let mut stream = connect(&swarm, behaviour).unwrap();
        greet(&swarm, &mut stream);
        let mut bytes = vec![0; 68 + count];
        stream.read_exact(&mut bytes).unwrap();
        bytes.split_off(68)
    };
    let live = read(LiveHaves, 12);
    let index = index_of(&swarm, LiveHaves);
    assert_eq!(live[4], 5, "bitfield");
    assert!(swarm.plan().peers[index].progress.start < PIECES);
    assert_eq!(read(KeepAlives, 12), [0; 12]);
    let dripped = messages(&read(DripsMessage, 12 + 9));
    assert_eq!(dripped[0].1[0], 5);
    assert_eq!(dripped[1].0, 1001);
    assert!(eventually(|| swarm.contacts().len() == 3));
    let truth = swarm.stop();
    let dripping = contact(&truth, DripsMessage);
    let told = PieceCount(dripping.told.unwrap());
    assert_eq!(
        truth.expected(&dripping, Rules::corrected(1_000)),
        Expected::Counts(told)
    );
    let quiet = contact(&truth, KeepAlives);
    assert_eq!((quiet.told, quiet.messages), (None, 3));
}

#[test]
fn live_peers_tell_each_piece_when_it_comes() {
    let clock = ManualClock::new(Timestamp(1_000_000));
    let swarm = Swarm::start(
        Plan::new(LabOptions {
            peers: 1,
            shares: vec![(Behaviour::LiveHaves, 1)],
            stalls: 0,
            download: (Duration::from_secs(50), Duration::from_secs(50)),
            live_time: Duration::from_secs(10),
            ..options()
        }),
        Arc::new(clock.clone()),
    )
    .unwrap();
    let start = swarm.plan().peers[0].progress.start;
    assert!(start + 5 < PIECES, "a seed of the plan that leaves room");
    let mut stream = connect(&swarm, Behaviour::LiveHaves).unwrap();
    greet(&swarm, &mut stream);
    let mut bytes = vec![0; 68 + 12];
    stream.read_exact(&mut bytes).unwrap();
    let mut all = messages(&bytes[68..]);
    assert_eq!(pieces(&all), start);
    // A piece a second: one have each time the clock moves on.
    for more in 1..=4 {
        clock.advance(Duration::from_secs(1));
        // Its pause may have begun just before or just behind the step; in the
        // second case it needs a little more.
        assert!(eventually(|| {
            clock.advance(Duration::from_millis(1));
            stream.set_nonblocking(true).unwrap();
            let come = stream.peek(&mut [0; 9]).is_ok_and(|count| count == 9);
            stream.set_nonblocking(false).unwrap();
            come
        }));
        let mut have = [0; 9];
        stream.read_exact(&mut have).unwrap();
        all.extend(messages(&have));
        assert_eq!(pieces(&all), start + more);
    }
    drop(stream);
    let truth = swarm.stop();
    let contact = contact(&truth, Behaviour::LiveHaves);
    assert!(contact.told >= Some(start + 4) && contact.messages >= 5);
    assert!(contact.slowest >= 1_000);
}

#[test]
fn what_there_is_no_thread_for_is_in_the_truth() {
    let swarm = swarm();
    swarm.pool.stop();
    let mut stream = connect(&swarm, Behaviour::Bitfield).unwrap();
    assert_eq!(stream.read(&mut [0; 8]).unwrap_or(0), 0);
    assert!(eventually(|| swarm.contacts_ended() == 1));
    let truth = swarm.stop();
    let contact = contact(&truth, Behaviour::Bitfield);
    assert_eq!(contact.end, End::NotServed);
    let expected = truth.expected(&contact, Rules::corrected(1_000));
    assert_eq!(expected, Expected::Open(PieceCount(0)));
}

#[test]
fn behind_the_curfew_every_connection_is_closed() {
    let clock = ManualClock::new(Timestamp(1_000_000));
    let plan = Plan::new(LabOptions {
        ending: Duration::from_secs(600),
        ..options()
    });
    let swarm = Swarm::start(plan, Arc::new(clock.clone())).unwrap();
    assert!(visit(&swarm, Behaviour::Seed).greeting.is_some());
    clock.advance(Duration::from_secs(3_000));
    assert_eq!(visit(&swarm, Behaviour::Seed).bytes, b"");
    assert_eq!(visit(&swarm, Behaviour::Chatty).bytes, b"");
    let truth = swarm.stop();
    let expected: Vec<_> = truth.contacts[1..]
        .iter()
        .map(|contact| truth.expected(contact, Rules::corrected(1_000)))
        .collect();
    assert_eq!(expected, [Expected::Fails(Reason::Closed); 2]);
}

#[test]
fn late_peers_begin_to_listen() {
    let clock = ManualClock::new(Timestamp(1_000_000));
    let swarm = Swarm::start(Plan::new(options()), Arc::new(clock.clone())).unwrap();
    assert!(connect(&swarm, Behaviour::RefusesFirst).is_err());
    clock.advance(Duration::from_secs(720));
    assert!(eventually(
        || connect(&swarm, Behaviour::RefusesFirst).is_ok()
    ));
    assert!(visit(&swarm, Behaviour::RefusesFirst).greeting.is_some());
}

/// An analyzer's listener as simple as can be: answers every handshake.
fn answer_callers(listener: &TcpListener) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        std::thread::spawn(move || -> std::io::Result<()> {
            stream.set_read_timeout(Some(Duration::from_millis(300)))?;
            let mut hello = [0; 68];
            stream.read_exact(&mut hello)?;
            stream.write_all(&hello)?;
            stream.shutdown(Shutdown::Write)?;
            stream.set_read_timeout(Some(SOON))?;
            stream.read_to_end(&mut Vec::new()).map(drop)
        });
    }
}

#[test]
fn many_peers_and_a_storm_of_callers() {
    let mut swarm = Swarm::start(
        Plan::new(LabOptions {
            peers: 300,
            callers: 50,
            duration: Duration::from_secs(2),
            ..LabOptions::default()
        }),
        Arc::new(SystemClock::new()),
    )
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    swarm.call(listener.local_addr().unwrap()).unwrap();
    std::thread::spawn(move || answer_callers(&listener));
    let mut streams: Vec<TcpStream> = (0..300)
        .filter_map(|index| TcpStream::connect(swarm.peer_address(index)?).ok())
        .collect();
    assert!(streams.len() > 250, "{}", streams.len());
    for (stream, torrent) in streams.iter_mut().zip((0..3).cycle()) {
        let info_hash = swarm.plan().torrents[torrent].info_hash;
        let hello = wire::handshake(wire::NO_EXTENSIONS, info_hash.as_bytes(), &[b'a'; 20]);
        // Some reset at once.
        let _ = stream.write_all(&hello);
    }
    assert!(eventually(|| {
        let contacts = swarm.contacts();
        let called = contacts
            .iter()
            .filter(|it| it.direction == Direction::Incoming);
        called.count() >= 50
    }));
    let truth = swarm.stop();
    assert!(truth.contacts.is_sorted_by_key(|it| it.ended));
    assert!(truth.contacts.iter().all(|it| it.end != End::NotConnected));
    assert!(truth.contacts.len() > 300);
    let evaluated = truth
        .contacts
        .iter()
        .filter(|it| it.direction == Direction::Incoming && it.handshake);
    assert!(evaluated.count() > 10);
    drop(streams);
}

#[test]
fn torrent_files_on_disk() {
    let swarm = swarm();
    let folder = tempfile::tempdir().unwrap();
    let files = swarm.torrent_files(folder.path()).unwrap();
    assert_eq!(files.len(), 1);
    let bytes = std::fs::read(&files[0]).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("/compact/announce") && text.contains("udp://127.0.0.1:"));
}
