//! What a plan keeps free for `CapacityBuffers`: how the stand-ins of each buffer fared, and which nodes hold them.

use std::collections::{BTreeMap, BTreeSet};

use planner::model::{Snapshot, Str};
use planner::plan::Plan;

use crate::observe::Seen;
use crate::observe::k8s::CapacityBuffer;
use crate::observe::mirror::Mirror;

/// Namespace and name of a buffer.
pub type BufferName = (Str, Str);

/// A buffer as it was when a plan was begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    pub uid: Str,
    pub generation: i64,
}

impl Version {
    pub fn of(buffer: &CapacityBuffer) -> Self {
        Self { uid: buffer.metadata.uid.clone(), generation: buffer.metadata.generation }
    }
}

/// How the stand-ins of one buffer fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StandIns {
    pub all: usize,
    /// Those for which a node is bought.
    pub on_new: usize,
    /// Those without a place.
    pub failed: usize,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptFree {
    buffers: BTreeMap<BufferName, (Version, StandIns)>,
    /// Stand-ins by node, and by claim where no node has joined or the claim was just made.
    hosts: BTreeMap<Str, usize>,
}

impl KeptFree {
    /// Of a plan that was acted on. `versions`: the buffers, as they were before the snapshot was taken. `claims` has the
    /// claim's name for each launch that was made; stand-ins of the others have no place. Of buffers at which a plan that was
    /// cut short did not look, it says what the plan `before` said.
    pub fn of(
        (snapshot, plan): (&Snapshot, &Plan),
        claims: &BTreeMap<Str, Str>,
        versions: BTreeMap<BufferName, Version>,
        before: Option<&Self>,
    ) -> Self {
        let all = all(snapshot);
        let mut fared: BTreeMap<BufferName, StandIns> = BTreeMap::new();
        let mut count = |pod: &Str, change: fn(&mut StandIns)| {
            if let Some(buffer) = buffer_of(pod).filter(|_| all.contains(pod)) {
                change(fared.entry(buffer).or_default());
            }
        };
        let mut hosts: BTreeMap<Str, usize> = BTreeMap::new();
        for pod in &all {
            count(pod, |stand_ins| stand_ins.all += 1);
        }
        for launch in &plan.launches {
            let claim = claims.get(&launch.name);
            for pod in &launch.pods {
                count(pod, if claim.is_some() { |s| s.on_new += 1 } else { |s| s.failed += 1 });
            }
            let n = launch.pods.iter().filter(|pod| all.contains(pod)).count();
            if let (Some(claim), true) = (claim, n > 0) {
                *hosts.entry(claim.clone()).or_default() += n;
            }
        }
        for pod in plan.stand_ins_left.iter().flat_map(|left| &left.pods) {
            count(pod, |stand_ins| stand_ins.failed += 1);
        }
        for nomination in plan.nominations.iter().filter(|nomination| all.contains(&nomination.pod)) {
            *hosts.entry(nomination.node.clone()).or_default() += 1;
        }
        for (host, n) in before.into_iter().flat_map(|before| &before.hosts) {
            hosts.entry(host.clone()).or_insert(*n);
        }
        let one = |(name, version): (BufferName, Version)| {
            let seen = match (fared.get(&name), before) {
                (Some(stand_ins), _) => (version, *stand_ins),
                (None, None) => (version, StandIns::default()),
                (None, Some(before)) => before.buffers.get(&name)?.clone(),
            };
            Some((name, seen))
        };
        Self { buffers: versions.into_iter().filter_map(one).collect(), hosts }
    }

    /// How this version of a buffer fared; None if no plan has looked at it.
    pub fn stand_ins(&self, buffer: &BufferName, version: &Version) -> Option<StandIns> {
        self.buffers.get(buffer).filter(|(seen, _)| seen == version).map(|(_, stand_ins)| *stand_ins)
    }

    /// How many stand-ins a node holds, or the claim behind it.
    pub fn on(&self, node: &str, claim: Option<&str>) -> usize {
        let of = |name: &str| self.hosts.get(name).copied().unwrap_or_default();
        of(node) + claim.filter(|claim| *claim != node).map_or(0, of)
    }
}

/// Nodes, and claims to come, on which a plan has pods. Stand-ins come to no node.
pub fn visited<'a>(snapshot: &Snapshot, plan: &'a Plan, claims: &'a BTreeMap<Str, Str>) -> BTreeSet<&'a Str> {
    let stand_ins = all(snapshot);
    let nominations = plan.nominations.iter().filter(|nomination| !stand_ins.contains(&nomination.pod));
    let launches = plan.launches.iter().filter(|launch| launch.pods.iter().any(|pod| !stand_ins.contains(pod)));
    let made = launches.filter_map(|launch| claims.get(&launch.name));
    nominations.map(|nomination| &nomination.node).chain(made).collect()
}

/// Pods that a plan has on nodes that are there or on their way, without stand-ins.
pub(super) fn n_nominated(snapshot: &Snapshot, plan: &Plan) -> usize {
    let stand_ins = all(snapshot);
    plan.nominations.iter().filter(|nomination| !stand_ins.contains(&nomination.pod)).count()
}

/// All stand-ins that a plan looked at.
fn all(snapshot: &Snapshot) -> BTreeSet<&Str> {
    let groups = snapshot.groups.iter().filter(|group| group.is_stand_in());
    groups.flat_map(|group| &group.pods).map(|pod| &pod.key).collect()
}

/// The buffers that there are.
pub fn versions(mirror: &Mirror) -> BTreeMap<BufferName, Version> {
    let one = |buffer: Seen<CapacityBuffer>| (name_of(&buffer), Version::of(&buffer));
    mirror.buffers().into_iter().map(one).collect()
}

/// Its namespace and name.
pub fn name_of(buffer: &CapacityBuffer) -> BufferName {
    (buffer.metadata.namespace().into(), buffer.metadata.name.clone())
}

/// The buffer of a stand-in, whose name is `capacity-buffer-`, the buffer's name and a number.
fn buffer_of(pod: &str) -> Option<BufferName> {
    let (namespace, name) = pod.split_once('/')?;
    let (buffer, _) = name.strip_prefix("capacity-buffer-")?.rsplit_once('-')?;
    Some((namespace.into(), buffer.into()))
}

#[cfg(test)]
mod tests {
    use planner::model::group::PodRef;
    use planner::model::{PodGroup, PodShape};
    use planner::plan::{Nomination, Unplaced};

    use super::*;

    fn snapshot(stand_ins: &[&str]) -> Snapshot {
        let pods = stand_ins.iter().map(|key| PodRef { key: (*key).into(), stand_in: true }).collect();
        Snapshot { groups: vec![PodGroup { shape: PodShape::default().into(), pods }], ..Snapshot::default() }
    }

    fn version(generation: i64) -> Version {
        Version { uid: "u".into(), generation }
    }

    fn name(name: &str) -> BufferName {
        ("shop".into(), name.into())
    }

    #[test]
    fn each_buffer_is_told_how_its_own_stand_ins_fared_and_nodes_how_many_they_hold() {
        let all = ["a-0", "a-1", "a-b-0", "a-b-1"].map(|stem| format!("shop/capacity-buffer-{stem}"));
        let snapshot = snapshot(&all.each_ref().map(String::as_str));
        let goes = |pod: &str, node: &str| Nomination { pod: pod.into(), node: node.into() };
        let plan = Plan {
            // The last is a pod of somebody's who has chosen an odd name.
            nominations: vec![goes(&all[0], "n"), goes(&all[2], "n"), goes("shop/capacity-buffer-a-7", "n")],
            stand_ins_left: vec![Unplaced { pods: vec![all[1].as_str().into()], reasons: Vec::new() }],
            ..Plan::default()
        };
        let versions = BTreeMap::from([(name("a"), version(2)), (name("a-b"), version(1)), (name("none"), version(1))]);
        let free = KeptFree::of((&snapshot, &plan), &BTreeMap::new(), versions, None);
        let fared = |buffer: &str, generation| free.stand_ins(&name(buffer), &version(generation));
        assert_eq!(fared("a", 2), Some(StandIns { all: 2, on_new: 0, failed: 1 }));
        assert_eq!(fared("a", 3), None, "nobody has planned for what it says now");
        assert_eq!(fared("a-b", 1), Some(StandIns { all: 2, on_new: 0, failed: 0 }));
        assert_eq!(fared("none", 1), Some(StandIns::default()));
        assert_eq!((free.on("n", Some("c")), free.on("m", None)), (2, 0));
        let (claims, node) = (BTreeMap::new(), Str::from("n"));
        assert_eq!(visited(&snapshot, &plan, &claims), BTreeSet::from([&node]), "for the odd pod");
        let stand_ins = Plan { nominations: plan.nominations[..2].to_vec(), ..Plan::default() };
        assert_eq!(visited(&snapshot, &stand_ins, &claims), BTreeSet::new());
    }

    #[test]
    fn a_plan_that_was_cut_short_leaves_what_was_said_of_the_others() {
        let first = snapshot(&["shop/capacity-buffer-a-0"]);
        let versions = BTreeMap::from([(name("a"), version(1)), (name("b"), version(1))]);
        let plan = Plan::default();
        let before = KeptFree::of((&first, &plan), &BTreeMap::new(), versions.clone(), None);
        let second = snapshot(&["shop/capacity-buffer-b-0", "shop/capacity-buffer-b-1"]);
        let free = KeptFree::of((&second, &plan), &BTreeMap::new(), versions, Some(&before));
        let all = |buffer: &str| free.stand_ins(&name(buffer), &version(1)).unwrap().all;
        assert_eq!((all("a"), all("b")), (1, 2));
    }
}
