//! Why the volumes of a group keep it from a pool: they exclude each other, they exclude what the pod asks for, or nothing
//! is sold where they are.

use super::agreement::spoken;
use super::reasons::Case;
use crate::model::{Code, Reason, Requirements, Str, labels};

impl Case<'_, '_, '_> {
    pub(super) fn volumes(&self) -> Option<Reason> {
        let volumes = &self.state.world.groups[self.group].shape.volumes;
        let mut mask = self.all_labels();
        if mask.is_clear() {
            return None;
        }
        if let Some(reason) = self.apart(volumes) {
            return Some(reason);
        }
        for terms in volumes {
            let mut next = mask.clone();
            next.intersect_with(&self.union(terms));
            if next.is_clear() {
                return Some(self.out_of_reach(terms));
            }
            mask = next;
        }
        None
    }

    /// No node of any pool would do.
    fn apart(&self, volumes: &[Vec<Requirements>]) -> Option<Reason> {
        let own = self.alternatives();
        for (at, terms) in volumes.iter().enumerate() {
            if let Some(key) = crossed(&own, terms) {
                let asked: Vec<String> = own.iter().filter_map(|a| Some(a.get(key)?.of_pod())).collect();
                let message = format!(
                    "a volume of the pod can be reached only from {}, and the pod asks for {}: they exclude each other",
                    places(terms),
                    asked.join(" or ")
                );
                let miss = match zone(terms) {
                    Some(zone) => format!("zone {zone} allowed by the pod"),
                    None => format!("{} allowed by the pod", places(terms)),
                };
                return Some(self.reason(Code::VolumeZone, message, Some(miss)));
            }
            if let Some((other, key)) = volumes[..at].iter().find_map(|other| Some((other, crossed(other, terms)?))) {
                let message = format!(
                    "two volumes of the pod exclude each other: one can be reached only from {}, the other only from {}",
                    places(other),
                    places(terms)
                );
                let what = spoken(key);
                return Some(self.reason(Code::VolumeZone, message, Some(format!("both volumes in one {what}"))));
            }
        }
        None
    }

    fn out_of_reach(&self, terms: &[Requirements]) -> Reason {
        let pool = self.goods().pool;
        let message = format!(
            "a volume of the pod can be reached only from {}, where NodePool {} sells nothing for it",
            places(terms),
            pool.name
        );
        let host = terms.iter().find_map(|t| t.get(labels::HOSTNAME)?.any(""));
        let miss = match (host, zone(terms)) {
            (Some(host), _) => Some(format!("room on node {host}")),
            (None, Some(zone)) if pool.requirements.get(labels::ZONE).is_none_or(|r| r.has(&zone)) => {
                Some(format!("a machine for the pod sold in zone {zone}"))
            }
            (None, Some(zone)) => Some(format!("zone {zone} added to NodePool {}", pool.name)),
            (None, None) => None,
        };
        self.reason(Code::VolumeZone, message, miss)
    }
}

fn places(terms: &[Requirements]) -> String {
    let all: Vec<String> = terms.iter().map(Requirements::of_pod).collect();
    all.join(" or ")
}

fn zone(terms: &[Requirements]) -> Option<Str> {
    terms.iter().find_map(|t| t.get(labels::ZONE)?.any("")).filter(|zone| !zone.is_empty())
}

/// A key on which every alternative of one excludes every alternative of the other, if they exclude each other at all.
fn crossed<'r>(one: &'r [Requirements], other: &[Requirements]) -> Option<&'r Str> {
    let mut first = None;
    for a in one {
        for b in other {
            let key = a.iter().find(|r| b.get(&r.key).is_some_and(|o| !o.intersects(r))).map(|r| &r.key)?;
            first.get_or_insert(key);
        }
    }
    first
}
