//! The stream of frames: however it is cut into chunks, the same messages
//! come out, in bounded memory.

use btda::protocol::frame::{Frame, FrameDecoder, FrameLimits};
use btda::protocol::message::{Message, encode_raw, id};

use super::input::Input;

/// Two bytes choose the limits, four how the rest is cut, the rest is the
/// stream.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let limits = FrameLimits {
        keep: usize::from(input.byte()),
        max_length: 1 << (input.byte() % 33).min(31),
    };
    let sizes = [input.byte(), input.byte(), input.byte(), input.byte()];
    let stream = input.rest();
    let naive = naive(stream, limits);
    assert_eq!(read(stream, limits, &[usize::MAX]), naive, "in one piece");
    assert_eq!(read(stream, limits, &[1]), naive, "byte by byte");
    let sizes = sizes.map(|size| usize::from(size).max(1));
    assert_eq!(read(stream, limits, &sizes), naive, "in chunks {sizes:?}");
}

/// What a stream held, and whether it broke.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    messages: Vec<String>,
    too_long: Option<u32>,
    mid_frame: bool,
}

/// Through the decoder, in chunks of `sizes` in turn.
fn read(stream: &[u8], limits: FrameLimits, sizes: &[usize]) -> Seen {
    let mut decoder = FrameDecoder::new(limits);
    let mut messages = Vec::new();
    let mut rest = stream;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (mut chunk, behind) = rest.split_at((*size).min(rest.len()));
        rest = behind;
        while !chunk.is_empty() {
            match decoder.feed(chunk) {
                Ok((taken, frame)) => {
                    assert!((1..=chunk.len()).contains(&taken), "took {taken}");
                    messages.extend(frame.map(told));
                    chunk = &chunk[taken..];
                }
                Err(error) => {
                    assert_eq!(decoder.feed(b"\0"), Err(error), "went on after an error");
                    return Seen {
                        messages,
                        too_long: Some(error.length),
                        mid_frame: true,
                    };
                }
            }
            assert!(decoder.held() <= limits.keep, "{} bytes", decoder.held());
        }
    }
    Seen {
        messages,
        too_long: None,
        mid_frame: decoder.is_mid_frame(),
    }
}

fn told(frame: Frame<'_>) -> String {
    if let Frame::Message { id, payload } = frame {
        let mut bytes = Vec::new();
        encode_raw(id, payload, &mut bytes);
        assert_eq!(bytes.len(), payload.len() + 5);
    }
    let message = Message::parse(frame);
    if let Ok(Message::Oversized { id, .. }) = message {
        assert_eq!(id, id::BITFIELD);
    }
    format!("{frame:?} {message:?}")
}

/// The same with the whole stream in hand.
fn naive(stream: &[u8], limits: FrameLimits) -> Seen {
    let mut seen = Seen {
        messages: Vec::new(),
        too_long: None,
        mid_frame: false,
    };
    let mut rest = stream;
    while let Some((prefix, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*prefix);
        let whole = behind.get(..length as usize);
        if length > limits.max_length {
            seen.too_long = Some(length);
            seen.mid_frame = true;
            return seen;
        }
        let Some((&id, _)) = behind.split_first().filter(|_| length > 0) else {
            if length > 0 {
                break;
            }
            seen.messages.push(told(Frame::KeepAlive));
            rest = behind;
            continue;
        };
        if length as usize - 1 > limits.keep {
            let length = length - 1;
            seen.messages.push(told(Frame::Oversized { id, length }));
        } else if let Some(whole) = whole {
            let payload = &whole[1..];
            seen.messages.push(told(Frame::Message { id, payload }));
        }
        let Some(next) = behind.get(length as usize..) else {
            break;
        };
        rest = next;
    }
    seen.mid_frame = !rest.is_empty();
    seen
}
