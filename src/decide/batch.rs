//! When to plan: something asks for it, and then it has been quiet for a moment.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use planner::model::Str;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::observe::mirror::{Change, Changes, Kind, Mirror};

/// Kinds whose changes may ask for a plan.
pub(super) const KINDS: [Kind; 20] = [
    Kind::Pod,
    Kind::Node,
    Kind::NodeClaim,
    Kind::NodePool,
    Kind::Ec2NodeClass,
    Kind::KwokNodeClass,
    Kind::NodeOverlay,
    Kind::CapacityBuffer,
    Kind::DaemonSet,
    Kind::PersistentVolumeClaim,
    Kind::PersistentVolume,
    Kind::StorageClass,
    Kind::Namespace,
    Kind::RuntimeClass,
    Kind::PriorityClass,
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::StatefulSet,
    Kind::PodTemplate,
    Kind::CsiNode,
];

/// What set off a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A pod that no plan has looked at.
    PendingPods,
    /// A node is on its way out and its pods need another place.
    NodeGoing,
    /// A claim came to nothing while pods wait.
    ClaimGone,
    /// A pool, class or whatever else says what may be bought, while something waits for it.
    Terms,
    /// Pods wait, or an offering may be tried again.
    Recheck,
}

/// Watches for reasons to plan.
pub(super) struct Batcher {
    mirror: Mirror,
    changes: Changes,
    idle: Duration,
    max: Duration,
    /// Terms alone may ask for a plan: static pools, or room kept free.
    terms_buy: bool,
    /// Uids of pods that the last plan has decided about.
    settled: HashSet<Str>,
    /// When pods were seen that no plan has decided about, by uid.
    seen: HashMap<Str, Instant>,
    /// What pools last said.
    pool_terms: HashMap<Str, u64>,
    /// Nodes on their way out.
    going: HashSet<Str>,
    /// Those of them on which there may be pods that need another place.
    moving: BTreeSet<Str>,
}

impl Batcher {
    pub(super) fn new(mirror: Mirror, idle: Duration, max: Duration, terms_buy: bool) -> Self {
        let changes = mirror.changes(&KINDS);
        // What began to go before the restart may not change again for long.
        let nodes = mirror.nodes().into_iter().filter(|node| node.is_going());
        let going: HashSet<Str> = nodes.map(|node| node.metadata.name.clone()).collect();
        Self {
            moving: going.iter().cloned().collect(),
            going,
            mirror,
            changes,
            idle,
            max,
            terms_buy,
            settled: HashSet::new(),
            seen: HashMap::new(),
            pool_terms: HashMap::new(),
        }
    }

    /// A plan is about to look at all pods that wait now. Gives when each of those was seen that no plan has looked at.
    pub(super) fn settle(&mut self) -> Vec<Instant> {
        self.settled = self.mirror.pending().iter().map(|pod| pod.uid.clone()).collect();
        let seen = std::mem::take(&mut self.seen);
        seen.into_iter().filter(|(uid, _)| self.settled.contains(uid)).map(|(_, at)| at).collect()
    }

    /// Waits for the first reason, at the latest until `recheck`, and then until no new one has come for the idle time
    /// or the longest time is over. Gives the first reason and how long the batch was open.
    pub(super) async fn next(&mut self, recheck: Option<Instant>) -> (Wake, Duration) {
        let mut uids = HashSet::new();
        let first = loop {
            let change = match recheck {
                None => self.changes.next().await,
                Some(at) => match timeout_at(at, self.changes.next()).await {
                    Ok(change) => change,
                    Err(_) => return (Wake::Recheck, Duration::ZERO),
                },
            };
            if let Some((wake, uid)) = self.asks(&change) {
                uids.insert(uid);
                break wake;
            }
        };
        let opened = Instant::now();
        let last = opened + self.max;
        let mut quiet = (opened + self.idle).min(last);
        loop {
            tokio::select! {
                biased;
                change = self.changes.next() => {
                    if let Some((_, uid)) = self.asks(&change)
                        && uids.insert(uid)
                    {
                        quiet = (Instant::now() + self.idle).min(last);
                    }
                    if Instant::now() >= last {
                        break;
                    }
                }
                () = sleep_until(quiet) => break,
            }
        }
        (first, opened.elapsed())
    }

    /// Does a change ask for a plan, and who asks?
    fn asks(&mut self, change: &Change) -> Option<(Wake, Str)> {
        match change.kind {
            Kind::Pod => {
                let pod = self.mirror.pod(&change.namespace, &change.name)?;
                if let Some(node) = pod.node.as_ref().filter(|node| self.going.contains(*node)) {
                    let is_first = pod.is_mover() && self.moving.insert(node.clone());
                    return is_first.then(|| (Wake::NodeGoing, pod.uid.clone()));
                }
                let is_known = |uid| self.settled.contains(uid) || self.seen.contains_key(uid);
                if is_known(&pod.uid) || !self.mirror.is_pending(&pod) {
                    return None;
                }
                // Those behind it wait, too: that the scheduler comes to them one after another is no news.
                let mut new = vec![pod.uid.clone()];
                if pod.is_provisionable() {
                    let behind = self.mirror.untried();
                    new.extend(behind.iter().map(|pod| &pod.uid).filter(|uid| !is_known(uid)).cloned());
                }
                let now = Instant::now();
                self.seen.extend(new.into_iter().map(|uid| (uid, now)));
                Some((Wake::PendingPods, pod.uid.clone()))
            }
            Kind::Node => {
                let Some(node) = self.mirror.node(&change.name).filter(|node| node.is_going()) else {
                    self.going.remove(&change.name);
                    self.moving.remove(&change.name);
                    return None;
                };
                self.going.insert(change.name.clone());
                let has_movers = self.mirror.has_movers(&change.name);
                if has_movers {
                    self.moving.insert(change.name.clone());
                }
                has_movers.then(|| (Wake::NodeGoing, node.metadata.uid.clone()))
            }
            Kind::NodeClaim => {
                let goes = self.mirror.claim(&change.name).is_none_or(|claim| claim.metadata.is_deleting());
                (goes && self.waits()).then(|| (Wake::ClaimGone, change.name.clone()))
            }
            // What its nodes have is summed up in a pool: that alone asks for nothing.
            Kind::NodePool => {
                let terms = self.mirror.pool_terms(&change.name).unwrap_or_default();
                let is_new = self.pool_terms.insert(change.name.clone(), terms) != Some(terms);
                (is_new && self.waits()).then(|| (Wake::Terms, change.name.clone()))
            }
            // Workloads say nothing of what pods may lie on; only room that is kept free follows them.
            Kind::Deployment | Kind::ReplicaSet | Kind::StatefulSet | Kind::PodTemplate if !self.terms_buy => None,
            _ => self.waits().then(|| (Wake::Terms, change.name.clone())),
        }
    }

    /// Does anything wait for a node, or will when it is sent away from the one it has? What is bought for the latter stands
    /// empty until then, and is kept and replaced for as long as it is planned for.
    pub(super) fn waits(&mut self) -> bool {
        self.terms_buy || self.mirror.has_pending() || self.has_movers()
    }

    /// Are there pods on any node on its way out that need another place? Nodes that have none are not looked at again
    /// before a pod there changes that does.
    fn has_movers(&mut self) -> bool {
        while let Some(node) = self.moving.first() {
            if self.mirror.has_movers(node) {
                return true;
            }
            self.moving.pop_first();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::observe::mirror::{Both, Object};

    const IDLE: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(10);

    fn waiting(mirror: &Mirror, name: &str) {
        let pod = json!({
            "metadata": {"namespace": "shop", "name": name, "uid": name},
            "spec": {"containers": []},
            "status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]},
        });
        mirror.apply(Object::Pod(serde_json::from_value(pod).unwrap()));
    }

    fn untried(mirror: &Mirror, name: &str) {
        let pod = json!({ "metadata": {"namespace": "shop", "name": name, "uid": name}, "spec": {"containers": []} });
        mirror.apply(Object::Pod(serde_json::from_value(pod).unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_closes_when_no_new_pod_has_come_for_the_idle_time() {
        let mirror = Mirror::new(&[]);
        let mut batcher = Batcher::new(mirror.clone(), IDLE, MAX, false);
        tokio::spawn(async move {
            for n in 0..3 {
                waiting(&mirror, &n.to_string());
                tokio::time::sleep(Duration::from_millis(800)).await;
            }
            // The same pod again keeps nothing open.
            mirror.remove(Kind::Pod, "shop", "2");
            waiting(&mirror, "2");
        });
        assert_eq!(batcher.next(None).await, (Wake::PendingPods, Duration::from_millis(2600)));
    }

    #[tokio::test(start_paused = true)]
    async fn that_the_scheduler_comes_to_equal_pods_one_after_another_keeps_no_batch_open() {
        let mirror = Mirror::new(&[]);
        let mut batcher = Batcher::new(mirror.clone(), IDLE, MAX, false);
        for n in 0..8 {
            untried(&mirror, &n.to_string());
        }
        assert!(mirror.pending().is_empty(), "none was refused");
        let seen = mirror.clone();
        tokio::spawn(async move {
            for n in 0..8 {
                waiting(&mirror, &n.to_string());
                tokio::time::sleep(Duration::from_millis(800)).await;
            }
        });
        assert_eq!(batcher.next(None).await, (Wake::PendingPods, IDLE));
        assert_eq!(seen.pending().len(), 8, "those behind it are planned for, too");
        assert_eq!(batcher.settle().len(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn a_steady_stream_of_pods_is_cut_after_the_longest_time() {
        let mirror = Mirror::new(&[]);
        let mut batcher = Batcher::new(mirror.clone(), IDLE, MAX, false);
        tokio::spawn(async move {
            for n in 0.. {
                waiting(&mirror, &n.to_string());
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        assert_eq!(batcher.next(None).await, (Wake::PendingPods, MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn pods_that_were_decided_about_wait_for_the_recheck() {
        let mirror = Mirror::new(&[]);
        waiting(&mirror, "a");
        let mut batcher = Batcher::new(mirror.clone(), IDLE, MAX, false);
        assert!(batcher.settle().is_empty());
        let soon = Instant::now() + Duration::from_secs(10);
        assert_eq!(batcher.next(Some(soon)).await, (Wake::Recheck, Duration::ZERO));
        assert_eq!(Instant::now(), soon);
        waiting(&mirror, "b");
        assert_eq!(batcher.next(None).await.0, Wake::PendingPods);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nodes_of_a_pool_have_together_asks_for_no_plan() {
        let mirror = Mirror::new(&[]);
        waiting(&mirror, "a");
        let pool = |generation: i64, nodes: &str| {
            let version = format!("{generation}{nodes}");
            let pool = json!({
                "apiVersion": "karpenter.sh/v1", "kind": "NodePool",
                "metadata": {"name": "p", "uid": "u", "generation": generation, "resourceVersion": version},
                "spec": {"template": {"spec": {"nodeClassRef": {"group": "g", "kind": "k", "name": "n"}, "requirements": []}}},
                "status": {"resources": {"nodes": nodes}},
            });
            let (whole, trimmed) =
                (serde_json::from_value(pool.clone()).unwrap(), serde_json::from_value(pool).unwrap());
            mirror.apply(Object::NodePool(Box::new(Both { whole, trimmed })));
        };
        let mut batcher = Batcher::new(mirror.clone(), IDLE, MAX, false);
        let change = Change { kind: Kind::NodePool, namespace: "".into(), name: "p".into() };
        pool(1, "1");
        assert_eq!(batcher.asks(&change).unwrap().0, Wake::Terms);
        pool(1, "2");
        assert!(batcher.asks(&change).is_none());
        pool(2, "2");
        assert_eq!(batcher.asks(&change).unwrap().0, Wake::Terms);
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_that_comes_to_nothing_asks_for_a_plan_only_while_pods_wait() {
        let mirror = Mirror::new(&[]);
        let mut batcher = Batcher::new(mirror.clone(), IDLE, MAX, false);
        let gone = Change { kind: Kind::NodeClaim, namespace: "".into(), name: "c".into() };
        assert!(batcher.asks(&gone).is_none());
        waiting(&mirror, "a");
        assert_eq!(batcher.asks(&gone).unwrap().0, Wake::ClaimGone);
    }

    #[tokio::test(start_paused = true)]
    async fn pods_of_a_node_on_its_way_out_wait_until_the_last_of_them_has_gone() {
        let mirror = Mirror::new(&[]);
        let mut batcher = Batcher::new(mirror.clone(), IDLE, MAX, false);
        let change =
            |kind, namespace: &str, name: &str| Change { kind, namespace: namespace.into(), name: name.into() };
        let (of_node, of_pod) = (change(Kind::Node, "", "n"), change(Kind::Pod, "shop", "a"));
        let node = |taints: serde_json::Value| {
            let node = json!({"metadata": {"name": "n", "uid": "n"}, "spec": {"taints": taints}});
            mirror.apply(Object::Node(serde_json::from_value(node).unwrap()));
        };
        let bound = |annotations: serde_json::Value| {
            let pod = json!({
                "metadata": {"namespace": "shop", "name": "a", "uid": "a", "annotations": annotations},
                "spec": {"nodeName": "n", "containers": []},
            });
            mirror.apply(Object::Pod(serde_json::from_value(pod).unwrap()));
        };
        node(json!([]));
        bound(json!({}));
        assert!(batcher.asks(&of_node).is_none() && !batcher.waits());
        node(json!([{"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}]));
        assert_eq!(batcher.asks(&of_node).unwrap().0, Wake::NodeGoing);
        assert!(batcher.waits());
        assert!(Batcher::new(mirror.clone(), IDLE, MAX, false).waits(), "after a restart too");
        assert_eq!(batcher.asks(&change(Kind::NodeClaim, "", "c")).unwrap().0, Wake::ClaimGone);
        bound(json!({"karpenter.sh/do-not-disrupt": "true"}));
        assert!(!batcher.waits(), "it stays where it is");
        bound(json!({}));
        assert_eq!(batcher.asks(&of_pod).unwrap().0, Wake::NodeGoing, "what comes late is seen too");
        assert!(batcher.asks(&of_pod).is_none() && batcher.waits());
        mirror.remove(Kind::Pod, "shop", "a");
        assert!(!batcher.waits());
        bound(json!({}));
        node(json!([]));
        assert!(batcher.asks(&of_node).is_none() && batcher.asks(&of_pod).is_none() && !batcher.waits());
    }
}
