//! Which of a launch's offerings are shown: at most sixty, cheapest first, with enough variety for the pool's `minValues`.

use std::collections::BTreeSet;

use planner::model::{InstanceType, Pool, labels};
use planner::plan::{Launch, RankedOffering};

/// Offerings shown per launch.
pub const MOST: usize = 60;
/// So many of the cheapest are always among them.
const CHEAPEST: usize = 15;

/// The offerings of a launch to show, in order of price.
pub fn shown<'a>(launch: &'a Launch, pool: Option<&Pool>) -> Vec<&'a RankedOffering> {
    let all = &launch.offerings;
    let mut picked: BTreeSet<usize> = (0..all.len().min(CHEAPEST)).collect();
    for requirement in pool.iter().flat_map(|pool| pool.requirements.iter()) {
        let Some(least) = requirement.min_values else { continue };
        let value = |at: usize| value_of(&all[at], pool, &requirement.key);
        let mut seen: BTreeSet<String> = picked.iter().filter_map(|at| value(*at)).collect();
        for at in 0..all.len() {
            if seen.len() >= least as usize || picked.len() >= MOST {
                break;
            }
            if value(at).is_some_and(|value| seen.insert(value)) {
                picked.insert(at);
            }
        }
    }
    let room = MOST.saturating_sub(picked.len());
    let rest: Vec<usize> = (0..all.len()).filter(|at| !picked.contains(at)).take(room).collect();
    picked.extend(rest);
    picked.into_iter().map(|at| &all[at]).collect()
}

fn value_of(offering: &RankedOffering, pool: Option<&Pool>, key: &str) -> Option<String> {
    match key {
        labels::INSTANCE_TYPE => Some(offering.instance_type.to_string()),
        labels::ZONE => Some(offering.zone.to_string()),
        labels::CAPACITY_TYPE => Some(offering.capacity_type.as_str().to_string()),
        _ => {
            let of_type = |t: &&InstanceType| t.name == offering.instance_type;
            let pool = pool?;
            let label =
                pool.types.iter().find(of_type).and_then(|t| t.labels.get(key)).or_else(|| pool.labels.get(key));
            label.map(ToString::to_string)
        }
    }
}

#[cfg(test)]
mod tests {
    use planner::model::{CapacityType, Labels, MicroUsdPerHour, Operator, Requirement, Requirements, Resources};

    use super::*;

    /// A launch with `n` offerings, prices 1, 2, 3, … and the instance type that `name` gives.
    fn launch(n: usize, name: impl Fn(usize) -> String) -> Launch {
        let offering = |at: usize| RankedOffering {
            price: MicroUsdPerHour(i64::try_from(at).unwrap() + 1),
            capacity_type: CapacityType::OnDemand,
            instance_type: name(at).into(),
            zone: format!("zone-{at}").into(),
            reservation: None,
        };
        Launch {
            name: "yard-1".into(),
            pool: "yard".into(),
            offerings: (0..n).map(offering).collect(),
            offerings_total: n,
            requests: Resources::default(),
            allocatable: Resources::default(),
            capacity: Resources::default(),
            labels: Labels::new().into(),
            taints: Vec::new(),
            startup_taints: Vec::new(),
            requirements: Requirements::new().into(),
            relaxed_min_values: std::collections::BTreeMap::default(),
            pods: Vec::new(),
        }
    }

    fn pool(min_values: Option<u32>) -> Pool {
        let mut requirement = Requirement::new(labels::INSTANCE_TYPE, Operator::Exists, Vec::<&str>::new());
        requirement.min_values = min_values;
        Pool {
            name: "yard".into(),
            weight: 0,
            labels: Labels::new(),
            requirements: std::iter::once(requirement).collect(),
            taints: Vec::new(),
            startup_taints: Vec::new(),
            limits: Resources::default(),
            replicas: None,
            not_ready: None,
            types: std::sync::Arc::default(),
        }
    }

    fn prices(shown: &[&RankedOffering]) -> Vec<i64> {
        shown.iter().map(|o| o.price.0).collect()
    }

    #[test]
    fn the_cheapest_sixty_are_shown_in_order_of_price() {
        let launch = launch(100, |_| "same".into());
        assert_eq!(prices(&shown(&launch, Some(&pool(None)))), (1..=60).collect::<Vec<i64>>());
        assert_eq!(shown(&self::launch(7, |_| "same".into()), None).len(), 7);
    }

    #[test]
    fn a_dear_type_is_shown_where_min_values_ask_for_it() {
        let launch = launch(100, |at| format!("type-{}", at / 40));
        let chosen = shown(&launch, Some(&pool(Some(3))));
        assert_eq!(chosen.len(), MOST);
        assert_eq!(prices(&chosen)[..15], (1..=15).collect::<Vec<i64>>());
        let types: BTreeSet<&str> = chosen.iter().map(|o| o.instance_type.as_ref()).collect();
        assert_eq!(types.len(), 3);
        assert!(chosen.is_sorted_by_key(|o| o.price));
    }
}
