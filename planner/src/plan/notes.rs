//! What is to be said of a plan beside its pods: room that nobody keeps free, nodes that static pools lack.

use std::collections::BTreeMap;

use super::{Plan, Unplaced};
use crate::model::{Reason, Snapshot};

/// Reasons named in one note.
const MOST_REASONS: usize = 3;

impl Plan {
    /// A line for each buffer without all its room and each static pool without all its nodes.
    pub fn notes(&self, snapshot: &Snapshot) -> Vec<String> {
        let mut stand_ins: BTreeMap<&str, usize> = BTreeMap::new();
        for pod in snapshot.groups.iter().flat_map(|group| &group.pods).filter(|pod| pod.stand_in) {
            *stand_ins.entry(stem(&pod.key)).or_default() += 1;
        }
        let mut left: BTreeMap<&str, (usize, &Unplaced)> = BTreeMap::new();
        for unplaced in &self.stand_ins_left {
            for pod in &unplaced.pods {
                left.entry(stem(pod)).or_insert((0, unplaced)).0 += 1;
            }
        }
        let of_buffer = |(stem, (n, unplaced)): (&str, (usize, &Unplaced))| {
            let all = stand_ins.get(stem).copied().unwrap_or(n);
            let name = stem.replacen("/capacity-buffer-", "/", 1);
            format!("CapacityBuffer {name}: {n} of {all} stand-ins have no place: {}", why(&unplaced.reasons))
        };
        let of_pool = |short: &super::Short| {
            let (pool, reason) = (&short.reason.pool, std::slice::from_ref(&short.reason));
            let nodes = if short.missing == 1 { "node" } else { "nodes" };
            format!(
                "NodePool {pool} is static and stays {} {nodes} short of its replicas: {}",
                short.missing,
                why(reason)
            )
        };
        left.into_iter().map(of_buffer).chain(self.short.iter().map(of_pool)).collect()
    }
}

/// The name of a stand-in without its number.
fn stem(pod: &str) -> &str {
    pod.rsplit_once('-').map_or(pod, |(stem, _)| stem)
}

fn why(reasons: &[Reason]) -> String {
    let one = |reason: &Reason| match &reason.nearest_miss {
        Some(miss) => format!("{:?}: {} (would pass with: {miss})", reason.code, reason.message),
        None => format!("{:?}: {}", reason.code, reason.message),
    };
    let mut out: Vec<String> = reasons.iter().take(MOST_REASONS).map(one).collect();
    if reasons.len() > MOST_REASONS {
        out.push(format!("and {} more", reasons.len() - MOST_REASONS));
    }
    out.join("; ")
}
