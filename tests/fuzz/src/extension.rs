//! Extended handshakes and metadata messages of peers, and the assembly of
//! what they send.

use std::collections::HashSet;

use btda::model::InfoHash;
use btda::protocol::extension::{ExtendedHandshake, HANDSHAKE, OwnHandshake, UT_METADATA, split};
use btda::protocol::metadata::{BLOCK_LEN, MetadataAssembly, MetadataMessage, PeerNumber};

use super::input::Input;
use super::torrent_file::naive_end;

/// The first byte chooses: one payload read both ways, or several peers that
/// send blocks.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    if input.byte().is_multiple_of(2) {
        let payload = input.rest();
        a_handshake(payload);
        a_message(payload);
    } else {
        collected(&mut input);
    }
}

fn a_handshake(payload: &[u8]) {
    let read = ExtendedHandshake::parse(payload);
    assert_eq!(
        read,
        ExtendedHandshake::parse(payload),
        "not the same twice"
    );
    let Ok(handshake) = read else {
        return;
    };
    let end = naive_end(payload, 0, 0).expect("ends for one reader only");
    let alone = ExtendedHandshake::parse(&payload[..end]);
    assert_eq!(alone.as_ref(), Ok(&handshake), "reads behind its end");
    assert!(
        handshake
            .client
            .as_ref()
            .is_none_or(|client| client.len() <= 128)
    );
    assert!(handshake.port != Some(0));
    what_we_say_is_read(&handshake);
    // A later handshake with the same news changes nothing.
    let mut twice = handshake.clone();
    twice.update(handshake.clone());
    assert_eq!(twice.port, handshake.port);
    assert_eq!(
        twice.number_of(UT_METADATA).is_some(),
        handshake.number_of(UT_METADATA).is_some()
    );
}

/// Our own handshake to that peer means what we put into it.
fn what_we_say_is_read(theirs: &ExtendedHandshake) {
    let ours = OwnHandshake {
        extensions: &[(UT_METADATA, 7)],
        client: "fuzz",
        port: theirs.port,
        request_queue: theirs.request_queue,
        your_ip: theirs.your_ip,
    };
    let mut message = Vec::new();
    ours.encode(&mut message);
    let (number, payload) = split(&message[5..]).expect("not empty");
    assert_eq!(number, HANDSHAKE);
    let read = ExtendedHandshake::parse(payload).expect("our own is refused");
    assert_eq!(read.number_of(UT_METADATA), Some(7));
    assert_eq!(
        (read.port, read.request_queue),
        (theirs.port, theirs.request_queue)
    );
    let plain = theirs.your_ip.map(|ip| ip.to_canonical());
    assert_eq!(read.your_ip.map(|ip| ip.to_canonical()), plain);
}

fn a_message(payload: &[u8]) {
    let read = MetadataMessage::parse(payload);
    assert_eq!(read, MetadataMessage::parse(payload), "not the same twice");
    let Ok(message) = read else {
        return;
    };
    let end = naive_end(payload, 0, 0).expect("ends for one reader only");
    if let MetadataMessage::Data { block, .. } = message {
        assert_eq!(block, &payload[end..], "another block");
    }
}

const PEERS: u8 = 6;
const SIZE_MAX: usize = 3 * BLOCK_LEN;

/// Peers join with any size, and send right, wrong and unasked blocks.
fn collected(input: &mut Input<'_>) {
    let size = 1 + usize::from(input.short()) % SIZE_MAX;
    let claim = i64::try_from(size).expect("small");
    let whole: Vec<u8> = (0..=250).cycle().take(size).collect();
    let hash = InfoHash::of(&whole);
    let mut assembly = MetadataAssembly::new(hash, SIZE_MAX);
    let mut excluded = HashSet::new();
    for _ in 0..200 {
        if input.is_empty() {
            break;
        }
        let peer = PeerNumber((input.byte() % PEERS).into());
        match input.byte() % 6 {
            0 => {
                let claimed = if input.byte().is_multiple_of(4) {
                    i64::from(input.short()) - 5
                } else {
                    claim
                };
                let joined = assembly.join(peer, claimed).is_ok();
                assert!(!joined || !excluded.contains(&peer), "was excluded");
                assert!(
                    !joined
                        || usize::try_from(claimed)
                            .is_ok_and(|claimed| (1..=SIZE_MAX).contains(&claimed))
                );
            }
            1 | 2 => {
                let odd = input.byte();
                let Some(index) = assembly.next_request(peer) else {
                    continue;
                };
                let block = a_block(&whole, index as usize, odd);
                let _ = assembly.block(peer, index, None, &block);
            }
            3 => {
                let index = u32::from(input.byte() % 8);
                let length = usize::from(input.byte());
                let _ = assembly.block(peer, index, Some(claim), input.take(length));
            }
            4 => assembly.reject(peer, input.byte().into()),
            _ => assembly.leave(peer),
        }
        if assembly.is_excluded(peer) {
            excluded.insert(peer);
        }
        assert!(excluded.iter().all(|peer| assembly.is_excluded(*peer)));
        assert!(assembly.unanswered(peer) <= 4);
        if let Some(metadata) = assembly.metadata() {
            assert_eq!(metadata, whole, "accepted with another hash");
        }
    }
}

/// The block of that number, or a wrong one.
fn a_block(whole: &[u8], index: usize, odd: u8) -> Vec<u8> {
    let right = whole.get(index * BLOCK_LEN..).unwrap_or_default();
    let mut block = right[..right.len().min(BLOCK_LEN)].to_vec();
    if odd.is_multiple_of(5)
        && let Some(first) = block.first_mut()
    {
        *first ^= odd | 1;
    }
    if odd.is_multiple_of(7) {
        block.pop();
    }
    block
}
