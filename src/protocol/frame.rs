//! Cuts the byte stream of a peer into length-prefixed frames (BEP 3).
//!
//! Used by every visit, on the thread that does the visit, after the
//! handshake. A peer may announce what it likes: a prefix over the limit is
//! an error at once, and a payload longer than anybody here reads is reported
//! by its head and then discarded as it comes. A frame that lies whole in the
//! input is lent from there, without a copy.

use std::fmt;

/// What a [`FrameDecoder`] accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Longest payload in bytes that is kept; longer ones come as
    /// [`Frame::Oversized`]. For a torrent the greater of its bitfield's
    /// length and 16, so that every message of fixed size is kept.
    pub keep: usize,
    /// Greatest length prefix (id and payload) that is tolerated.
    pub max_length: u32,
}

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Length 0.
    KeepAlive,
    /// A message whose payload was kept.
    Message {
        /// First byte after the prefix.
        id: u8,
        /// What follows it.
        payload: &'a [u8],
    },
    /// A message whose payload is longer than [`FrameLimits::keep`]; reported
    /// as soon as prefix and id are there.
    Oversized {
        /// First byte after the prefix.
        id: u8,
        /// Bytes of payload, which are discarded as they come.
        length: u32,
    },
}

/// A length prefix is over [`FrameLimits::max_length`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong {
    /// The prefix.
    pub length: u32,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a message of {} bytes is announced", self.length)
    }
}

impl std::error::Error for TooLong {}

/// Collects frames from chunks of any size.
///
/// Holds [`FrameLimits::keep`] bytes at most, taken when a frame first
/// arrives in pieces, and used again for the next.
///
/// ```
/// use btda::protocol::frame::{Frame, FrameDecoder, FrameLimits};
/// let mut decoder = FrameDecoder::new(FrameLimits { keep: 16, max_length: 1 << 20 });
/// let mut input = &b"\0\0\0\0\0\0\0\x05\x04\0\0\0\x07\0\0"[..];
/// let mut seen = Vec::new();
/// while !input.is_empty() {
///     let (taken, frame) = decoder.feed(input)?;
///     seen.extend(frame.map(|frame| format!("{frame:?}")));
///     input = &input[taken..];
/// }
/// assert_eq!(seen, ["KeepAlive", "Message { id: 4, payload: [0, 0, 0, 7] }"]);
/// assert!(decoder.is_mid_frame());
/// # Ok::<(), btda::protocol::frame::TooLong>(())
/// ```
#[derive(Debug)]
pub struct FrameDecoder {
    limits: FrameLimits,
    /// Prefix and id as far as they have come.
    head: [u8; HEAD_LEN],
    head_len: usize,
    /// Payload as far as it has come, while the head says `Announced::Kept`.
    buffer: Vec<u8>,
    /// Bytes of an oversized payload still to be discarded.
    discard: usize,
}

/// Prefix and id.
const HEAD_LEN: usize = 5;

/// What a head tells.
#[derive(Clone, Copy)]
enum Announced {
    /// Not enough bytes to tell.
    Unknown,
    KeepAlive,
    Kept {
        id: u8,
        length: usize,
    },
    Oversized {
        id: u8,
        length: u32,
    },
}

impl FrameLimits {
    /// Reads the first bytes of a frame, five at most.
    fn announced(self, head: &[u8]) -> Result<Announced, TooLong> {
        let Some((prefix, rest)) = head.split_first_chunk::<4>() else {
            return Ok(Announced::Unknown);
        };
        let prefix = u32::from_be_bytes(*prefix);
        if prefix > self.max_length {
            return Err(TooLong { length: prefix });
        }
        let Some(length) = prefix.checked_sub(1) else {
            return Ok(Announced::KeepAlive);
        };
        let Some(&id) = rest.first() else {
            return Ok(Announced::Unknown);
        };
        Ok(match usize::try_from(length) {
            Ok(length) if length <= self.keep => Announced::Kept { id, length },
            _ => Announced::Oversized { id, length },
        })
    }

    /// The frame at the start of `input`, if it lies there whole.
    fn whole_frame(self, input: &[u8]) -> Option<(usize, Frame<'_>)> {
        let head = input.get(..HEAD_LEN).unwrap_or(input);
        match self.announced(head).ok()? {
            Announced::KeepAlive => Some((4, Frame::KeepAlive)),
            Announced::Kept { id, length } => {
                let end = HEAD_LEN.checked_add(length)?;
                let payload = input.get(HEAD_LEN..end)?;
                Some((end, Frame::Message { id, payload }))
            }
            Announced::Unknown | Announced::Oversized { .. } => None,
        }
    }
}

impl FrameDecoder {
    /// A decoder at the start of a frame.
    pub const fn new(limits: FrameLimits) -> Self {
        Self {
            limits,
            head: [0; HEAD_LEN],
            head_len: 0,
            buffer: Vec::new(),
            discard: 0,
        }
    }

    /// Takes bytes up to the end of the first frame and returns how many it
    /// took (at least one of a non-empty input); `None` means that all were
    /// taken and the frame goes on. After an error every call fails.
    pub fn feed<'b>(&'b mut self, input: &'b [u8]) -> Result<(usize, Option<Frame<'b>>), TooLong> {
        let skipped = self.discard.min(input.len());
        self.discard = self.discard.saturating_sub(skipped);
        let input = input.get(skipped..).unwrap_or_default();
        if self.head_len == 0
            && let Some((taken, frame)) = self.limits.whole_frame(input)
        {
            return Ok((skipped.saturating_add(taken), Some(frame)));
        }
        let (taken, frame) = self.collect(input)?;
        Ok((skipped.saturating_add(taken), frame))
    }

    /// Whether part of a frame has come, or of a payload being discarded.
    pub const fn is_mid_frame(&self) -> bool {
        self.head_len > 0 || self.discard > 0
    }

    /// Bytes of memory held for payloads, never more than
    /// [`FrameLimits::keep`].
    pub const fn held(&self) -> usize {
        self.buffer.capacity()
    }

    /// Goes on with a frame that comes in pieces.
    fn collect(&mut self, input: &[u8]) -> Result<(usize, Option<Frame<'_>>), TooLong> {
        let (taken, announced) = self.collect_head(input)?;
        let (id, length) = match announced {
            Announced::Unknown => return Ok((taken, None)),
            Announced::KeepAlive => {
                self.head_len = 0;
                return Ok((taken, Some(Frame::KeepAlive)));
            }
            Announced::Oversized { id, length } => {
                self.head_len = 0;
                self.discard = usize::try_from(length).unwrap_or(usize::MAX);
                return Ok((taken, Some(Frame::Oversized { id, length })));
            }
            Announced::Kept { id, length } => (id, length),
        };
        let input = input.get(taken..).unwrap_or_default();
        let missing = length.saturating_sub(self.buffer.len());
        let part = input.get(..missing).unwrap_or(input);
        self.buffer.reserve_exact(missing);
        self.buffer.extend_from_slice(part);
        let taken = taken.saturating_add(part.len());
        if part.len() < missing {
            return Ok((taken, None));
        }
        self.head_len = 0;
        let payload = &self.buffer;
        Ok((taken, Some(Frame::Message { id, payload })))
    }

    /// Takes bytes until prefix and id are there; none when they are.
    fn collect_head(&mut self, input: &[u8]) -> Result<(usize, Announced), TooLong> {
        if self.head_len == 0 {
            self.buffer.clear();
        }
        let mut bytes = input.iter();
        loop {
            let head = self.head.get(..self.head_len).unwrap_or_default();
            let announced = self.limits.announced(head)?;
            let taken = input.len().saturating_sub(bytes.len());
            if !matches!(announced, Announced::Unknown) {
                return Ok((taken, announced));
            }
            let slot = self.head.get_mut(self.head_len);
            let (Some(slot), Some(&byte)) = (slot, bytes.next()) else {
                return Ok((taken, Announced::Unknown));
            };
            *slot = byte;
            self.head_len += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: FrameLimits = FrameLimits {
        keep: 16,
        max_length: 1 << 20,
    };

    /// Feeds one chunk as a visit does and appends what came out.
    fn drain(
        decoder: &mut FrameDecoder,
        mut input: &[u8],
        seen: &mut Vec<String>,
    ) -> Result<(), TooLong> {
        while !input.is_empty() {
            let (taken, frame) = decoder.feed(input)?;
            assert!(taken > 0 && taken <= input.len(), "no progress");
            assert!(frame.is_some() || taken == input.len(), "bytes left over");
            seen.extend(frame.map(|frame| format!("{frame:?}")));
            assert!(decoder.buffer.capacity() <= decoder.limits.keep);
            input = &input[taken..];
        }
        Ok(())
    }

    fn decode<'a>(
        chunks: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<String>, Option<TooLong>, bool) {
        let mut decoder = FrameDecoder::new(LIMITS);
        let mut seen = Vec::new();
        let failed = chunks
            .into_iter()
            .find_map(|chunk| drain(&mut decoder, chunk, &mut seen).err());
        (seen, failed, decoder.is_mid_frame())
    }

    /// Every kind of frame, the oversized ones with other frames behind.
    fn stream() -> Vec<u8> {
        let mut bytes =
            b"\0\0\0\0\0\0\0\x01\x0e\0\0\0\x05\x04\0\0\0\x07\0\0\0\x03\x05\xff\x80".to_vec();
        bytes.extend_from_slice(b"\0\0\0\x11\x05");
        bytes.extend_from_slice(&[0xaa; 16]);
        bytes.extend_from_slice(b"\0\0\0\x12\x05");
        bytes.extend_from_slice(&[0x00; 17]);
        bytes.extend_from_slice(b"\0\0\0\0\0\0\0\x40\x14");
        bytes.extend_from_slice(&[0x01; 63]);
        bytes.extend_from_slice(b"\0\0\0\x01\x63\0\0\0\0");
        bytes
    }

    fn expected() -> Vec<String> {
        [
            Frame::KeepAlive,
            Frame::Message {
                id: 14,
                payload: &[],
            },
            Frame::Message {
                id: 4,
                payload: &[0, 0, 0, 7],
            },
            Frame::Message {
                id: 5,
                payload: &[0xff, 0x80],
            },
            Frame::Message {
                id: 5,
                payload: &[0xaa; 16],
            },
            Frame::Oversized { id: 5, length: 17 },
            Frame::KeepAlive,
            Frame::Oversized { id: 20, length: 63 },
            Frame::Message {
                id: 99,
                payload: &[],
            },
            Frame::KeepAlive,
        ]
        .map(|frame| format!("{frame:?}"))
        .to_vec()
    }

    #[test]
    fn every_cut_gives_the_same_frames() {
        let bytes = stream();
        let whole = (expected(), None, false);
        assert_eq!(decode([&bytes[..]]), whole);
        assert_eq!(decode(bytes.chunks(1)), whole, "byte by byte");
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let chunks = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(decode(chunks), whole, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_whole_frame_is_lent_from_the_input() {
        let mut decoder = FrameDecoder::new(LIMITS);
        let input = b"\0\0\0\x03\x05\xff\x80\0\0\0\0";
        let Ok((7, Some(Frame::Message { payload, .. }))) = decoder.feed(input) else {
            panic!("no message");
        };
        assert_eq!(payload.as_ptr(), input[5..].as_ptr());
        assert_eq!(decoder.buffer.capacity(), 0);
    }

    #[test]
    fn a_prefix_over_the_limit_fails_at_once_and_for_good() {
        let mut decoder = FrameDecoder::new(LIMITS);
        assert_eq!(decoder.feed(&[0xff; 3]), Ok((3, None)));
        let too_long = Err(TooLong { length: u32::MAX });
        assert_eq!(decoder.feed(&[0xff]), too_long, "before the id");
        assert_eq!(decoder.feed(&[0; 100]), too_long);
        assert_eq!(decoder.feed(&[]), too_long);
        assert_eq!(decoder.buffer.capacity(), 0);

        let (_, failed, _) = decode([&b"\0\x10\0\x01\x05"[..]]);
        assert_eq!(
            failed,
            Some(TooLong {
                length: (1 << 20) + 1
            })
        );
        let (seen, failed, _) = decode([&b"\0\x10\0\0\x05"[..]]);
        assert_eq!(
            (seen.len(), failed),
            (1, None),
            "the limit itself is allowed"
        );
    }

    #[test]
    fn the_greatest_prefix_can_be_allowed() {
        let mut decoder = FrameDecoder::new(FrameLimits {
            keep: 0,
            max_length: u32::MAX,
        });
        let head = [0xff, 0xff, 0xff, 0xff, 7];
        let oversized = Frame::Oversized {
            id: 7,
            length: u32::MAX - 1,
        };
        assert_eq!(decoder.feed(&head), Ok((5, Some(oversized))));
        assert_eq!(decoder.feed(&[0; 1000]), Ok((1000, None)));
        assert!(decoder.is_mid_frame());
    }

    #[test]
    fn a_flood_costs_no_memory() {
        let mut decoder = FrameDecoder::new(LIMITS);
        let mut seen = Vec::new();
        drain(&mut decoder, b"\0\x10\0\0\x07", &mut seen).unwrap();
        let mut left = (1 << 20) - 1;
        while left > 0 {
            let chunk = left.min(1460);
            drain(&mut decoder, &vec![0xff; chunk], &mut seen).unwrap();
            left -= chunk;
        }
        assert_eq!((seen.len(), decoder.is_mid_frame()), (1, false));
        assert_eq!(decoder.buffer.capacity(), 0);
        drain(&mut decoder, b"\0\0\0\x01\x0f", &mut seen).unwrap();
        assert_eq!(seen[1], "Message { id: 15, payload: [] }");
    }

    #[test]
    fn mid_frame_is_known() {
        let mut decoder = FrameDecoder::new(LIMITS);
        for (chunk, mid_frame) in [
            (&b""[..], false),
            (b"\0", true),
            (b"\0\0\x02", true),
            (b"\x05", true),
            (b"\xff", false),
            (b"\0\0\0\0", false),
            (b"\0\0\0\x20\x05", true),
            (&[0; 30], true),
            (b"\0", false),
        ] {
            drain(&mut decoder, chunk, &mut Vec::new()).unwrap();
            assert_eq!(decoder.is_mid_frame(), mid_frame, "{chunk:?}");
        }
    }

    proptest! {
        #[test]
        fn written_frames_come_back(frames in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..20), size in 1_usize..50) {
            let mut bytes = Vec::new();
            let mut sent = Vec::new();
            for (id, payload) in &frames {
                crate::protocol::message::encode_raw(*id, payload, &mut bytes);
                let length = u32::try_from(payload.len()).unwrap();
                sent.push(if payload.len() > LIMITS.keep {
                    format!("{:?}", Frame::Oversized { id: *id, length })
                } else {
                    format!("{:?}", Frame::Message { id: *id, payload })
                });
            }
            prop_assert_eq!(decode(bytes.chunks(size)), (sent, None, false));
        }

        #[test]
        fn garbage_never_panics_and_cuts_do_not_matter(bytes in prop::collection::vec(prop::sample::select(&[0_u8, 0, 0, 0, 1, 2, 5, 17, 18, 40, 255][..]), 0..300), size in 1_usize..20) {
            let whole = decode([&bytes[..]]);
            prop_assert_eq!(&decode(bytes.chunks(size)), &whole);
            prop_assert_eq!(&decode(bytes.chunks(1)), &whole);
        }
    }
}
