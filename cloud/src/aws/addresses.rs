//! How many addresses subnets have left, counting machines that were ordered since they were looked up.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use planner::model::Str;
use tokio::time::Instant;

use super::class::Subnet;

/// How long a subnet that EC2 called full stays so, unless it is looked up again.
const FULL: Duration = Duration::from_mins(3);

#[derive(Clone, Copy, Debug)]
struct Count {
    /// Which look it is from; those of an earlier one do not count any more.
    look: u64,
    /// As looked up.
    seen: i64,
    /// Taken by orders since.
    taken: i64,
    full_until: Option<Instant>,
}

/// Counts by subnet.
#[derive(Debug, Default)]
pub(super) struct Addresses(Mutex<BTreeMap<Str, Count>>);

impl Addresses {
    /// The subnet of a zone that has most addresses left; none when no subnet has so many.
    pub fn best<'a>(&self, subnets: &'a [Subnet], zone: &str, needed: i64) -> Option<&'a Subnet> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let mut left = |subnet: &Subnet| {
            let fresh = Count { look: subnet.look, seen: subnet.available, taken: 0, full_until: None };
            let count = counts.entry(subnet.id.clone()).or_insert(fresh);
            if count.look < subnet.look {
                *count = fresh;
            }
            if count.full_until.is_some_and(|until| until > now) { 0 } else { count.seen - count.taken }
        };
        let in_zone = subnets.iter().filter(|subnet| &*subnet.zone == zone).map(|subnet| (left(subnet), subnet));
        let open = in_zone.filter(|(left, _)| *left >= needed.max(1));
        // At equal room the first, so that the order of the class decides.
        open.reduce(|best, other| if other.0 > best.0 { other } else { best }).map(|(_, subnet)| subnet)
    }

    /// Counts addresses as taken in each of the subnets that a machine may come to be in: in each as many as the smallest
    /// of its ways would take there.
    pub fn hold<'a>(&self, ways: impl Iterator<Item = (&'a str, i64)>) -> Held<'_> {
        let mut smallest: BTreeMap<Str, i64> = BTreeMap::new();
        for (subnet, n) in ways {
            let held = smallest.entry(subnet.into()).or_insert(n);
            *held = n.min(*held);
        }
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = smallest.into_iter().filter_map(|(subnet, n)| {
            let count = counts.get_mut(&subnet)?;
            count.taken += n;
            Some((subnet, count.look, n))
        });
        let held = held.collect();
        Held { of: self, held }
    }

    fn add(&self, subnet: &str, look: Option<u64>, n: i64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(subnet).filter(|count| look.is_none_or(|look| look == count.look)) {
            count.taken += n;
        }
    }

    /// EC2 said that it has none left.
    pub fn mark_full(&self, subnet: &str) {
        if let Some(count) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(subnet) {
            count.full_until = Some(Instant::now() + FULL);
        }
    }
}

/// Addresses held for a machine that is being bought. Dropped without a word they count as taken until the next look.
#[derive(Debug)]
#[must_use = "what is not used is to be given back"]
pub(super) struct Held<'a> {
    of: &'a Addresses,
    /// Subnet, look, addresses.
    held: Vec<(Str, u64, i64)>,
}

impl Held<'_> {
    /// Nothing was bought.
    pub fn give_back(self) {
        for (subnet, look, n) in &self.held {
            self.of.add(subnet, Some(*look), -n);
        }
    }

    /// A machine with so many addresses was bought in a subnet, and none in the others.
    pub fn keep(self, subnet: &str, n: i64) {
        let of = self.of;
        self.give_back();
        of.add(subnet, None, n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(id: &str, available: i64) -> Subnet {
        Subnet { id: id.into(), zone: "a".into(), zone_id: "az1".into(), available, look: 1 }
    }

    fn take(addresses: &Addresses, subnet: &str, n: i64) {
        addresses.hold([(subnet, 1)].into_iter()).keep(subnet, n);
    }

    #[tokio::test(start_paused = true)]
    async fn orders_go_to_the_subnet_with_most_room_and_never_to_a_full_one() {
        let addresses = Addresses::default();
        let subnets = [subnet("one", 10), subnet("two", 12), subnet("three", 0)];
        let best = |subnets: &[Subnet]| addresses.best(subnets, "a", 1).map(|subnet| subnet.id.to_string());
        assert_eq!(best(&subnets).as_deref(), Some("two"));
        take(&addresses, "two", 5);
        assert_eq!(best(&subnets).as_deref(), Some("one"));
        addresses.mark_full("one");
        assert_eq!(best(&subnets).as_deref(), Some("two"));
        addresses.mark_full("two");
        assert_eq!(best(&subnets), None);
        let again = [Subnet { look: 2, ..subnet("one", 11) }];
        assert_eq!(best(&again).as_deref(), Some("one"), "it was looked up again");
        assert!(addresses.best(&subnets, "b", 1).is_none());
        tokio::time::advance(FULL).await;
        assert_eq!(best(&subnets).as_deref(), Some("one"));
    }

    #[test]
    fn a_look_that_finds_as_many_as_the_one_before_counts_all_the_same() {
        let addresses = Addresses::default();
        let first = [subnet("one", 10)];
        let has = |subnets: &[Subnet], needed| addresses.best(subnets, "a", needed).is_some();
        assert!(has(&first, 10) && !has(&first, 11), "a subnet without room for the pods is none");
        take(&addresses, "one", 4);
        assert!(has(&first, 6) && !has(&first, 7));
        // The machine went again before the next look, which finds what the first one found.
        let second = [Subnet { look: 2, ..subnet("one", 10) }];
        assert!(has(&second, 10));
        // Another class that looked earlier does not bring back what was.
        take(&addresses, "one", 4);
        assert!(!has(&first, 7) && !has(&second, 7));
    }

    #[test]
    fn what_is_held_for_a_machine_is_given_back_where_it_did_not_come_to_be() {
        let addresses = Addresses::default();
        let subnets = [subnet("one", 40), Subnet { zone: "b".into(), ..subnet("two", 40) }];
        let left = |zone: &str| (0..=40).rev().find(|n| addresses.best(&subnets, zone, *n).is_some());
        assert_eq!((left("a"), left("b")), (Some(40), Some(40)));
        let held = addresses.hold([("one", 29), ("one", 8), ("two", 29)].into_iter());
        assert_eq!((left("a"), left("b")), (Some(32), Some(11)));
        held.keep("one", 29);
        assert_eq!((left("a"), left("b")), (Some(11), Some(40)));
        let held = addresses.hold([("two", 29)].into_iter());
        held.give_back();
        assert_eq!(left("b"), Some(40));
    }
}
