//! Conversations with scripted streams, on a clock moved by hand.

use super::*;
use crate::clock::ManualClock;
use crate::model::{InfoHash, Timestamp};
use crate::net::fake::{FakeStream, Step};
use crate::stop::{StopTrigger, stop_pair};

const PEER: PeerNumber = PeerNumber(7);

fn metadata() -> Vec<u8> {
    (0..BLOCK_LEN + 10)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect()
}

struct World {
    clock: ManualClock,
    context: FetchContext,
    assembly: Mutex<MetadataAssembly>,
    trigger: StopTrigger,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::new(Timestamp(0));
        let (trigger, stop) = stop_pair();
        let context = FetchContext {
            clock: Arc::new(clock.clone()),
            stop,
            own_id: PeerId::new(*b"-XX0000-own id......"),
            settings: FetchSettings::default(),
        };
        let hash = InfoHash::of(&metadata());
        Self {
            clock,
            context,
            assembly: Mutex::new(MetadataAssembly::new(hash, METADATA_SIZE_MAX)),
            trigger,
        }
    }

    /// Plays the script; the result and what we sent behind our handshake.
    fn play(&self, script: Vec<Step>) -> (Result<(), FetchError>, String) {
        let mut stream = FakeStream::new(&self.clock, script);
        let result = fetch(&self.context, &self.assembly, PEER, &mut stream);
        let sent = stream.written.get(68..).unwrap_or_default();
        (result, sent.escape_ascii().to_string())
    }
}

fn handshake(change: impl Fn(&mut Handshake)) -> Step {
    let mut theirs = Handshake {
        reserved: Reserved::default().with_extension().with_fast(),
        info_hash: InfoHash::of(&metadata()),
        peer_id: PeerId::new([b'p'; 20]),
    };
    change(&mut theirs);
    Step::Send(Duration::ZERO, theirs.encode().to_vec())
}

fn extended(number: u8, payload: &[u8]) -> Step {
    let mut bytes = Vec::new();
    let payload = [&[number][..], payload].concat();
    crate::protocol::message::encode_raw(20, &payload, &mut bytes);
    Step::Send(Duration::from_secs(1), bytes)
}

fn offer(size: usize) -> Step {
    let text = format!("d1:md11:ut_metadatai9ee13:metadata_sizei{size}ee");
    extended(0, text.as_bytes())
}

fn data(piece: usize) -> Step {
    let metadata = metadata();
    let block = metadata.chunks(BLOCK_LEN).nth(piece).unwrap();
    let size = metadata.len();
    let header = format!("d8:msg_typei1e5:piecei{piece}e10:total_sizei{size}ee");
    extended(4, &[header.as_bytes(), block].concat())
}

#[test]
fn asks_for_every_block_and_for_nothing_else() {
    let world = World::new();
    let state = Step::Send(
        Duration::ZERO,
        b"\0\0\0\0\0\0\0\x01\x0f\0\0\0\x01\x01".to_vec(),
    );
    let script = vec![
        handshake(|_| ()),
        state,
        offer(metadata().len()),
        data(1),
        data(0),
    ];
    let (result, sent) = world.play(script);
    assert_eq!(result, Ok(()));
    assert_eq!(world.assembly.lock().metadata(), Some(&metadata()[..]));
    let version = concat!("btda ", env!("CARGO_PKG_VERSION"));
    let ours = format!(
        "\\x00d1:md11:ut_metadatai4ee1:v{}:{version}e",
        version.len()
    );
    let requests = "\\x00\\x00\\x00\\x1b\\x14\\td8:msg_typei0e5:piecei0ee\
        \\x00\\x00\\x00\\x1b\\x14\\td8:msg_typei0e5:piecei1ee";
    assert!(sent.ends_with(&format!("{ours}{requests}")), "{sent}");
    assert_eq!(sent.matches("\\x00\\x00\\x00").count(), 3, "three messages");
}

#[test]
fn bits_of_our_handshake() {
    let mut world = World::new();
    for (dht, last) in [(false, 0), (true, 1)] {
        world.context.settings.dht = dht;
        let mut stream = FakeStream::new(&world.clock, vec![]);
        let silent = fetch(&world.context, &world.assembly, PEER, &mut stream);
        assert_eq!(silent, Err(FetchError::Net(Reason::TimedOut)));
        assert_eq!(stream.written[20..28], [0, 0, 0, 0, 0, 0x10, 0, last]);
    }
}

#[test]
fn peers_that_cannot_help_are_left() {
    let play = |script| World::new().play(script).0;
    let own_id = |theirs: &mut Handshake| theirs.peer_id = PeerId::new(*b"-XX0000-own id......");
    let plain = |theirs: &mut Handshake| theirs.reserved = Reserved::default();
    let other = |theirs: &mut Handshake| theirs.info_hash = InfoHash::new([1; 20]);
    assert_eq!(play(vec![handshake(own_id)]), Err(FetchError::OwnAddress));
    assert_eq!(play(vec![handshake(plain)]), Err(FetchError::NoExtensions));
    assert_eq!(play(vec![handshake(other)]), Err(FetchError::OtherTorrent));
    let http = Step::Send(Duration::ZERO, b"HTTP/1.1 200 OK\r\n".to_vec());
    assert_eq!(play(vec![http]), Err(FetchError::NotBitTorrent));
    let after = |step| play(vec![handshake(|_| ()), step]);
    assert_eq!(
        after(Step::Close(Duration::ZERO)),
        Err(FetchError::Net(Reason::Closed))
    );
    let reset = Step::Fail(Duration::ZERO, Reason::RESET);
    assert_eq!(after(reset), Err(FetchError::Net(Reason::RESET)));
    assert_eq!(after(extended(0, b"d1:mdee")), Err(FetchError::NoMetadata));
    let no_size = extended(0, b"d1:md11:ut_metadatai9eee");
    assert_eq!(after(no_size), Err(FetchError::NoMetadata));
    let off = extended(0, b"d1:md11:ut_metadatai0ee13:metadata_sizei9ee");
    assert_eq!(after(off), Err(FetchError::NoMetadata));
    assert!(matches!(
        after(extended(0, b"x")),
        Err(FetchError::BadHandshake(_))
    ));
    let large = METADATA_SIZE_MAX + 1;
    assert_eq!(
        after(offer(large)),
        Err(FetchError::NotWanted(JoinError::TooLarge))
    );
    let long = Step::Send(Duration::ZERO, vec![0xff; 8]);
    assert_eq!(after(long), Err(FetchError::TooMuch));
}

#[test]
fn rejections_and_wrong_blocks_end_it() {
    let world = World::new();
    let start = || vec![handshake(|_| ()), offer(metadata().len())];
    let reject = |piece| extended(4, format!("d8:msg_typei2e5:piecei{piece}ee").as_bytes());
    let script = [start(), vec![reject(0), reject(1)]].concat();
    assert_eq!(world.play(script).0, Err(FetchError::Rejected));
    assert!(!world.assembly.lock().is_excluded(PEER));
    // What was not asked for, other extensions, and rubbish change nothing.
    let noise = vec![
        extended(4, b"d8:msg_typei1e5:piecei55eexx"),
        extended(4, b"rubbish"),
        extended(4, b"d8:msg_typei0e5:piecei0ee"),
        extended(3, b"d1:xe"),
        extended(0, b"d1:md11:ut_metadatai8eee"),
    ];
    let short = extended(4, b"d8:msg_typei1e5:piecei0eexx");
    let script = [start(), noise, vec![short]].concat();
    let wrong = FetchError::Block(BlockError::WrongLength);
    assert_eq!(world.play(script).0, Err(wrong));
    assert!(world.assembly.lock().is_excluded(PEER));
    let excluded = FetchError::NotWanted(JoinError::Excluded);
    assert_eq!(world.play(start()).0, Err(excluded));
}

#[test]
fn silence_and_dripping_cost_limited_time() {
    let world = World::new();
    let before = world.clock.now();
    let script = vec![handshake(|_| ()), offer(metadata().len())];
    assert_eq!(world.play(script).0, Err(FetchError::Net(Reason::TimedOut)));
    assert_eq!(world.clock.now() - before, Duration::from_secs(7));
    // A keep-alive every five seconds, for ever.
    let world = World::new();
    let before = world.clock.now();
    let keep_alive = Step::Send(Duration::from_secs(5), vec![0; 4]);
    let script = [vec![handshake(|_| ())], vec![keep_alive; 100]].concat();
    assert_eq!(world.play(script).0, Err(FetchError::BudgetSpent));
    assert_eq!(world.clock.now() - before, Duration::from_secs(60));
    // Single bytes do not even renew the quiet timeout.
    let drip = Step::Send(Duration::from_secs(1), vec![0]);
    let world = World::new();
    let before = world.clock.now();
    let script = [vec![handshake(|_| ()), offer(20_000)], vec![drip; 3]].concat();
    assert_eq!(world.play(script).0, Err(FetchError::Net(Reason::TimedOut)));
    assert_eq!(world.clock.now() - before, Duration::from_secs(7));
    let world = World::new();
    let flood = Step::Send(Duration::ZERO, vec![0; 1_000_000]);
    let script = vec![handshake(|_| ()), flood];
    assert_eq!(world.play(script).0, Err(FetchError::TooMuch));
}

#[test]
fn the_end_of_the_run_and_the_success_of_others_end_it() {
    let world = World::new();
    world.trigger.stop();
    assert_eq!(
        world.play(vec![handshake(|_| ())]).0,
        Err(FetchError::Stopped)
    );
    let world = World::new();
    let metadata = metadata();
    {
        let mut assembly = world.assembly.lock();
        let other = PeerNumber(1);
        assembly
            .join(other, i64::try_from(metadata.len()).unwrap())
            .unwrap();
        for (index, block) in (0..).zip(metadata.chunks(BLOCK_LEN)) {
            assembly.next_request(other).unwrap();
            assembly.block(other, index, None, block).unwrap();
        }
    }
    assert_eq!(world.play(vec![]).0, Ok(()));
}
