//! How many addresses subnets have left, counting machines that were ordered since they were looked up.

use std::collections::{BTreeMap, BTreeSet};
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
    /// Of orders under way, of which each will take them in one subnet at most.
    held: i64,
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
            let fresh = Count { look: subnet.look, seen: subnet.available, taken: 0, held: 0, full_until: None };
            let count = counts.entry(subnet.id.clone()).or_insert(fresh);
            if count.look < subnet.look {
                *count = Count { held: count.held, ..fresh };
            }
            let is_full = count.full_until.is_some_and(|until| until > now);
            (if is_full { 0 } else { count.seen - count.taken }, count.held)
        };
        let in_zone = subnets.iter().filter(|subnet| &*subnet.zone == zone).map(|subnet| (left(subnet), subnet));
        let open = in_zone.filter(|((left, _), _)| *left >= needed.max(1));
        let open = open.map(|((left, held), subnet)| (left - held, subnet));
        // At equal room the first, so that the order of the class decides.
        open.reduce(|best, other| if other.0 > best.0 { other } else { best }).map(|(_, subnet)| subnet)
    }

    /// Holds addresses in each of the subnets that a machine may come to be in. What is held makes other subnets better, and
    /// no subnet full: the machine will take them in one.
    pub fn hold<'a>(&self, subnets: impl Iterator<Item = &'a str>, n: i64) -> Held<'_> {
        let subnets: BTreeSet<Str> = subnets.map(Str::from).collect();
        self.add(&subnets, n);
        Held { of: self, subnets, n }
    }

    fn add(&self, subnets: &BTreeSet<Str>, n: i64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for subnet in subnets {
            if let Some(count) = counts.get_mut(subnet) {
                count.held += n;
            }
        }
    }

    /// EC2 said that it has none left.
    pub fn mark_full(&self, subnet: &str) {
        if let Some(count) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(subnet) {
            count.full_until = Some(Instant::now() + FULL);
        }
    }
}

/// Addresses held for a machine that is being bought; given back when dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    of: &'a Addresses,
    subnets: BTreeSet<Str>,
    n: i64,
}

impl Held<'_> {
    /// A machine was bought in a subnet, and none in the others.
    pub fn keep(self, subnet: &str) {
        if let Some(count) = self.of.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(subnet) {
            count.taken += self.n;
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.of.add(&self.subnets, -self.n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(id: &str, available: i64) -> Subnet {
        Subnet { id: id.into(), zone: "a".into(), zone_id: "az1".into(), available, look: 1 }
    }

    fn take(addresses: &Addresses, subnet: &str, n: i64) {
        addresses.hold([subnet].into_iter(), n).keep(subnet);
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
    fn what_is_held_for_machines_under_way_sends_others_elsewhere_and_is_given_back() {
        let addresses = Addresses::default();
        let subnets = [subnet("one", 40), subnet("two", 30)];
        let best = || addresses.best(&subnets, "a", 1).map(|subnet| subnet.id.to_string());
        assert_eq!(best().as_deref(), Some("one"));
        let held = addresses.hold(["one"].into_iter(), 25);
        assert_eq!(best().as_deref(), Some("two"));
        let more = addresses.hold(["one", "two"].into_iter(), 100);
        assert!(addresses.best(&subnets, "a", 30).is_some(), "what is held makes no subnet full");
        drop(more);
        held.keep("one");
        assert_eq!(best().as_deref(), Some("two"));
        let left = |needed| addresses.best(&subnets[..1], "a", needed).is_some();
        assert!(left(15) && !left(16));
    }
}
