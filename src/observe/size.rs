//! How many nodes the network has.
//!
//! Pure statistics. Method: ids are spread evenly over the key space, so the
//! distance from a random place to its `k`-th nearest node, as a share of the
//! space, is the `k`-th smallest of N even numbers between 0 and 1, close to
//! a gamma distribution of shape `k` and rate N. Over `m` places with the sum
//! T of these distances, (mk - 1) / T estimates N without bias, and N T is a
//! gamma variable of shape mk: the interval follows from its quantiles. In a
//! small network the places share their nearest nodes; then the shape is that
//! of N nodes at most, which makes the interval wider. What is counted are
//! nodes that answer us; nodes behind firewalls are not.

/// Quantile of the normal distribution for an interval of 95 %.
const Z95: f64 = 1.959_963_984_540_054;

/// An estimate with its interval of 95 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NetworkSize {
    /// Nodes.
    pub nodes: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// The size of the network, from the distances of the `nearest`-th nearest
/// nodes of several places, each as a share of the key space (above 0 to 1);
/// `None` without any.
pub fn network_size(distances: &[f64], nearest: u32) -> Option<NetworkSize> {
    let usable = distances.iter().filter(|it| **it > 0.0 && **it <= 1.0);
    let (count, sum) = usable.fold((0_u32, 0.0), |(count, sum), it| (count + 1, sum + it));
    let shape = f64::from(count) * f64::from(nearest);
    if shape <= 1.0 {
        return None;
    }
    let nodes = (shape - 1.0) / sum;
    let known = shape.min(nodes).max(1.0);
    let scaled = |z| gamma_quantile(known, z) * shape / known / sum;
    Some(NetworkSize {
        nodes,
        low: scaled(-Z95),
        high: scaled(Z95),
    })
}

/// Quantile of a gamma distribution of `shape` and rate 1, for the quantile
/// `z` of the normal one, by Wilson and Hilferty's cube root (off by less than
/// 1 % from a shape of 4 on).
fn gamma_quantile(shape: f64, z: f64) -> f64 {
    let ninth = 1.0 / (9.0 * shape);
    let root = 1.0 - ninth + z * ninth.sqrt();
    shape * root.max(0.0).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dht::node::id::NodeId;
    use crate::observe::walk::share;

    /// Many random ids in little time: the generator splitmix64.
    struct Ids(u64);

    impl Ids {
        fn id(&mut self) -> NodeId {
            let mut id = [0; 20];
            for bytes in id.chunks_mut(8) {
                self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut mixed = self.0;
                mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
                mixed ^= mixed >> 31;
                bytes.copy_from_slice(&mixed.to_be_bytes()[..bytes.len()]);
            }
            NodeId::new(id)
        }
    }

    /// Distances of the `k`-th nearest of `ids` to `m` random places.
    fn distances(ids: &[NodeId], k: usize, m: usize, random: &mut Ids) -> Vec<f64> {
        let place = |_| {
            let target = random.id();
            let mut all: Vec<_> = ids.iter().map(|id| id.distance(&target)).collect();
            let (_, kth, _) = all.select_nth_unstable(k - 1);
            share(*kth)
        };
        (0..m).map(place).collect()
    }

    /// How often the interval has the truth, and the mean estimate.
    fn simulate(nodes: usize, m: usize, rounds: u8) -> (f64, f64) {
        let mut random = Ids(nodes as u64);
        let truth = nodes as f64;
        let (mut within, mut sum) = (0_u8, 0.0);
        for _ in 0..rounds {
            let ids: Vec<NodeId> = (0..nodes).map(|_| random.id()).collect();
            let distances = distances(&ids, 8, m, &mut random);
            let size = network_size(&distances, 8).unwrap();
            assert!(size.low < size.nodes && size.nodes < size.high);
            within += u8::from((size.low..=size.high).contains(&truth));
            sum += size.nodes;
        }
        (
            f64::from(within) / f64::from(rounds),
            sum / f64::from(rounds),
        )
    }

    #[test]
    fn the_interval_has_the_truth_nineteen_times_in_twenty() {
        for (nodes, m) in [(50, 16), (300, 16), (2000, 16)] {
            let (within, mean) = simulate(nodes, m, 100);
            assert!(within >= 0.88, "{nodes}: {within}");
            let off = (mean / nodes as f64 - 1.0).abs();
            assert!(off < 0.08, "{nodes}: mean {mean}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        // Chi-square with 10 degrees of freedom: 3.247 and 20.483.
        assert!((2.0 * gamma_quantile(5.0, -Z95) - 3.247).abs() < 0.03);
        assert!((2.0 * gamma_quantile(5.0, Z95) - 20.483).abs() < 0.03);
    }

    #[test]
    fn without_places_there_is_none() {
        assert_eq!(network_size(&[], 8), None);
        assert_eq!(network_size(&[0.0, f64::NAN, 2.0], 8), None);
        assert_eq!(network_size(&[0.5], 1), None);
    }
}
