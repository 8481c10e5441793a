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
    /// The subnet of a zone that has most addresses left; none when all are full.
    pub fn best<'a>(&self, subnets: &'a [Subnet], zone: &str) -> Option<&'a Subnet> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let mut left = |subnet: &Subnet| {
            let fresh = Count { seen: subnet.available, taken: 0, full_until: None };
            let count = counts.entry(subnet.id.clone()).or_insert(fresh);
            if count.seen != subnet.available {
                *count = fresh;
            }
            if count.full_until.is_some_and(|until| until > now) { 0 } else { count.seen - count.taken }
        };
        let in_zone = subnets.iter().filter(|subnet| &*subnet.zone == zone).map(|subnet| (left(subnet), subnet));
        let open = in_zone.filter(|(left, _)| *left > 0);
        // At equal room the first, so that the order of the class decides.
        open.reduce(|best, other| if other.0 > best.0 { other } else { best }).map(|(_, subnet)| subnet)
    }

    /// A machine with so many addresses was bought there.
    pub fn take(&self, subnet: &str, n: i64) {
        if let Some(count) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(subnet) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(id: &str, available: i64) -> Subnet {
        Subnet { id: id.into(), zone: "a".into(), zone_id: "az1".into(), available }
    }

    #[tokio::test(start_paused = true)]
    async fn orders_go_to_the_subnet_with_most_room_and_never_to_a_full_one() {
        let addresses = Addresses::default();
        let subnets = [subnet("one", 10), subnet("two", 12), subnet("three", 0)];
        let best = |subnets: &[Subnet]| addresses.best(subnets, "a").map(|subnet| subnet.id.to_string());
        assert_eq!(best(&subnets).as_deref(), Some("two"));
        addresses.take("two", 5);
        assert_eq!(best(&subnets).as_deref(), Some("one"));
        addresses.mark_full("one");
        assert_eq!(best(&subnets).as_deref(), Some("two"));
        addresses.mark_full("two");
        assert_eq!(best(&subnets), None);
        assert_eq!(best(&[subnet("one", 11)]).as_deref(), Some("one"), "it was looked up again");
        assert!(addresses.best(&subnets, "b").is_none());
        tokio::time::advance(FULL).await;
        assert_eq!(best(&subnets).as_deref(), Some("one"));
    }
}
