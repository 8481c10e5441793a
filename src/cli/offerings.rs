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
