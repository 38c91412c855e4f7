//! Which host is updated in which wave.

use std::num::NonZeroUsize;

/// Sizes of the waves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaveSizes {
    /// Hosts in the canary.
    pub canary: NonZeroUsize,
    /// Hosts in each wave after it; none: all the rest in one.
    pub wave: Option<NonZeroUsize>,
    /// Whether the waves after it have canaries too.
    pub canaries: Canaries,
}

/// Which waves begin with a few hosts that must pass the gates before the others are started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Canaries {
    /// The rollout.
    #[default]
    OfTheRollout,
    /// Each wave: a fault may show in one region, or at one venue, alone.
    OfEachWave,
}

/// Wave of each of `hosts` hosts, in their order, and the waves' names. A wave with a canary is two: the canary and the rest.
pub fn assign_waves(hosts: usize, sizes: WaveSizes) -> (Vec<usize>, Vec<String>) {
    let canary = sizes.canary.get();
    let size = sizes.wave.map_or_else(|| hosts.saturating_sub(canary).max(1), NonZeroUsize::get);
    let (mut waves, mut names) = (Vec::with_capacity(hosts), Vec::new());
    let mut begin = |name: String, most: usize| {
        let members = most.min(hosts.saturating_sub(waves.len()));
        if members > 0 {
            waves.extend(std::iter::repeat_n(names.len(), members));
            names.push(name);
        }
        members > 0
    };
    begin("canary".to_owned(), canary);
    for wave in 1_usize.. {
        let first = match sizes.canaries {
            Canaries::OfEachWave if size > canary => canary,
            _ => 0,
        };
        begin(format!("wave {wave} canary"), first);
        if !begin(format!("wave {wave}"), size.saturating_sub(first)) {
            break;
        }
    }
    (waves, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(canary: usize, wave: usize, canaries: Canaries) -> WaveSizes {
        WaveSizes { canary: NonZeroUsize::new(canary).unwrap(), wave: NonZeroUsize::new(wave), canaries }
    }

    #[test]
    fn the_canary_comes_first_and_the_rest_in_equal_waves() {
        let (waves, names) = assign_waves(5, sizes(1, 2, Canaries::OfTheRollout));
        assert_eq!(waves, [0, 1, 1, 2, 2]);
        assert_eq!(names, ["canary", "wave 1", "wave 2"]);
    }

    #[test]
    fn without_a_size_the_rest_is_one_wave() {
        assert_eq!(assign_waves(4, sizes(1, 0, Canaries::OfTheRollout)).0, [0, 1, 1, 1]);
        let all = assign_waves(1, sizes(3, 0, Canaries::OfTheRollout));
        assert_eq!(all, (vec![0], vec!["canary".to_owned()]));
    }

    #[test]
    fn each_wave_may_have_a_canary_of_its_own() {
        let (waves, names) = assign_waves(9, sizes(1, 4, Canaries::OfEachWave));
        assert_eq!(waves, [0, 1, 2, 2, 2, 3, 4, 4, 4]);
        assert_eq!(names, ["canary", "wave 1 canary", "wave 1", "wave 2 canary", "wave 2"]);
        let (waves, names) = assign_waves(4, sizes(2, 2, Canaries::OfEachWave));
        assert_eq!((waves, names.len()), (vec![0, 0, 1, 1], 2), "a wave that is all canary needs none");
        assert_eq!(assign_waves(6, sizes(1, 4, Canaries::OfEachWave)).0, [0, 1, 2, 2, 2, 3], "the last host alone");
    }
}
