//! Pools from which nothing can be bought, for a reason that only their requirements and the market have.

use std::collections::BTreeSet;

use planner::model::labels::{CAPACITY_TYPE, ZONE};
use planner::model::{InstanceType, Offering, Pool, Requirement};

/// Why a pool can buy nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bare {
    /// Nothing that its class sells meets its requirements and is in stock.
    OfRequirements,
    /// What is left has fewer values of some label than `minValues` ask for.
    OfMinValues,
}

/// Why nothing can be bought from a pool, if that is so. `minValues` count unless they may be lowered.
pub(super) fn bare(pool: &Pool, may_lower: bool) -> Option<Bare> {
    if !pool.dynamic() || pool.not_ready.is_some() {
        return None;
    }
    let mut sold = pool.types.iter().filter(|sold| can_be_bought(pool, sold)).peekable();
    if sold.peek().is_none() {
        return Some(Bare::OfRequirements);
    }
    let sold: Vec<&InstanceType> = sold.collect();
    let is_short = |asked: &Requirement| {
        let least = asked.min_values.filter(|_| !may_lower).map_or(0, |least| least as usize);
        // Most pools ask for no choice at all.
        least > 0 && sold.iter().flat_map(|sold| values(pool, sold, asked)).collect::<BTreeSet<&str>>().len() < least
    };
    pool.requirements.iter().any(is_short).then_some(Bare::OfMinValues)
}

/// The values of a label that a type can be bought with.
fn values<'a>(pool: &'a Pool, sold: &'a InstanceType, asked: &'a Requirement) -> Vec<&'a str> {
    let of_type = sold.labels.get(&asked.key).map(|value| &**value);
    let open = sold.open_labels.iter().filter(|(key, _)| *key == asked.key).flat_map(|(_, values)| values);
    let of_offering = |offering: &'a Offering| match &*asked.key {
        ZONE => Some(&*offering.zone),
        CAPACITY_TYPE => Some(offering.capacity_type.as_str()),
        key => offering.labels.get(key).map(|value| &**value),
    };
    let offered = sold.offerings.iter().filter(|offering| is_offered(pool, offering)).filter_map(of_offering);
    let all = of_type.into_iter().chain(open.map(|value| &**value)).chain(offered);
    all.filter(|value| asked.has(value)).collect()
}

fn can_be_bought(pool: &Pool, sold: &InstanceType) -> bool {
    let is_met = pool.requirements.iter().all(|asked| {
        let open = || sold.open_labels.iter().find(|(key, _)| *key == asked.key);
        match (sold.labels.get(&asked.key), open()) {
            (Some(value), _) => asked.has(value),
            (None, Some((_, values))) => values.iter().any(|value| asked.has(value)),
            // Of the offering, or a label of the pool's own.
            (None, None) => true,
        }
    });
    is_met && sold.offerings.iter().any(|offering| is_offered(pool, offering))
}

fn is_offered(pool: &Pool, offering: &Offering) -> bool {
    let asked = |key: &str, value: &str| pool.requirements.get(key).is_none_or(|asked| asked.has(value));
    offering.available
        && asked(ZONE, &offering.zone)
        && asked(CAPACITY_TYPE, offering.capacity_type.as_str())
        && offering.labels.iter().all(|(key, value)| asked(key, value))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use planner::model::requirement::Operator;

    use super::*;
    use crate::observe::{Options, Validate, files, snapshot};

    #[test]
    fn a_pool_whose_requirements_or_stock_leave_nothing_sells_nothing() {
        let objects = files::read(&["examples/kwok"], Validate::Strict).unwrap();
        let pools = snapshot(objects, &Options::default()).unwrap().snapshot.pools;
        let pool = pools.into_iter().find(Pool::dynamic).unwrap();
        assert_eq!(bare(&pool, false), None);
        let mut narrow = pool.clone();
        narrow.requirements.add(Requirement::new(ZONE, Operator::In, ["nowhere"]));
        assert_eq!(bare(&narrow, true), Some(Bare::OfRequirements));
        let mut sold_out = pool.clone();
        let types = Arc::make_mut(&mut sold_out.types);
        types.iter_mut().flat_map(|sold| &mut sold.offerings).for_each(|offering| offering.available = false);
        assert_eq!(bare(&sold_out, true), Some(Bare::OfRequirements));
        let mut odd = pool;
        odd.requirements.add(Requirement::new("kubernetes.io/arch", Operator::In, ["mips"]));
        assert_eq!(bare(&odd, true), Some(Bare::OfRequirements));
    }

    #[test]
    fn a_pool_that_asks_for_more_choice_than_there_is_says_so_unless_it_may_take_less() {
        let objects = files::read(&["examples/kwok"], Validate::Strict).unwrap();
        let pools = snapshot(objects, &Options::default()).unwrap().snapshot.pools;
        let pool = pools.into_iter().find(Pool::dynamic).unwrap();
        for (key, values, least, expected) in [
            (ZONE, vec!["test-zone-a", "test-zone-b"], 2, None),
            (ZONE, vec!["test-zone-a", "nowhere"], 2, Some(Bare::OfMinValues)),
            (CAPACITY_TYPE, vec!["spot", "on-demand"], 3, Some(Bare::OfMinValues)),
            ("node.kubernetes.io/instance-type", vec!["c-2x-amd64-linux", "c-4x-amd64-linux"], 2, None),
            ("node.kubernetes.io/instance-type", vec!["c-2x-amd64-linux"], 2, Some(Bare::OfMinValues)),
        ] {
            let mut pool = pool.clone();
            let mut asked = Requirement::new(key, Operator::In, values);
            asked.min_values = Some(least);
            pool.requirements.add(asked);
            assert_eq!(bare(&pool, false), expected, "{key} {least}");
            assert_eq!(bare(&pool, true), None, "{key} {least}");
        }
    }
}
