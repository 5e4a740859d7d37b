//! The bodies of requests.

use super::plan::{Pick, Plan};

/// The bodies of a plan, one behind the other in memory so that finding one costs one look-up, and which of
/// them is next.
pub(super) struct Bodies {
    bytes: Vec<u8>,
    /// Where each begins, and where the last ends.
    bounds: Vec<usize>,
    pick: Pick,
    /// The last index, or the state of the generator.
    state: u64,
}

impl Bodies {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut bounds = vec![0];
        bounds.extend(plan.bodies.iter().scan(0, |end, body| {
            *end += body.len();
            Some(*end)
        }));
        let state = match plan.pick {
            Pick::First | Pick::RoundRobin => 0,
            Pick::Random { seed } => seed,
        };
        Self { bytes: plan.bodies.concat(), bounds, pick: plan.pick, state }
    }

    /// The index of the body that is next.
    pub(super) fn next(&mut self) -> usize {
        let count = self.bounds.len() - 1;
        match self.pick {
            Pick::First => 0,
            Pick::RoundRobin => {
                let index = self.state as usize;
                self.state = if index + 1 == count { 0 } else { self.state + 1 };
                index
            }
            Pick::Random { .. } => {
                // The upper half of a product spreads evenly over the range, without a division.
                let random = u128::from(split_mix(&mut self.state));
                ((random * count as u128) >> 64) as usize
            }
        }
    }

    /// The body with this index.
    pub(super) fn get(&self, index: usize) -> &[u8] {
        &self.bytes[self.bounds[index]..self.bounds[index + 1]]
    }
}

/// `SplitMix64`: passes the usual tests, and takes any seed.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::super::messages::grpc_frame;
    use super::*;

    fn bodies(pick: Pick) -> Bodies {
        let all = (0..5_u8).map(|n| grpc_frame(&vec![n; usize::from(n)])).collect();
        let mut plan = Plan::new(([127, 0, 0, 1], 1).into(), "/", all);
        plan.pick = pick;
        Bodies::new(&plan)
    }

    #[test]
    fn each_is_found_again() {
        let bodies = bodies(Pick::First);
        for n in 0..5_u8 {
            assert_eq!(bodies.get(n.into()), grpc_frame(&vec![n; usize::from(n)]));
        }
    }

    #[test]
    fn picks_as_told() {
        let take = |pick, count| {
            let mut bodies = bodies(pick);
            (0..count).map(|_| bodies.next()).collect::<Vec<_>>()
        };
        assert_eq!(take(Pick::First, 3), [0, 0, 0]);
        assert_eq!(take(Pick::RoundRobin, 7), [0, 1, 2, 3, 4, 0, 1]);
        let random = take(Pick::Random { seed: 1 }, 5_000);
        assert_eq!(random, take(Pick::Random { seed: 1 }, 5_000));
        assert_ne!(random, take(Pick::Random { seed: 2 }, 5_000));
        for n in 0..5 {
            let count = random.iter().filter(|&&picked| picked == n).count();
            assert!((900..1_100).contains(&count), "{n}: {count} times of 5000");
        }
    }
}
