//! Known examples, and populations of known size.

use super::*;

/// A fixed sequence of numbers: xorshift.
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: u32) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % u64::from(end)) as usize
    }
}

/// 10 marked, 15 caught, 5 of them marked: 28.3.
#[test]
fn chapman_of_a_textbook() {
    let it = chapman(10, 15, 5).unwrap();
    assert!((it.value - (11.0 * 16.0 / 6.0 - 1.0)).abs() < 1e-12);
    assert!(it.low >= 20.0 && it.low < it.value && it.high > it.value);
    assert_eq!(chapman(3, 3, 4), None);
    let all = chapman(7, 7, 7).unwrap();
    assert_eq!((all.value, all.low), (7.0, 7.0));
}

/// Equal chances: the intervals hold the true size about as often as they
/// say; 95 of 100 is expected, fewer than 85 would be wrong.
#[test]
fn intervals_cover_the_truth() {
    const SIZE: u32 = 5_000;
    let (mut by_chapman, mut by_schnabel) = (0, 0);
    for seed in 1..=100_u64 {
        let mut draws = Draws(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut marked = vec![false; SIZE as usize];
        let mut census = Schnabel::default();
        let mut first = 0;
        for sample in 0..20 {
            let mut caught = std::collections::BTreeSet::new();
            while caught.len() < 300 {
                caught.insert(draws.below(SIZE));
            }
            let again = caught.iter().filter(|it| marked[**it]).count() as u64;
            census.push(300, again, census.marked);
            if sample == 1 {
                let it = chapman(first, 300, again).unwrap();
                by_chapman += usize::from(it.low <= 5000.0 && 5000.0 <= it.high);
            }
            for it in caught {
                marked[it] = true;
            }
            first = 300;
        }
        let it = census.estimate().unwrap();
        by_schnabel += usize::from(it.low <= 5000.0 && 5000.0 <= it.high);
        assert!((it.value / 5000.0 - 1.0).abs() < 0.1, "{it:?}");
        assert_eq!(census.samples, 19);
    }
    assert!(by_chapman >= 85, "{by_chapman}");
    assert!(by_schnabel >= 85, "{by_schnabel}");
}

/// A tracker that hands out half of the swarm five times as often makes the
/// estimate too small: the direction the report states.
#[test]
fn unequal_chances_make_schnabel_too_small() {
    let mut draws = Draws(7);
    let mut marked = vec![false; 5_000];
    let mut census = Schnabel::default();
    for _ in 0..8 {
        let mut caught = std::collections::BTreeSet::new();
        while caught.len() < 300 {
            let it = draws.below(5_000);
            if it < 2_500 || draws.below(5) == 0 {
                caught.insert(it);
            }
        }
        let again = caught.iter().filter(|it| marked[**it]).count() as u64;
        census.push(300, again, census.marked);
        for it in caught {
            marked[it] = true;
        }
    }
    let it = census.estimate().unwrap();
    assert!(it.high < 5_000.0, "{it:?}");
}

#[test]
fn schnabel_of_little() {
    let mut census = Schnabel::default();
    assert_eq!(census.estimate(), None);
    census.push(0, 0, 0);
    census.push(10, 3, 0);
    assert_eq!(census.estimate(), None);
    census.push(10, 0, 7);
    let it = census.estimate().unwrap();
    assert!(it.high.is_infinite() && it.low >= 17.0);
}

/// Chao 1987 by hand: 100 seen, 40 once, 20 twice: 40 * 39 / (2 * 21) unseen.
#[test]
fn chao_by_hand() {
    let it = chao(100, 40, 20);
    assert!((it.value - (100.0 + 1560.0 / 42.0)).abs() < 1e-12);
    assert!(it.low > 100.0 && it.high > it.value);
    let sure = chao(100, 0, 20);
    assert_eq!((sure.value, sure.low), (100.0, 100.0));
    let rare = chao(5, 5, 0);
    assert!(rare.value > 5.0 && rare.low >= 5.0);
}

/// Each of 2,000 is seen a Poisson number of times with mean 1.5: the bound
/// meets the truth.
#[test]
fn chao_meets_equal_chances() {
    let mut draws = Draws(99);
    let mut seen = vec![0_u32; 2_000];
    for _ in 0..3_000 {
        seen[draws.below(2_000)] += 1;
    }
    let of = |n| seen.iter().filter(|it| **it == n).count() as u64;
    let it = chao(2_000 - of(0), of(1), of(2));
    assert!(it.low <= 2_000.0 && 2_000.0 <= it.high, "{it:?}");
}
