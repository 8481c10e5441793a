//! What each pool says to one pod: the planner is asked again with that pod and that pool, all others in their places.

use std::sync::Arc;

use planner::model::group::PodRef;
use planner::model::{Code, PodGroup, PodShape, Snapshot, Str};
use planner::plan::{Plan, RankedOffering};
use serde::Serialize;

use super::OfferingRow;
use super::settled::settled;

/// One pool's answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    pub node_pool: String,
    pub weight: i32,
    /// What it would buy for this pod by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_buy: Option<OfferingRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest_miss: Option<String>,
}

/// Answers of all dynamic pools, in the order they are tried; and the offerings they would take, cheapest first.
pub fn verdicts(
    pod: &Str,
    shape: &Arc<PodShape>,
    snapshot: &Snapshot,
    plan: &Plan,
) -> (Vec<Verdict>, Vec<RankedOffering>) {
    let mut alone = settled(snapshot, plan, pod);
    alone.groups =
        vec![PodGroup { shape: Arc::clone(shape), pods: vec![PodRef { key: pod.clone(), stand_in: false }] }];
    let mut offerings = Vec::new();
    let mut ask = |pool: &planner::model::Pool| {
        alone.pools = vec![pool.clone()];
        let plan = planner::plan(&alone);
        let bought = plan.launches.iter().find(|launch| launch.pods.contains(pod));
        offerings.extend(bought.into_iter().flat_map(|launch| launch.offerings.iter().cloned()));
        let reason = plan.unplaced.iter().flat_map(|unplaced| &unplaced.reasons).next();
        Verdict {
            node_pool: pool.name.to_string(),
            weight: pool.weight,
            would_buy: bought.and_then(|launch| launch.chosen()).map(OfferingRow::from),
            code: reason.map(|reason| reason.code),
            message: reason.map_or_else(String::new, |reason| reason.message.clone()),
            nearest_miss: reason.and_then(|reason| reason.nearest_miss.clone()),
        }
    };
    let verdicts = snapshot.pools.iter().filter(|pool| pool.dynamic()).map(&mut ask).collect();
    offerings.sort();
    offerings.dedup();
    (verdicts, offerings)
}
