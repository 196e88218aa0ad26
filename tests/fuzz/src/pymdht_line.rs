//! What a pymdht says on its control port: however it is cut into chunks, the
//! same lines come out, and each means what a second reader says.

use btda::dht::pymdht::line::{LINE_MAX, Line, LineDecoder};
use btda::outside::OUTSIDE_TEXT_MAX;

use super::input::{Input, is_harmless};

/// Four bytes choose how the rest is cut, the rest is the stream.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let sizes = [input.byte(), input.byte(), input.byte(), input.byte()];
    let stream = input.rest();
    let naive = naive(stream);
    assert_eq!(read(stream, &[usize::MAX]), naive, "in one piece");
    assert_eq!(read(stream, &[1]), naive, "byte by byte");
    let sizes = sizes.map(|size| usize::from(size).max(1));
    assert_eq!(read(stream, &sizes), naive, "in chunks {sizes:?}");
    for line in &naive {
        means_itself(line);
    }
}

/// Through the decoder, in chunks of `sizes` in turn.
fn read(stream: &[u8], sizes: &[usize]) -> Vec<Line> {
    let mut decoder = LineDecoder::default();
    let mut lines = Vec::new();
    let mut rest = stream;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (mut chunk, behind) = rest.split_at((*size).min(rest.len()));
        rest = behind;
        while !chunk.is_empty() {
            let (taken, line) = decoder.feed(chunk);
            assert!((1..=chunk.len()).contains(&taken), "took {taken}");
            lines.extend(line);
            chunk = &chunk[taken..];
        }
    }
    let last = stream.rsplit(|byte| *byte == b'\n').next();
    let begun = last.is_some_and(|last| !last.is_empty());
    assert_eq!(decoder.is_mid_line(), begun);
    lines
}

/// The same with the whole stream in hand; what is behind the last line feed
/// is no line.
fn naive(stream: &[u8]) -> Vec<Line> {
    let mut parts: Vec<&[u8]> = stream.split(|byte| *byte == b'\n').collect();
    parts.pop();
    let told = parts.into_iter().filter_map(|line| {
        if line.len() > LINE_MAX {
            return Some(Line::Unreadable);
        }
        let blank = line.iter().all(u8::is_ascii_whitespace);
        (!blank).then(|| Line::parse(line))
    });
    told.collect()
}

/// A line that was read, written in its plain form, is the same line.
fn means_itself(line: &Line) {
    let plain = match line {
        Line::Open { ours, theirs } => format!("{ours} OPEN {theirs}"),
        Line::Peer { ours, address } => format!("{ours} peer {}", address.socket_addr()),
        Line::Close { ours } => format!(" {ours}\tClose\r"),
        Line::Refusal(text) => {
            assert!(is_harmless(text), "{text:?}");
            assert!(text.chars().count() <= OUTSIDE_TEXT_MAX + 20, "{text}");
            return;
        }
        Line::Unreadable => return,
    };
    assert_eq!(Line::parse(plain.as_bytes()), *line, "{plain}");
}
