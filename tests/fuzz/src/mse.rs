//! The handshakes of message stream encryption, both sides.
//!
//! Random bytes would never get past the keys. So two honest sides talk
//! first, and what each of them said is changed on its way: the cipher only
//! adds to its bytes, so that whatever a hostile side could encrypt comes
//! about by changing bytes of an honest one.

use std::cell::RefCell;

use btda::model::InfoHash;
use btda::protocol::mse::{
    Chance, DIGEST_LEN, EXPONENT_LEN, Initiator, KEY_LEN, Method, Methods, MseError, PAD_MAX,
    Responder, Torrents, torrent_hash,
};

use super::input::Input;

const SKEY: InfoHash = InfoHash::new([7; 20]);

/// Behind the handshake, from either side.
const STREAM: &[u8] = b"\x13BitTorrent protocol";

/// The most that either handshake takes: keys, padding, hashes, fields.
const TAKEN_MAX: usize = KEY_LEN + PAD_MAX + 2 * DIGEST_LEN + 14 + PAD_MAX + 2;

struct One;

impl Torrents for One {
    fn by_torrent_hash(&self, hash: &[u8; DIGEST_LEN]) -> Option<InfoHash> {
        (*hash == torrent_hash(&SKEY)).then_some(SKEY)
    }
}

/// Bytes of the initiator and of the responder.
type Said = (Vec<u8>, Vec<u8>);

/// What both sides bring along.
#[derive(Clone, PartialEq, Eq)]
struct Setup {
    chance_a: Chance,
    chance_b: Chance,
    provide: Methods,
    prefer: Method,
    initial: Vec<u8>,
}

impl Setup {
    fn read(input: &mut Input<'_>) -> Self {
        let method = |byte: u8| {
            if byte & 1 == 0 {
                Method::Rc4
            } else {
                Method::Plaintext
            }
        };
        let flags = input.byte();
        let provide = match flags >> 1 & 3 {
            0 | 1 => Methods::BOTH,
            2 => Methods::only(Method::Rc4),
            _ => Methods::only(Method::Plaintext),
        };
        let mut chance = || {
            let seed = input.byte();
            let length = usize::from(input.byte()) * 2;
            Chance {
                exponent: [seed; EXPONENT_LEN],
                pad: vec![seed; length.min(PAD_MAX)],
                inner_pad: u16::from(input.byte()) * 2,
            }
        };
        Self {
            chance_a: chance(),
            chance_b: chance(),
            provide,
            prefer: method(flags),
            initial: vec![b'i'; usize::from(input.byte())],
        }
    }

    fn initiator(&self, out: &mut Vec<u8>) -> Machine {
        let (provide, initial) = (self.provide, &self.initial);
        Machine::Initiator(Initiator::new(SKEY, provide, initial, &self.chance_a, out))
    }

    fn responder(&self) -> Machine {
        Machine::Responder(Responder::new(self.prefer, &self.chance_b))
    }

    /// All that an honest initiator and an honest responder send. Worked out
    /// once for inputs that differ only in their changes.
    fn honest(&self) -> Said {
        thread_local! {
            static LATEST: RefCell<Vec<(Setup, Said)>> = const { RefCell::new(Vec::new()) };
        }
        LATEST.with_borrow_mut(|latest| {
            if let Some((_, said)) = latest.iter().find(|(setup, _)| setup == self) {
                return said.clone();
            }
            let said = self.talk();
            if latest.len() >= 256 {
                latest.remove(0);
            }
            latest.push((self.clone(), said.clone()));
            said
        })
    }

    fn talk(&self) -> Said {
        let (mut forth, mut back) = (Vec::new(), Vec::new());
        let (mut a, mut b) = (self.initiator(&mut forth), self.responder());
        let mut taken = 0;
        taken += b.feed(&forth, &mut back).expect("a key");
        let answered = a.feed(&back, &mut forth).expect("a key");
        b.feed(&forth[taken..], &mut back).expect("a torrent");
        a.feed(&back[answered..], &mut forth).expect("an answer");
        for (machine, bytes) in [(a, &mut forth), (b, &mut back)] {
            let mut stream = STREAM.to_vec();
            let mut sealed = machine.sealed().expect("honest sides agree");
            sealed.encrypt.apply(&mut stream);
            bytes.extend(stream);
        }
        (forth, back)
    }
}

enum Machine {
    Initiator(Initiator),
    Responder(Responder),
}

impl Machine {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, MseError> {
        match self {
            Self::Initiator(machine) => machine.feed(input, out),
            Self::Responder(machine) => machine.feed(input, &One, out),
        }
    }

    fn sealed(self) -> Option<btda::protocol::mse::Sealed> {
        match self {
            Self::Initiator(mut machine) => machine.sealed(),
            Self::Responder(mut machine) => machine.sealed(),
        }
    }
}

/// How a handshake ended.
#[derive(Debug, PartialEq, Eq)]
struct End {
    error: Option<MseError>,
    method: Option<Method>,
    said: Vec<u8>,
    /// What followed, decrypted.
    stream: Vec<u8>,
}

/// Feeds `bytes` in chunks of `sizes` in turn.
fn play(mut machine: Machine, bytes: &[u8], sizes: &[usize]) -> End {
    let (mut at, mut said, mut error) = (0, Vec::new(), None);
    for size in sizes.iter().cycle() {
        let chunk = &bytes[at..(at + size).min(bytes.len())];
        match machine.feed(chunk, &mut said) {
            Ok(taken) => {
                assert!(taken <= chunk.len());
                at += taken;
                if taken < chunk.len() || at == bytes.len() {
                    break;
                }
            }
            Err(found) => {
                error = Some(found);
                break;
            }
        }
        assert!(at <= TAKEN_MAX, "went on for {at} bytes");
    }
    assert!(said.len() <= TAKEN_MAX + u16::MAX as usize);
    if error.is_some() {
        let before = said.len();
        assert_eq!(
            machine.feed(bytes, &mut said),
            Ok(0),
            "nothing behind an error"
        );
        assert_eq!(said.len(), before);
    }
    let sealed = machine.sealed();
    assert!(error.is_none() || sealed.is_none());
    let (method, mut stream) = (sealed.as_ref().map(|s| s.method), Vec::new());
    if let Some(mut sealed) = sealed {
        stream.extend_from_slice(&bytes[at..]);
        sealed.decrypt.apply(&mut stream);
    }
    End {
        error,
        method,
        said,
        stream,
    }
}

/// Changes, drops or adds bytes; tells whether it did anything.
fn edit(bytes: &mut Vec<u8>, input: &mut Input<'_>) -> bool {
    let before = bytes.clone();
    for _ in 0..input.byte() % 8 {
        let (at, what) = (usize::from(input.short()), input.byte());
        let at = at % (bytes.len() + 1);
        match what {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..(at + usize::from(input.byte())).min(bytes.len()))),
            2 => {
                let more = vec![input.byte(); usize::from(input.short() % 1024)];
                bytes.splice(at..at, more);
            }
            mask => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= mask;
                }
            }
        }
    }
    *bytes != before
}

/// The first byte chooses the side, the next are what both sides bring along
/// and how its stream is cut; the rest says what is changed.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let calls = input.byte() & 1 != 0;
    let setup = Setup::read(&mut input);
    let sizes = [input.byte(), input.byte(), input.byte()];
    let sizes = sizes.map(|size| usize::from(size).max(1));
    let (forth, back) = setup.honest();
    let start = || {
        if calls {
            setup.initiator(&mut Vec::new())
        } else {
            setup.responder()
        }
    };
    let (mut bytes, stream) = if calls {
        (back, STREAM.to_vec())
    } else {
        (forth, [&setup.initial, STREAM].concat())
    };
    let changed = edit(&mut bytes, &mut input);
    let end = play(start(), &bytes, &[usize::from(u16::MAX)]);
    assert_eq!(play(start(), &bytes, &sizes), end, "in chunks {sizes:?}");
    if !changed {
        assert_eq!((end.error, end.stream), (None, stream));
    }
}
