//! The extension protocol (BEP 10): handshakes that say which extensions a
//! side speaks, and under which number.
//!
//! Pure. Used by every visit and where metadata are fetched
//! ([`super::metadata`]). An extended message is message 20 with one more
//! byte: 0 for the extended handshake, else the number that the receiver gave
//! the extension in its own handshake.

use std::fmt;
use std::net::IpAddr;

use super::bencode::{Malformed, Value};
use super::message::{self, id};
use crate::model::PieceIndex;

/// Number of the extended handshake.
pub const HANDSHAKE: u8 = 0;

/// Name of the metadata exchange (BEP 9).
pub const UT_METADATA: &[u8] = b"ut_metadata";

/// Name of the message that takes a `have` back (BEP 54).
pub const LT_DONTHAVE: &[u8] = b"lt_donthave";

/// How we name ourselves to peers.
pub const CLIENT: &str = concat!("btda ", env!("CARGO_PKG_VERSION"));

/// Extensions of one peer that are kept.
pub const EXTENSIONS_MAX: usize = 64;

/// Longest name of an extension that is kept, in bytes.
const NAME_LEN_MAX: usize = 64;

/// Longest client name that is kept, in bytes.
const CLIENT_LEN_MAX: usize = 128;

/// What a peer's extended handshake says. Unknown keys, and values of the
/// wrong kind, are as if they were missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExtendedHandshake {
    /// `m`: extensions by name with the number under which the peer wants
    /// them; 0, which switches one off, is left out.
    extensions: Vec<(Vec<u8>, u8)>,
    /// `metadata_size`: bytes of the info dictionary, as claimed.
    pub metadata_size: Option<i64>,
    /// `v`: name and version of the client, not yet fit for a log.
    pub client: Option<Vec<u8>>,
    /// `p`: the port on which the peer listens.
    pub port: Option<u16>,
    /// `reqq`: requests that the peer lets wait.
    pub request_queue: Option<u32>,
    /// `yourip`: where the peer sees us.
    pub your_ip: Option<IpAddr>,
    /// `upload_only` (BEP 21): whether the peer wants no more pieces.
    pub upload_only: Option<bool>,
}

/// The payload is no extended handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidHandshake {
    /// It does not begin with bencoding.
    Malformed(Malformed),
    /// It is something else than a dictionary.
    NotDictionary,
}

impl fmt::Display for InvalidHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::NotDictionary => f.write_str("extended handshake is no dictionary"),
        }
    }
}

impl std::error::Error for InvalidHandshake {}

impl ExtendedHandshake {
    /// Reads the payload behind the byte 0. Bytes behind the dictionary are
    /// ignored.
    ///
    /// ```
    /// use btda::protocol::extension::{ExtendedHandshake, UT_METADATA};
    /// let theirs = ExtendedHandshake::parse(b"d1:md11:ut_metadatai2ee13:metadata_sizei500ee")?;
    /// assert_eq!(theirs.number_of(UT_METADATA), Some(2));
    /// assert_eq!(theirs.metadata_size, Some(500));
    /// # Ok::<(), btda::protocol::extension::InvalidHandshake>(())
    /// ```
    pub fn parse(payload: &[u8]) -> Result<Self, InvalidHandshake> {
        let (value, _) = Value::parse_prefix(payload).map_err(InvalidHandshake::Malformed)?;
        let entries = value.dict().ok_or(InvalidHandshake::NotDictionary)?;
        let mut handshake = Self::default();
        for (key, value) in entries {
            match key {
                b"m" => handshake.add_extensions(value),
                b"metadata_size" => handshake.metadata_size = value.integer(),
                b"v" => handshake.client = value.bytes().map(client),
                b"p" => handshake.port = unsigned(value).filter(|&port: &u16| port != 0),
                b"reqq" => handshake.request_queue = unsigned(value),
                b"yourip" => handshake.your_ip = value.bytes().and_then(ip),
                b"upload_only" => {
                    handshake.upload_only = value.integer().map(|flag| flag != 0);
                }
                _ => {}
            }
        }
        Ok(handshake)
    }

    fn add_extensions(&mut self, value: Value<'_>) {
        for (name, number) in value.dict().into_iter().flatten() {
            let number = unsigned(number).filter(|&number: &u8| number != 0);
            if let Some(number) = number
                && name.len() <= NAME_LEN_MAX
                && self.extensions.len() < EXTENSIONS_MAX
            {
                self.extensions.push((name.to_vec(), number));
            }
        }
    }

    /// Takes a further handshake of the same peer, which says only what has
    /// changed; an extension that it switches off stays known.
    pub fn update(&mut self, later: Self) {
        for (name, number) in later.extensions {
            let room = self.extensions.len() < EXTENSIONS_MAX;
            match self.extensions.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = number,
                None if room => self.extensions.push((name, number)),
                None => {}
            }
        }
        self.metadata_size = later.metadata_size.or(self.metadata_size);
        self.client = later.client.or(self.client.take());
        self.port = later.port.or(self.port);
        self.request_queue = later.request_queue.or(self.request_queue);
        self.your_ip = later.your_ip.or(self.your_ip);
        self.upload_only = later.upload_only.or(self.upload_only);
    }

    /// The number under which the peer wants the extension `name`, if it
    /// speaks it.
    pub fn number_of(&self, name: &[u8]) -> Option<u8> {
        let mut extensions = self.extensions.iter();
        extensions.find_map(|(known, number)| (known == name).then_some(*number))
    }
}

fn unsigned<T: TryFrom<i64>>(value: Value<'_>) -> Option<T> {
    T::try_from(value.integer()?).ok()
}

fn client(name: &[u8]) -> Vec<u8> {
    name.get(..CLIENT_LEN_MAX).unwrap_or(name).to_vec()
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(IpAddr::from(*bytes.first_chunk::<4>()?)),
        16 => Some(IpAddr::from(*bytes.first_chunk::<16>()?)),
        _ => None,
    }
}

/// Number and payload of an extended message; `None` for an empty one.
pub fn split(payload: &[u8]) -> Option<(u8, &[u8])> {
    payload.split_first().map(|(&number, rest)| (number, rest))
}

/// The piece that the peer lost, from the payload of `lt_donthave` behind its
/// number (BEP 54); `None` when it has not four bytes. The index is not yet
/// known to be in range.
pub fn dont_have(payload: &[u8]) -> Option<PieceIndex> {
    let index = payload.try_into().ok()?;
    Some(PieceIndex(u32::from_be_bytes(index)))
}

/// Our extended handshake. It has no `metadata_size`, since we have none to
/// give, and no `upload_only`: we load nothing, but give nothing either, and
/// clients close a connection between two that only upload (BEP 21) before
/// they tell their pieces.
#[derive(Debug, Clone, Copy, Default)]
pub struct OwnHandshake<'a> {
    /// `m`: what we understand, sorted by name, under which numbers (1 to
    /// 255).
    pub extensions: &'a [(&'a [u8], u8)],
    /// `v`: how we name ourselves.
    pub client: &'a str,
    /// `p`: where we listen.
    pub port: Option<u16>,
    /// `reqq`: requests that may wait.
    pub request_queue: Option<u32>,
    /// `yourip`: where we see the peer.
    pub your_ip: Option<IpAddr>,
}

impl OwnHandshake<'_> {
    /// Appends it as a whole message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut payload = b"\0d1:md".to_vec();
        for (name, number) in self.extensions {
            push_text(name, &mut payload);
            payload.extend(format!("i{number}e").into_bytes());
        }
        payload.push(b'e');
        if let Some(port) = self.port {
            payload.extend(format!("1:pi{port}e").into_bytes());
        }
        if let Some(requests) = self.request_queue {
            payload.extend(format!("4:reqqi{requests}e").into_bytes());
        }
        payload.extend(b"1:v");
        push_text(self.client.as_bytes(), &mut payload);
        if let Some(ip) = self.your_ip {
            payload.extend(b"6:yourip");
            match ip.to_canonical() {
                IpAddr::V4(ip) => push_text(&ip.octets(), &mut payload),
                IpAddr::V6(ip) => push_text(&ip.octets(), &mut payload),
            }
        }
        payload.push(b'e');
        message::encode_raw(id::EXTENDED, &payload, out);
    }
}

fn push_text(text: &[u8], out: &mut Vec<u8>) {
    out.extend(format!("{}:", text.len()).into_bytes());
    out.extend(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_real_handshake() {
        // As libtorrent sends it, shortened.
        let payload = b"d1:ei0e12:complete_agoi1e1:md11:lt_donthavei7e10:share_modei8e11:upload_onlyi3e\
            12:ut_holepunchi4e11:ut_metadatai2e6:ut_pexi1ee13:metadata_sizei31235e1:pi6881e4:reqqi500e\
            11:upload_onlyi1e1:v17:libtorrent/2.0.8 6:yourip4:\x7f\x00\x00\x01e";
        let payload = [&payload[..payload.len()]].concat();
        let theirs = ExtendedHandshake::parse(&payload).unwrap();
        assert_eq!(theirs.number_of(UT_METADATA), Some(2));
        assert_eq!(theirs.number_of(b"ut_pex"), Some(1));
        assert_eq!(theirs.number_of(b"ut_comment"), None);
        assert_eq!(theirs.metadata_size, Some(31_235));
        assert_eq!((theirs.port, theirs.request_queue), (Some(6881), Some(500)));
        assert_eq!(theirs.client.as_deref(), Some(&b"libtorrent/2.0.8 "[..]));
        assert_eq!(theirs.your_ip, Some([127, 0, 0, 1].into()));
        assert_eq!(theirs.upload_only, Some(true));
    }

    #[test]
    fn values_out_of_range_are_missing() {
        let theirs = ExtendedHandshake::parse(
            b"d1:md1:ai0e1:bi256e1:ci-1e1:d1:x1:ei255ee13:metadata_size1:x1:pi0e4:reqqi-1e\
              11:upload_onlyi0e1:vi5e6:yourip3:abcetrailing",
        )
        .unwrap();
        let only = ExtendedHandshake {
            extensions: vec![(b"e".to_vec(), 255)],
            upload_only: Some(false),
            ..ExtendedHandshake::default()
        };
        assert_eq!(theirs, only);
        assert_eq!(
            ExtendedHandshake::parse(b"le"),
            Err(InvalidHandshake::NotDictionary)
        );
        assert!(matches!(
            ExtendedHandshake::parse(b"d1:m"),
            Err(InvalidHandshake::Malformed(_))
        ));
        assert_eq!(
            ExtendedHandshake::parse(b"d1:mlee"),
            Ok(ExtendedHandshake::default())
        );
    }

    #[test]
    fn sizes_are_limited() {
        let many: Vec<String> = (0..1000).map(|n| format!("4:{n:04}i1e")).collect();
        let text = format!(
            "d1:md{}100:{}i3ee1:v500:{}e",
            many.concat(),
            "x".repeat(100),
            "v".repeat(500)
        );
        let theirs = ExtendedHandshake::parse(text.as_bytes()).unwrap();
        assert_eq!(theirs.extensions.len(), EXTENSIONS_MAX);
        assert_eq!(theirs.client.unwrap().len(), CLIENT_LEN_MAX);
    }

    #[test]
    fn ours_can_be_read() {
        let mut bytes = Vec::new();
        let own = OwnHandshake {
            extensions: &[(UT_METADATA, 4)],
            client: "btda 1",
            ..OwnHandshake::default()
        };
        own.encode(&mut bytes);
        assert_eq!(
            bytes,
            b"\0\0\0\x25\x14\0d1:md11:ut_metadatai4ee1:v6:btda 1e"
        );
        let (number, payload) = split(&bytes[5..]).unwrap();
        assert_eq!(number, HANDSHAKE);
        let ours = ExtendedHandshake::parse(payload).unwrap();
        assert_eq!(ours.number_of(UT_METADATA), Some(4));
        assert_eq!(split(&[]), None);
    }

    #[test]
    fn everything_that_we_can_tell() {
        let mut bytes = Vec::new();
        let own = OwnHandshake {
            extensions: &[(LT_DONTHAVE, 7), (UT_METADATA, 4)],
            client: "btda 1",
            port: Some(6884),
            request_queue: Some(250),
            your_ip: Some("::ffff:127.0.0.1".parse().unwrap()),
        };
        own.encode(&mut bytes);
        let expected = b"\0d1:md11:lt_donthavei7e11:ut_metadatai4ee1:pi6884e4:reqqi250e\
            1:v6:btda 16:yourip4:\x7f\0\0\x01e";
        assert_eq!(&bytes[5..], expected);
        let theirs = ExtendedHandshake::parse(&bytes[6..]).unwrap();
        assert_eq!(theirs.your_ip, Some([127, 0, 0, 1].into()));
    }

    #[test]
    fn a_further_handshake_changes_what_it_names() {
        let parse = |text: &[u8]| ExtendedHandshake::parse(text).unwrap();
        let mut theirs = parse(b"d1:md1:ai1ee1:pi6881e4:reqqi9e11:upload_onlyi0e1:v1:xe");
        theirs.update(parse(b"d1:md1:ai2e1:bi3ee11:upload_onlyi1ee"));
        assert_eq!(
            (theirs.number_of(b"a"), theirs.number_of(b"b")),
            (Some(2), Some(3))
        );
        assert_eq!((theirs.port, theirs.request_queue), (Some(6881), Some(9)));
        assert_eq!(theirs.upload_only, Some(true));
        assert_eq!(theirs.client.as_deref(), Some(&b"x"[..]));
    }

    #[test]
    fn a_lost_piece_has_four_bytes() {
        assert_eq!(dont_have(&[0, 0, 1, 2]), Some(PieceIndex(258)));
        assert_eq!(dont_have(&[0, 0, 1]), None);
        assert_eq!(dont_have(&[0; 5]), None);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = ExtendedHandshake::parse(&bytes);
            let framed = [b"d1:md", &bytes[..], b"ee"].concat();
            let _ = ExtendedHandshake::parse(&framed);
        }
    }
}
