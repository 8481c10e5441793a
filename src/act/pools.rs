//! Pools from which nothing can be bought, for a reason that only their requirements and the market have.

use planner::model::labels::{CAPACITY_TYPE, ZONE};
use planner::model::{InstanceType, Pool};

/// Does nothing that the pool's class sells meet the pool's requirements and be in stock?
pub(super) fn sells_nothing(pool: &Pool) -> bool {
    pool.dynamic() && pool.not_ready.is_none() && !pool.types.iter().any(|sold| can_be_bought(pool, sold))
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
    let asked = |key: &str, value: &str| pool.requirements.get(key).is_none_or(|asked| asked.has(value));
    is_met
        && sold.offerings.iter().any(|offering| {
            offering.available
                && asked(ZONE, &offering.zone)
                && asked(CAPACITY_TYPE, offering.capacity_type.as_str())
                && offering.labels.iter().all(|(key, value)| asked(key, value))
        })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use planner::model::requirement::{Operator, Requirement};

    use super::*;
    use crate::observe::{Options, Validate, files, snapshot};

    #[test]
    fn a_pool_whose_requirements_or_stock_leave_nothing_sells_nothing() {
        let objects = files::read(&["examples/kwok"], Validate::Strict).unwrap();
        let pools = snapshot(objects, &Options::default()).unwrap().snapshot.pools;
        let pool = pools.into_iter().find(Pool::dynamic).unwrap();
        assert!(!sells_nothing(&pool));
        let mut narrow = pool.clone();
        narrow.requirements.add(Requirement::new(ZONE, Operator::In, ["nowhere"]));
        assert!(sells_nothing(&narrow));
        let mut sold_out = pool.clone();
        let types = Arc::make_mut(&mut sold_out.types);
        types.iter_mut().flat_map(|sold| &mut sold.offerings).for_each(|offering| offering.available = false);
        assert!(sells_nothing(&sold_out));
        let mut odd = pool;
        odd.requirements.add(Requirement::new("kubernetes.io/arch", Operator::In, ["mips"]));
        assert!(sells_nothing(&odd));
    }
}
