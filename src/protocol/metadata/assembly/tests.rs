//! Peers that are honest, lie, leave and mix.

use proptest::prelude::*;

use super::*;
use crate::protocol::metadata::BLOCK_LEN;

const LIMIT: usize = 1 << 20;

const A: PeerNumber = PeerNumber(1);
const B: PeerNumber = PeerNumber(2);
const C: PeerNumber = PeerNumber(3);

/// `blocks` blocks, the last of them 100 bytes long.
fn truth(blocks: usize) -> Vec<u8> {
    (0..(blocks - 1) * BLOCK_LEN + 100)
        .map(|index| u8::try_from(index % 251).unwrap())
        .collect()
}

fn block(truth: &[u8], index: u32) -> &[u8] {
    truth.chunks(BLOCK_LEN).nth(index as usize).unwrap()
}

fn assembly(truth: &[u8], peers: &[PeerNumber]) -> MetadataAssembly {
    let mut assembly = MetadataAssembly::new(InfoHash::of(truth), LIMIT);
    for &peer in peers {
        assembly.join(peer, claim(truth)).unwrap();
    }
    assembly
}

fn claim(truth: &[u8]) -> i64 {
    i64::try_from(truth.len()).unwrap()
}

/// Asks `peer` for one block, which it sends as `says` tells.
fn serve(
    assembly: &mut MetadataAssembly,
    peer: PeerNumber,
    says: &[u8],
) -> Option<Result<Progress, BlockError>> {
    let index = assembly.next_request(peer)?;
    Some(assembly.block(peer, index, Some(claim(says)), block(says, index)))
}

#[test]
fn one_peer_gives_everything() {
    let truth = truth(9);
    let mut assembly = assembly(&truth, &[A]);
    let asked: Vec<u32> = std::iter::from_fn(|| assembly.next_request(A)).collect();
    assert_eq!(asked, [0, 1, 2, 3], "a short pipeline");
    assert_eq!(assembly.unanswered(A), 4);
    for index in asked {
        let progress = assembly.block(A, index, None, block(&truth, index));
        assert_eq!(progress, Ok(Progress::More));
    }
    let last = std::iter::from_fn(|| serve(&mut assembly, A, &truth)).last();
    assert_eq!(last, Some(Ok(Progress::Done)));
    assert_eq!(assembly.metadata(), Some(&truth[..]));
    assert_eq!(assembly.next_request(A), None);
}

#[test]
fn two_peers_give_half_each_and_idle_ones_repeat() {
    let truth = truth(4);
    let mut assembly = assembly(&truth, &[A, B]);
    let [first, second] = [A, B]
        .map(|peer| [assembly.next_request(peer), assembly.next_request(peer)].map(Option::unwrap));
    assert_eq!((first, second), ([0, 1], [2, 3]));
    assert_eq!(assembly.next_request(A), None, "it has something to do");
    for index in first {
        assembly
            .block(A, index, None, block(&truth, index))
            .unwrap();
    }
    assert_eq!(assembly.next_request(A), Some(2), "B may be slow");
    assert_eq!(
        assembly.block(A, 2, None, block(&truth, 2)),
        Ok(Progress::More)
    );
    assert_eq!(
        assembly.block(B, 2, None, block(&truth, 2)),
        Ok(Progress::More)
    );
    assert_eq!(
        assembly.block(B, 3, None, block(&truth, 3)),
        Ok(Progress::Done)
    );
}

#[test]
fn what_a_peer_leaves_goes_to_others() {
    let truth = truth(2);
    let mut assembly = assembly(&truth, &[A, B]);
    assert_eq!(assembly.next_request(A), Some(0));
    assert_eq!(assembly.next_request(B), Some(1));
    assembly.leave(A);
    assert_eq!(
        assembly.block(A, 0, None, block(&truth, 0)),
        Err(BlockError::Unasked)
    );
    assert_eq!(assembly.next_request(B), Some(0));
    for index in [0, 1] {
        assembly
            .block(B, index, None, block(&truth, index))
            .unwrap();
    }
    assert!(assembly.metadata().is_some());
}

#[test]
fn a_rejected_block_is_not_asked_again_from_the_same_peer() {
    let truth = truth(1);
    let mut assembly = assembly(&truth, &[A, B]);
    assert_eq!(assembly.next_request(A), Some(0));
    assembly.reject(A, 0);
    assembly.reject(A, 7);
    assert_eq!(
        (assembly.next_request(A), assembly.unanswered(A)),
        (None, 0)
    );
    assert_eq!(serve(&mut assembly, B, &truth), Some(Ok(Progress::Done)));
}

#[test]
fn sizes_are_checked_before_anything_is_asked() {
    let truth = truth(1);
    let mut assembly = assembly(&truth, &[]);
    let most = i64::try_from(LIMIT).unwrap();
    assert_eq!(assembly.join(A, 0), Err(JoinError::NoSize));
    assert_eq!(assembly.join(A, -5), Err(JoinError::NoSize));
    assert_eq!(assembly.join(A, most + 1), Err(JoinError::TooLarge));
    assert_eq!(assembly.join(A, i64::MAX), Err(JoinError::TooLarge));
    for (peer, size) in (10..).map(PeerNumber).zip(1..=4) {
        assembly.join(peer, size).unwrap();
    }
    assert_eq!(assembly.join(A, most), Err(JoinError::TooManySizes));
    assembly.leave(PeerNumber(11));
    assert_eq!(assembly.join(A, most), Ok(()));
    assert_eq!(assembly.copies.len(), SIZES_MAX);
    assert_eq!(assembly.next_request(PeerNumber(11)), None);
}

#[test]
fn a_lie_about_the_size_costs_only_the_liar() {
    let truth = truth(2);
    let mut assembly = assembly(&truth, &[A]);
    let lie = [&truth[..], b"x"].concat();
    assembly.join(B, claim(&lie)).unwrap();
    assert_eq!(serve(&mut assembly, B, &lie), Some(Ok(Progress::More)));
    assert_eq!(
        serve(&mut assembly, B, &lie),
        Some(Err(BlockError::WrongHash))
    );
    assert!(assembly.is_excluded(B) && !assembly.is_excluded(A));
    assert_eq!(assembly.join(B, claim(&truth)), Err(JoinError::Excluded));
    assert_eq!(serve(&mut assembly, A, &truth), Some(Ok(Progress::More)));
    assert_eq!(serve(&mut assembly, A, &truth), Some(Ok(Progress::Done)));
}

#[test]
fn blocks_that_do_not_fit_exclude() {
    let truth = truth(2);
    for (total, data, error) in [
        (
            Some(claim(&truth) + 1),
            block(&truth, 0),
            BlockError::WrongTotal,
        ),
        (Some(-1), block(&truth, 0), BlockError::WrongTotal),
        (None, &truth[..BLOCK_LEN - 1], BlockError::WrongLength),
        (None, &truth[..=BLOCK_LEN], BlockError::WrongLength),
        (None, &[][..], BlockError::WrongLength),
    ] {
        let mut assembly = assembly(&truth, &[A]);
        assert_eq!(assembly.next_request(A), Some(0));
        assert_eq!(assembly.block(A, 1, None, data), Err(BlockError::Unasked));
        assert!(!assembly.is_excluded(A));
        assert_eq!(assembly.block(A, 0, total, data), Err(error));
        assert!(assembly.is_excluded(A));
    }
}

#[test]
fn a_mixed_copy_that_is_wrong_finds_the_liar() {
    let truth = truth(3);
    let lie: Vec<u8> = truth.iter().map(|byte| byte ^ 1).collect();
    let mut assembly = assembly(&truth, &[A, B]);
    assert_eq!(serve(&mut assembly, A, &truth), Some(Ok(Progress::More)));
    assert_eq!(serve(&mut assembly, B, &lie), Some(Ok(Progress::More)));
    assert_eq!(serve(&mut assembly, A, &truth), Some(Ok(Progress::Spoiled)));
    assert!(!assembly.is_excluded(A) && !assembly.is_excluded(B));
    // Each keeps its own blocks: A lacks one, B two.
    assert_eq!(assembly.next_request(A), Some(1));
    assert_eq!(assembly.next_request(B), Some(0));
    assert_eq!(
        assembly.block(A, 1, None, block(&truth, 1)),
        Ok(Progress::Done)
    );
    assert!(assembly.is_excluded(B) && !assembly.is_excluded(A));
    assert_eq!(assembly.metadata(), Some(&truth[..]));
}

#[test]
fn a_liar_that_left_does_not_spoil_the_next_copy() {
    let truth = truth(2);
    let lie: Vec<u8> = truth.iter().map(|byte| byte ^ 1).collect();
    let mut assembly = assembly(&truth, &[A]);
    assert_eq!(serve(&mut assembly, A, &lie), Some(Ok(Progress::More)));
    assembly.leave(A);
    assembly.join(B, claim(&truth)).unwrap();
    assert_eq!(serve(&mut assembly, B, &truth), Some(Ok(Progress::Spoiled)));
    assembly.join(C, claim(&truth)).unwrap();
    assert_eq!(serve(&mut assembly, C, &truth), Some(Ok(Progress::More)));
    assert_eq!(serve(&mut assembly, B, &truth), Some(Ok(Progress::Done)));
    assert!(assembly.is_excluded(A) && !assembly.is_excluded(C));
}

/// What a peer does when it is its turn.
#[derive(Debug, Clone, Copy)]
enum Habit {
    Honest,
    Lies,
    Rejects,
    Leaves,
}

proptest! {
    #[test]
    fn one_honest_peer_is_enough(
        blocks in 1_usize..8,
        habits in prop::collection::vec(prop::sample::select(vec![Habit::Honest, Habit::Lies, Habit::Rejects, Habit::Leaves]), 0..5),
        turns in prop::collection::vec(0_usize..6, 0..80),
    ) {
        let truth = truth(blocks);
        let lie: Vec<u8> = truth.iter().map(|byte| byte ^ 1).collect();
        let mut habits = habits;
        habits.push(Habit::Honest);
        let peers: Vec<PeerNumber> = (0..).map(PeerNumber).take(habits.len()).collect();
        let mut assembly = assembly(&truth, &peers);
        let to_the_end = std::iter::repeat_n(habits.len() - 1, 2 * blocks + 2);
        for turn in turns.into_iter().chain(to_the_end) {
            let (peer, habit) = (peers[turn % peers.len()], habits[turn % peers.len()]);
            match habit {
                Habit::Honest => { serve(&mut assembly, peer, &truth); }
                Habit::Lies => { serve(&mut assembly, peer, &lie); }
                Habit::Rejects => if let Some(index) = assembly.next_request(peer) {
                    assembly.reject(peer, index);
                },
                Habit::Leaves => assembly.leave(peer),
            }
        }
        prop_assert_eq!(assembly.metadata(), Some(&truth[..]));
        for (peer, habit) in peers.iter().zip(&habits) {
            prop_assert!(!assembly.is_excluded(*peer) || matches!(habit, Habit::Lies));
        }
    }
}
