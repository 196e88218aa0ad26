//! Tests of the receiving half.

use super::*;
use proptest::prelude::*;

fn read_all(inbox: &mut Inbox) -> Vec<u8> {
    let mut buffer = vec![0; RECEIVE_MAX];
    let length = inbox.read(&mut buffer);
    buffer.truncate(length);
    buffer
}

#[test]
fn packets_are_put_into_their_order() {
    let mut inbox = Inbox::new(u16::MAX - 1);
    inbox.take(1, b"c", false);
    inbox.take(0, b"b", false);
    assert_eq!((inbox.last(), inbox.available()), (u16::MAX - 1, 0));
    assert_eq!(inbox.selective(), [0b11, 0, 0, 0]);
    inbox.take(2, b"", true);
    inbox.take(u16::MAX, b"a", false);
    assert_eq!((inbox.last(), inbox.has_ended()), (2, true));
    assert_eq!(read_all(&mut inbox), b"abc");
    assert!(inbox.selective().is_empty());
    inbox.take(3, b"behind the end", false);
    assert_eq!((inbox.last(), inbox.available()), (2, 0));
}

#[test]
fn no_more_is_held_than_was_promised() {
    let mut inbox = Inbox::new(0);
    for sequence in 2..1_000 {
        inbox.take(sequence, &[7; 1_000], false);
        assert!(inbox.held() <= RECEIVE_MAX);
    }
    assert!(inbox.early.len() <= EARLY_MAX);
    inbox.take(1, &[7; 768], false);
    assert!(inbox.held() <= RECEIVE_MAX, "{}", inbox.held());
    assert_eq!(inbox.window(), RECEIVE_MAX - inbox.available());
    let before = inbox.available();
    assert_eq!(read_all(&mut inbox).len(), before);
    assert_eq!(inbox.window(), RECEIVE_MAX);
}

#[test]
fn two_ends_or_data_behind_the_end_do_no_harm() {
    let mut inbox = Inbox::new(0);
    inbox.take(5, b"x", false);
    inbox.take(3, b"", true);
    inbox.take(4, b"", true);
    inbox.take(1, b"a", false);
    inbox.take(2, b"b", false);
    assert!(inbox.has_ended());
    assert_eq!((inbox.last(), read_all(&mut inbox)), (3, b"ab".to_vec()));
}

#[test]
fn what_nobody_reads_is_acknowledged_and_dropped() {
    let mut inbox = Inbox::new(0);
    inbox.take(1, b"a", false);
    inbox.take(3, b"c", false);
    inbox.discard();
    inbox.take(2, b"b", false);
    inbox.take(4, b"", true);
    assert_eq!((inbox.last(), inbox.available(), inbox.held()), (4, 0, 0));
    assert!(inbox.has_ended());
}

proptest! {
    #[test]
    fn any_order_gives_the_same_bytes(first: u16, order in Just((0_u16..40).collect::<Vec<_>>()).prop_shuffle()) {
        let mut inbox = Inbox::new(first);
        for index in order.iter().chain(&order) {
            let payload = [u8::try_from(*index).unwrap(); 3];
            inbox.take(first.wrapping_add(index + 1), &payload, false);
        }
        let wanted: Vec<u8> = (0_u8..40).flat_map(|byte| [byte; 3]).collect();
        prop_assert_eq!(read_all(&mut inbox), wanted);
        prop_assert_eq!(inbox.held(), 0);
    }
}
