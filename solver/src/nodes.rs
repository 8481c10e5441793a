//! Bins under construction, and what is left of joint limits.

use crate::instance::{Instance, Pattern, fits, max_fit};

/// A bin under construction. Offers from `Instance::n_new` on are started bins.
#[derive(Clone, Debug)]
pub(crate) struct Node<const R: usize> {
    pub offer: u32,
    pub pattern: Pattern,
    pub free: [i64; R],
}

impl<const R: usize> Node<R> {
    pub(crate) fn empty(inst: &Instance<R>, offer: u32) -> Self {
        Self { offer, pattern: Pattern::new(), free: inst.offers[offer as usize].holds }
    }

    pub(crate) fn with(inst: &Instance<R>, offer: u32, pattern: Pattern) -> Self {
        let mut node = Self::empty(inst, offer);
        for &(k, n) in &pattern {
            for r in 0..R {
                node.free[r] -= inst.classes[k as usize].need[r] * i64::from(n);
            }
        }
        node.pattern = pattern;
        node
    }

    /// How many of class `k` are inside.
    #[inline]
    pub(crate) fn count(&self, k: u32) -> u32 {
        self.pattern.binary_search_by_key(&k, |e| e.0).map_or(0, |i| self.pattern[i].1)
    }

    /// How many more of class `k` may join, by every rule.
    #[inline]
    pub(crate) fn room_for(&self, inst: &Instance<R>, k: u32) -> u32 {
        let class = &inst.classes[k as usize];
        let n = max_fit(&class.need, &self.free);
        if n == 0 || !inst.offers[self.offer as usize].serves.contains(k as usize) {
            return 0;
        }
        if inst.has_foes && class.has_foe_in(&self.pattern) {
            return 0;
        }
        if class.per_bin == u32::MAX { n } else { n.min(class.per_bin.saturating_sub(self.count(k))) }
    }

    /// Whether any more of class `k` may join; without dividing.
    #[inline]
    pub(crate) fn has_room_for(&self, inst: &Instance<R>, k: u32) -> bool {
        let class = &inst.classes[k as usize];
        fits(&class.need, &self.free)
            && inst.offers[self.offer as usize].serves.contains(k as usize)
            && !(inst.has_foes && class.has_foe_in(&self.pattern))
            && (class.per_bin == u32::MAX || self.count(k) < class.per_bin)
    }

    /// Adds `n` of class `k`, which must be at most [`Node::room_for`].
    #[inline]
    pub(crate) fn add(&mut self, inst: &Instance<R>, k: u32, n: u32) {
        let need = &inst.classes[k as usize].need;
        for r in 0..R {
            self.free[r] -= need[r] * i64::from(n);
        }
        match self.pattern.binary_search_by_key(&k, |e| e.0) {
            Ok(i) => self.pattern[i].1 += n,
            Err(i) => self.pattern.insert(i, (k, n)),
        }
    }

    /// What the contents take.
    pub(crate) fn used(&self, inst: &Instance<R>) -> [i64; R] {
        let holds = &inst.offers[self.offer as usize].holds;
        std::array::from_fn(|r| holds[r] - self.free[r])
    }

    pub(crate) fn price(&self, inst: &Instance<R>) -> f64 {
        inst.offers[self.offer as usize].price
    }

    /// Makes it a bin of another offer, which must hold the contents.
    pub(crate) fn turn_into(&mut self, inst: &Instance<R>, offer: u32) {
        let used = self.used(inst);
        self.offer = offer;
        for r in 0..R {
            self.free[r] = inst.offers[offer as usize].holds[r] - used[r];
        }
    }

    pub(crate) fn is_new(&self, inst: &Instance<R>) -> bool {
        (self.offer as usize) < inst.n_new
    }
}

/// Objective of a set of nodes.
pub(crate) fn price_of<const R: usize>(inst: &Instance<R>, nodes: &[Node<R>]) -> f64 {
    nodes.iter().map(|n| n.price(inst)).sum()
}

/// What is left of each joint limit.
#[derive(Clone, Debug)]
pub(crate) struct Budget(pub Vec<i64>);

impl Budget {
    #[inline]
    pub(crate) fn allows<const R: usize>(&self, inst: &Instance<R>, offer: u32) -> bool {
        inst.offers[offer as usize].uses.iter().all(|&(l, w)| w <= self.0[l as usize])
    }

    #[inline]
    pub(crate) fn take<const R: usize>(&mut self, inst: &Instance<R>, offer: u32) {
        for &(l, w) in &inst.offers[offer as usize].uses {
            self.0[l as usize] -= w;
        }
    }

    #[inline]
    pub(crate) fn give<const R: usize>(&mut self, inst: &Instance<R>, offer: u32) {
        for &(l, w) in &inst.offers[offer as usize].uses {
            self.0[l as usize] += w;
        }
    }
}
