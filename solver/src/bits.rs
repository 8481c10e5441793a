//! A fixed-length set of small indices, stored as words: which kinds an item may use, which classes a bin may hold.

/// A set of indices `0..len`. Equal sets of equal length compare equal and hash equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BitSet {
    words: Vec<u64>,
    len: usize,
}

impl BitSet {
    /// The empty set over `0..len`.
    pub fn new(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)], len }
    }

    /// The set of all indices `0..len`.
    pub fn full(len: usize) -> Self {
        let mut set = Self::new(len);
        for (i, word) in set.words.iter_mut().enumerate() {
            let left = len - i * 64;
            *word = if left >= 64 { u64::MAX } else { (1 << left) - 1 };
        }
        set
    }

    /// The set over `0..len` of those of `members` that lie in the range.
    pub fn of(len: usize, members: impl IntoIterator<Item = usize>) -> Self {
        let mut set = Self::new(len);
        for i in members {
            set.insert(i);
        }
        set
    }

    /// How many indices the set ranges over (not how many it holds).
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&w| w == 0)
    }

    /// Adds an index; one outside the range is ignored.
    pub fn insert(&mut self, i: usize) {
        if i < self.len {
            self.words[i >> 6] |= 1 << (i & 63);
        }
    }

    /// Adds `offset + i` for every bit `i` of `words`, least significant first; those outside the range are ignored.
    pub fn insert_words(&mut self, offset: usize, words: &[usize]) {
        let step = usize::BITS as usize;
        for (at, word) in words.iter().enumerate().filter(|(_, word)| **word != 0) {
            let (mut word, from) = (*word as u64, offset + at * step);
            if from + step <= self.len && step == 64 {
                self.words[from >> 6] |= word << (from & 63);
                if from & 63 != 0 {
                    self.words[(from >> 6) + 1] |= word >> (64 - (from & 63));
                }
                continue;
            }
            while word != 0 {
                self.insert(from + word.trailing_zeros() as usize);
                word &= word - 1;
            }
        }
    }

    /// Takes an index out.
    pub fn remove(&mut self, i: usize) {
        if i < self.len {
            self.words[i >> 6] &= !(1 << (i & 63));
        }
    }

    /// Whether the index is held; false outside the range.
    #[inline]
    pub fn contains(&self, i: usize) -> bool {
        self.words.get(i >> 6).is_some_and(|w| (w >> (i & 63)) & 1 == 1)
    }

    /// Keeps only what `other` holds too.
    pub fn intersect_with(&mut self, other: &Self) {
        for (i, w) in self.words.iter_mut().enumerate() {
            *w &= other.words.get(i).copied().unwrap_or(0);
        }
    }

    /// Adds what `other` holds (within this set's range).
    pub fn union_with(&mut self, other: &Self) {
        for (w, o) in self.words.iter_mut().zip(&other.words) {
            *w |= o;
        }
    }

    /// Whether the two share an index.
    pub fn intersects(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// Whether every index here is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.words.iter().enumerate().all(|(i, w)| w & !other.words.get(i).copied().unwrap_or(0) == 0)
    }

    /// How many indices it holds.
    pub fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// The indices held, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(i, &word)| Ones(word).map(move |b| i * 64 + b))
    }

    /// The indices held by both, ascending, without building the intersection.
    pub fn iter_and<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = usize> + 'a {
        self.words.iter().zip(&other.words).enumerate().flat_map(|(i, (&a, &b))| Ones(a & b).map(move |b| i * 64 + b))
    }

    /// The raw words, least index first.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }
}

/// The set bits of one word, ascending.
struct Ones(u64);

impl Iterator for Ones {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

#[cfg(test)]
mod tests {
    use super::BitSet;

    #[test]
    fn a_full_set_holds_exactly_its_range() {
        for len in [0, 1, 63, 64, 65, 130] {
            let set = BitSet::full(len);
            assert_eq!(set.count(), len);
            assert_eq!(set.iter().collect::<Vec<_>>(), (0..len).collect::<Vec<_>>());
            assert!(!set.contains(len));
        }
    }

    #[test]
    fn words_are_added_where_they_belong() {
        let words = [0b1001_usize | 1 << 63, 0, 1 << 5];
        for (len, offset) in [(400, 0), (400, 1), (400, 63), (400, 64), (300, 170), (130, 0), (70, 3), (2, 5)] {
            let mut set = BitSet::of(len, [0]);
            set.insert_words(offset, &words);
            let bits = [0, 3, 63, 133].map(|bit| bit + offset);
            assert_eq!(set, BitSet::of(len, bits.into_iter().chain([0])), "{len} {offset}");
        }
    }

    #[test]
    fn set_algebra_agrees_with_membership() {
        let a = BitSet::of(100, [1, 5, 64, 99]);
        let b = BitSet::of(100, [5, 6, 99, 700]);
        assert_eq!(a.iter_and(&b).collect::<Vec<_>>(), vec![5, 99]);
        assert!(a.intersects(&b) && !a.is_subset(&b));
        let mut c = a.clone();
        c.intersect_with(&b);
        assert!(c.is_subset(&a) && c.is_subset(&b));
        c.remove(5);
        c.union_with(&BitSet::of(100, [0]));
        assert_eq!(c.iter().collect::<Vec<_>>(), vec![0, 99]);
    }
}
