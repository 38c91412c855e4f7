//! Which host is updated in which wave.

use std::num::NonZeroUsize;

/// Sizes of the waves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaveSizes {
    /// Hosts in the canary.
    pub canary: NonZeroUsize,
    /// Hosts in each wave after it; none: all the rest in one.
    pub wave: Option<NonZeroUsize>,
}

/// Wave of each of `hosts` hosts, in their order, and the waves' names.
pub fn assign_waves(hosts: usize, sizes: WaveSizes) -> (Vec<usize>, Vec<String>) {
    let canary = sizes.canary.get();
    let rest = hosts.saturating_sub(canary);
    let size = sizes.wave.map_or_else(|| rest.max(1), NonZeroUsize::get);
    let wave_of = |index: usize| match index.checked_sub(canary) {
        None => 0,
        Some(after) => after.checked_div(size).unwrap_or(0).saturating_add(1),
    };
    let waves: Vec<usize> = (0..hosts).map(wave_of).collect();
    let last = waves.last().copied().unwrap_or(0);
    let name = |wave| if wave == 0 { "canary".to_owned() } else { format!("wave {wave}") };
    (waves, (0..=last).map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(canary: usize, wave: usize) -> WaveSizes {
        WaveSizes { canary: NonZeroUsize::new(canary).unwrap(), wave: NonZeroUsize::new(wave) }
    }

    #[test]
    fn the_canary_comes_first_and_the_rest_in_equal_waves() {
        let (waves, names) = assign_waves(5, sizes(1, 2));
        assert_eq!(waves, [0, 1, 1, 2, 2]);
        assert_eq!(names, ["canary", "wave 1", "wave 2"]);
    }

    #[test]
    fn without_a_size_the_rest_is_one_wave() {
        assert_eq!(assign_waves(4, sizes(1, 0)).0, [0, 1, 1, 1]);
        assert_eq!(assign_waves(1, sizes(3, 0)), (vec![0], vec!["canary".to_owned()]));
    }
}
