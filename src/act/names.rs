//! Names for claims, as the API server would make them for a `generateName`; but made here, so that a claim whose answer
//! was lost can be asked for again by its name.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Mutex;

/// Letters and digits that spell no words and look like no others; the API server's choice.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// Characters after the pool's name.
const SUFFIX: usize = 5;
/// A name is a label value and a host's name too.
const LONGEST: usize = 63;

/// A source of names.
#[derive(Debug)]
pub struct Names(Mutex<u64>);

impl Names {
    /// Other names in every process.
    pub fn random() -> Self {
        Self::seeded(RandomState::new().build_hasher().finish())
    }

    /// The same names for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// A name for a claim of this pool.
    pub fn next(&self, pool: &str) -> String {
        let mut bits = {
            let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            // SplitMix64.
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let mut name: String = pool.chars().take(LONGEST - SUFFIX - 1).collect();
        name.push('-');
        for _ in 0..SUFFIX {
            let at = usize::try_from(bits % ALPHABET.len() as u64).unwrap_or_default();
            name.push(char::from(ALPHABET[at]));
            bits /= ALPHABET.len() as u64;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_differ_and_repeat_with_their_seed() {
        let names = |seed| {
            let names = Names::seeded(seed);
            (0..1000).map(|_| names.next("general")).collect::<Vec<_>>()
        };
        assert_eq!(names(7), names(7));
        assert_ne!(names(7), names(8));
        assert!(names(7).into_iter().collect::<BTreeSet<_>>().len() > 995);
        assert!(names(7).iter().all(|name| name.len() == "general-".len() + 5));
    }

    #[test]
    fn a_long_pool_gives_a_name_that_is_still_a_label() {
        assert_eq!(Names::seeded(0).next(&"p".repeat(200)).len(), 63);
    }
}
