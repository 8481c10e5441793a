//! The loop that takes nodes away voluntarily: what was cut short is undone, what is empty is proposed, and what has been
//! proposed for long enough is done.

mod marks;
mod refused;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud::Cloud;
use crds::{NodeClaim, NodePool, Span, names};
use futures::{StreamExt as _, stream};
use planner::disrupt::allowance::Allowances;
use planner::disrupt::candidates::candidate;
use planner::disrupt::empty::empty_nodes;
use planner::disrupt::settle::Proposals;
use planner::disrupt::{Fleet, Machine, Occupant, PoolTerms, Retirement};
use planner::drain::Protection;
use planner::model::Code;
use planner::model::budget::{Allowance, Budget, Budgets, DisruptionReason};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::claim::Draft;
use super::claim::draft::{CONSOLIDATABLE, INITIALIZED, INSTANCE_TERMINATING, says};
use super::deps::Deps;
use super::fault::Fault;
use super::node::Node;
use super::strangers::has_strangers;
use super::{time, world};
use crate::act::{Preconditions, class_ref};
use crate::events::{About, catalog};
use refused::Refused;

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(10);

/// Nodes that come to rest within this time are looked at together.
const GATHER: Duration = Duration::from_secs(1);

/// Nodes whose retirement is written at the same time.
const RETIRED_AT_ONCE: usize = 16;

/// How long the mirror may take to show that a claim's deletion was accepted.
const DELETION_SHOWN: Duration = Duration::from_secs(30);

/// Proposals between two looks.
#[derive(Debug, Default)]
pub struct Disruption {
    proposals: Proposals,
    retired: Retired,
    refused: Refused,
}

/// Uids of claims whose deletion was accepted of late: the mirror may show the marks on them before the deletion.
#[derive(Debug, Default)]
pub(super) struct Retired(BTreeMap<String, Instant>);

impl Retired {
    pub(super) fn note(&mut self, uid: &str, now: Instant) {
        self.0.insert(uid.to_owned(), now);
    }

    /// Forgets those that the mirror has had the time to show.
    pub(super) fn forget(&mut self, now: Instant) {
        self.0.retain(|_, at| now.duration_since(*at) < DELETION_SHOWN);
    }

    pub(super) fn has(&self, claim: &NodeClaim) -> bool {
        claim.metadata.uid.as_ref().is_some_and(|uid| self.0.contains_key(uid))
    }
}

/// Nothing is said of what keeps claims so young: each has no node at first, and then one that is not complete.
const ON_ITS_WAY: Duration = Duration::from_secs(20);

/// Looks until `stop`.
pub async fn run<C: Cloud>(deps: Arc<Deps<C>>, stop: CancellationToken) {
    let mut disruption = Disruption::default();
    loop {
        let wait = match disruption.look(&deps).await {
            Ok(wait) => wait,
            Err(fault) => {
                tracing::error!(controller = "disruption", error = %fault, "Reconciler error");
                Duration::from_secs(1)
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
            () = async { deps.rested.notified().await; tokio::time::sleep(GATHER).await } => {}
        }
    }
}

impl Disruption {
    /// One look; gives how long to wait for the next.
    pub async fn look<C: Cloud>(&mut self, deps: &Deps<C>) -> Result<Duration, Fault> {
        if !deps.world.mirror.synced() {
            return Ok(Duration::from_secs(1));
        }
        self.retired.forget(Instant::now());
        undo_left_overs(deps, &self.retired).await;
        let started = Instant::now();
        let now = deps.clock.seconds();
        let mut fleet = fleet(deps, now);
        tell(deps, &fleet);
        self.refused.leave_out(&mut fleet, started);
        let verdict = empty_nodes(&fleet);
        tell_of_nodeless(deps, now);
        let metrics = &deps.metrics;
        #[expect(clippy::cast_precision_loss, reason = "a count of nodes")]
        metrics.voluntary_disruption_eligible_nodes.set(["empty"], verdict.n_eligible as f64);
        metrics.voluntary_disruption_decision_evaluation_duration_seconds.observe_since(["empty", "empty"], started);
        let failed = self.proposals.dropped(&verdict.retire) as u64;
        metrics.voluntary_disruption_failed_validations_total.add(["empty"], failed);
        let ripe = self.proposals.settle(&verdict.retire, now);
        self.retire(deps, &ripe).await?;
        let next = self.proposals.next().and_then(|at| u64::try_from(at - now).ok());
        Ok(next.map_or(PERIOD, |seconds| Duration::from_secs(seconds.max(1)).min(PERIOD)))
    }

    /// Acts on proposals, and counts those that came to a deletion.
    async fn retire<C: Cloud>(&mut self, deps: &Deps<C>, ripe: &[Retirement]) -> Result<(), Fault> {
        let metrics = &deps.metrics;
        // A stream of futures that borrow needs them in a list.
        let retired: Vec<_> =
            ripe.iter().map(|retirement| async move { (retirement, retire(deps, retirement).await) }).collect();
        let mut retired = stream::iter(retired).buffer_unordered(RETIRED_AT_ONCE);
        let mut fault = None;
        while let Some((retirement, result)) = retired.next().await {
            match result {
                Ok(uid) => {
                    self.proposals.forget(&retirement.node);
                    self.refused.forget(&retirement.node);
                    let Some(uid) = uid else { continue };
                    self.retired.note(&uid, Instant::now());
                    metrics.voluntary_disruption_decisions_total.inc(["delete", "empty", "empty"]);
                    let labels = [&*retirement.pool, "delete", "empty", "empty"];
                    metrics.voluntary_disruption_decisions_by_nodepool_total.inc(labels);
                }
                // Somebody else wrote first; the next look decides anew.
                Err(fault) if fault.is_ordinary() => {}
                Err(other) => {
                    self.refused.note(&retirement.node, Instant::now());
                    fault = fault.or(Some(other));
                }
            }
        }
        fault.map_or(Ok(()), Err)
    }
}

/// Taint, reason, deletion, in this order; gives the uid of the claim, or nothing if node or claim is gone already or
/// the node is not empty. Cut short anywhere, [`undo_left_overs`] takes back what there is.
async fn retire<C: Cloud>(deps: &Deps<C>, retirement: &Retirement) -> Result<Option<String>, Fault> {
    let reason = name_of(retirement.reason);
    let (Some(node), Some(claim)) = (deps.world.node(&retirement.node), deps.world.claim(&retirement.claim)) else {
        return Ok(None);
    };
    let node_uid = node.metadata.uid.clone().unwrap_or_default();
    if let Some(patch) = node.patch_to(&marks::begun(&node)) {
        let _: Node = deps.api.steps("", node.name(), patch).await?;
    }
    let name = claim.metadata.name();
    let uid = claim.metadata.uid.as_deref().unwrap_or_default();
    let mut draft = Draft::new((*claim).clone(), deps.clock.seconds());
    marks::begin(&mut draft, reason);
    if let Some(patch) = draft.status_patch() {
        let _: NodeClaim = deps.api.merge_status("", name, patch).await?;
    }
    // No scheduler brings pods here any more; those that came before the taint are known, unless the mirror is behind.
    if has_strangers(deps, node.name()).await? {
        return Ok(None);
    }
    deps.api.delete::<NodeClaim>("", name, &Preconditions::uid(uid), None).await?;
    let about = About::node(node.name(), &node_uid);
    deps.recorder.publish(about, catalog::disruption_terminating_node(&node_uid, reason));
    deps.recorder.publish(About::node_claim(name, uid), catalog::disruption_terminating_claim(uid, reason));
    deps.disrupted(&claim, &reason.to_lowercase());
    tracing::info!(Node = node.name(), NodeClaim = name, NodePool = &*retirement.pool, reason, "disrupting node");
    Ok(Some(uid.to_owned()))
}

/// Takes the marks off nodes whose disruption was begun and is not going on, but for those that were retired of late. One
/// that cannot be written keeps none of the others.
async fn undo_left_overs<C: Cloud>(deps: &Deps<C>, retired: &Retired) {
    for node in deps.world.nodes() {
        let Some(claim) = deps.world.claim_of(&node).filter(|claim| is_to_undo(deps, &node, claim, retired)) else {
            continue;
        };
        deps.metrics.voluntary_disruption_queue_failures_total.inc(["delete", "empty", "empty"]);
        if let Err(fault) = undo(deps, &node, &claim).await {
            tracing::error!(controller = "disruption", Node = node.name(), error = %fault, "Reconciler error");
        }
    }
}

/// Whether what is left of a disruption is ours to take back: other autoscalers mark their nodes alike.
fn is_to_undo<C: Cloud>(deps: &Deps<C>, node: &Node, claim: &NodeClaim, retired: &Retired) -> bool {
    marks::is_left_over(node, claim) && deps.is_managed(&claim.spec.node_class_ref) && !retired.has(claim)
}

async fn undo<C: Cloud>(deps: &Deps<C>, node: &Node, claim: &NodeClaim) -> Result<(), Fault> {
    if let Some(patch) = node.patch_to(&marks::undone(node)) {
        ordinary(deps.api.steps::<Node>("", node.name(), patch).await)?;
    }
    let mut draft = Draft::new(claim.clone(), deps.clock.seconds());
    marks::undo(&mut draft);
    match draft.status_patch() {
        Some(patch) => ordinary(deps.api.merge_status::<NodeClaim>("", claim.metadata.name(), patch).await),
        None => Ok(()),
    }
}

/// Conflicts and vanished objects are left to the next look.
fn ordinary<T>(answer: Result<T, crate::act::ActError>) -> Result<(), Fault> {
    match answer.map_err(Fault::from) {
        Err(fault) if !fault.is_ordinary() => Err(fault),
        _ => Ok(()),
    }
}

/// All nodes, and the pods on those that no rule keeps already: to look at pods is the dear part.
fn fleet<C: Cloud>(deps: &Deps<C>, now: i64) -> Fleet {
    let world = &deps.world;
    let free = world.kept_free().borrow().clone();
    let machine = |node: Arc<Node>| {
        let claim = world.claim_of(&node).filter(|claim| deps.is_managed(&claim.spec.node_class_ref));
        let is_true = |type_: &str| claim.as_ref().is_some_and(|claim| says(claim, type_));
        Machine {
            node: node.name().into(),
            claim: claim.as_ref().map(|claim| claim.metadata.name().into()),
            pool: node.metadata.labels.get(names::core::NODE_POOL).map(|pool| pool.as_str().into()),
            initialized: node.said(names::core::INITIALIZED) && is_true(INITIALIZED),
            ready: node.is_ready(),
            leaving: node.metadata.is_deleting() || claim.as_ref().is_some_and(|claim| claim.metadata.is_deleting()),
            terminating: is_true(INSTANCE_TERMINATING),
            nominated: world.is_nominated(node.name(), now),
            stand_ins: free.as_ref().map_or(0, |free| free.on(node.name(), claim.as_ref().map(|c| c.metadata.name()))),
            protected: node.metadata.annotations.get(names::core::DO_NOT_DISRUPT).is_some_and(|value| value == "true"),
            consolidatable: is_true(CONSOLIDATABLE),
            occupants: Vec::new(),
        }
    };
    let machines = world.nodes().into_iter().map(machine).collect();
    let pools = world.mirror.pools();
    let pools = pools.iter().filter(|pool| deps.is_managed(&pool.spec.template.spec.node_class_ref));
    let terms = pools.map(|pool| {
        let class = &pool.spec.template.spec.node_class_ref;
        let class = class_ref(class);
        (pool.metadata.name().into(), terms(pool, world.types(&class).is_some_and(|types| !types.is_empty())))
    });
    let mut fleet = Fleet { now, machines, pools: terms.collect() };
    let budgets = world::Budgets::of(world);
    for at in 0..fleet.machines.len() {
        if candidate(&fleet.machines[at], &fleet).is_ok() {
            fleet.machines[at].occupants = occupants(deps, &fleet.machines[at].node, &budgets, now);
        }
    }
    fleet
}

/// The pods on a node, and events on those that say when they may be disturbed.
fn occupants<C: Cloud>(deps: &Deps<C>, node: &str, budgets: &world::Budgets, now: i64) -> Vec<Occupant> {
    let pods = deps.world.guarded_pods_on(node, budgets);
    for (pod, _) in &pods {
        let event = match pod.protection() {
            _ if pod.has_unreadable_protection() => {
                let written = pod.do_not_disrupt.as_deref().unwrap_or_default();
                let error = format!("{written:?} is neither true nor a duration above zero");
                catalog::invalid_do_not_disrupt(&pod.uid, &error)
            }
            _ if !pod.is_active() => continue,
            Protection::Until(until) if until > now => {
                let until = jiff::Timestamp::from_second(until).unwrap_or(jiff::Timestamp::MAX);
                catalog::do_not_disrupt_until(&pod.uid, &until.to_string())
            }
            Protection::Until(_) => catalog::do_not_disrupt_elapsed(&pod.uid),
            Protection::None | Protection::Forever => continue,
        };
        deps.recorder.publish(About::pod(&pod.namespace, &pod.name, &pod.uid), event);
    }
    pods.into_iter().map(|(pod, pdb)| pod.occupant(pdb, now)).collect()
}

fn terms(pool: &NodePool, types_known: bool) -> PoolTerms {
    let disruption = pool.spec.disruption.clone().unwrap_or_default();
    let is_never = disruption.consolidate_after.as_ref().is_some_and(|after| after.span() == Some(Span::Never));
    PoolTerms {
        budgets: disruption.budgets.as_deref().map_or_else(Budgets::default, budgets),
        consolidates: !is_never,
        is_static: pool.spec.replicas.is_some(),
        types_known,
    }
}

/// One budget that cannot be read closes the pool for every reason.
fn budgets(written: &[crds::node_pool::Budget]) -> Budgets {
    let read = |budget: &crds::node_pool::Budget| {
        let name = |reason: &crds::node_pool::DisruptionReason| match reason {
            crds::node_pool::DisruptionReason::Underutilized => "Underutilized",
            crds::node_pool::DisruptionReason::Empty => "Empty",
            crds::node_pool::DisruptionReason::Drifted => "Drifted",
        };
        let reasons = budget.reasons.as_ref().map(|reasons| reasons.iter().map(name).collect::<Vec<_>>());
        let duration = budget.duration.as_ref().map(|duration| duration.0.as_str());
        Budget::parse(&budget.nodes, reasons.as_deref(), budget.schedule.as_deref(), duration)
    };
    match written.iter().map(read).collect::<Result<Vec<_>, _>>() {
        Ok(budgets) => Budgets::Of(budgets),
        Err(error) => Budgets::Unreadable(error.to_string()),
    }
}

/// Gauges of the budgets, and events on whatever they or a rule keep.
fn tell<C: Cloud>(deps: &Deps<C>, fleet: &Fleet) {
    // Pools that are gone have no series.
    deps.metrics.nodepools_allowed_disruptions.reset();
    deps.metrics.nodepools_nodes_consuming_budgets.reset();
    for reason in [DisruptionReason::Underutilized, DisruptionReason::Empty, DisruptionReason::Drifted] {
        let allowances = Allowances::of(fleet, reason);
        for (pool, terms) in &fleet.pools {
            if let Budgets::Unreadable(error) = &terms.budgets {
                tracing::warn!(NodePool = &**pool, error, "a budget that cannot be read keeps all nodes of the pool");
            }
            let allowed = match allowances.allowed(pool) {
                Allowance::Unlimited => f64::from(i32::MAX),
                Allowance::Nodes(nodes) => f64::from(nodes),
            };
            let labels = [&**pool, name_of(reason)];
            deps.metrics.nodepools_allowed_disruptions.set(labels, allowed);
            deps.metrics.nodepools_nodes_consuming_budgets.set(labels, f64::from(allowances.used(pool)));
            if allowances.counted(pool) > 0 && allowances.allowed(pool) == Allowance::Nodes(0) {
                let uid = deps.world.pool(pool).and_then(|pool| pool.metadata.uid.clone()).unwrap_or_default();
                let event = catalog::pool_disruption_blocked(&uid, name_of(reason));
                deps.recorder.publish(About::node_pool(pool, &uid), event);
            }
        }
    }
    for machine in &fleet.machines {
        let (Err(kept), Some(claim)) = (candidate(machine, fleet), &machine.claim) else { continue };
        let claim = deps.world.claim(claim);
        let is_new = claim.as_ref().is_some_and(|claim| is_on_its_way(claim, fleet.now));
        if kept.code == Code::NodePoolMissing && is_to_be_asked(deps, machine) || is_new && !machine.initialized {
            continue;
        }
        let why = capitalized(&kept.message);
        if let Some(uid) = deps.world.node(&machine.node).and_then(|node| node.metadata.uid.clone()) {
            deps.recorder.publish(About::node(&machine.node, &uid), catalog::disruption_blocked(&uid, &why));
        }
        if let Some((claim, uid)) = claim.as_ref().and_then(|claim| Some((claim, claim.metadata.uid.as_ref()?))) {
            let about = About::node_claim(claim.metadata.name(), uid);
            deps.recorder.publish(about, catalog::disruption_blocked(uid, &why));
        }
    }
}

fn is_on_its_way(claim: &NodeClaim, now: i64) -> bool {
    let created = claim.metadata.creation_timestamp.as_deref().and_then(time::seconds);
    created.is_some_and(|created| u64::try_from(now - created).is_ok_and(|age| age < ON_ITS_WAY.as_secs()))
}

/// Claims whose instance is there and whose Node is not.
fn tell_of_nodeless<C: Cloud>(deps: &Deps<C>, now: i64) {
    let world = &deps.world;
    let looked_at = |claim: &&Arc<NodeClaim>| deps.is_managed(&claim.spec.node_class_ref) && !is_on_its_way(claim, now);
    for claim in world.mirror.claims().iter().filter(looked_at) {
        let provider_id = claim.status.as_ref().and_then(|status| status.provider_id.as_deref());
        if provider_id.is_some_and(|id| world.mirror.nodes_of_provider(id).is_empty()) {
            let uid = claim.metadata.uid.as_deref().unwrap_or_default();
            let event = catalog::disruption_blocked(uid, "Nodeclaim does not have an associated node");
            deps.recorder.publish(About::node_claim(claim.metadata.name(), uid), event);
        }
    }
}

/// Whether the pool of a node is there and nobody has asked its class yet what it sells: after a restart.
fn is_to_be_asked<C: Cloud>(deps: &Deps<C>, machine: &Machine) -> bool {
    let pool = machine.pool.as_ref().and_then(|pool| deps.world.pool(pool));
    let class = pool.map(|pool| pool.spec.template.spec.node_class_ref.clone()).filter(|class| deps.is_managed(class));
    class.is_some_and(|class| !deps.world.was_asked(&class_ref(&class)))
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn name_of(reason: DisruptionReason) -> &'static str {
    match reason {
        DisruptionReason::Underutilized => "Underutilized",
        DisruptionReason::Empty => "Empty",
        DisruptionReason::Drifted => "Drifted",
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::testing::pool;
    use super::super::world::World;
    use super::*;
    use crate::client::Clients;
    use crate::clock::Clock;
    use crate::events::Recorder;
    use crate::kwok::{Kwok, Stock};
    use crate::observe::mirror::{Facts, Mirror};
    use crate::telemetry::Metrics;

    #[test]
    fn a_pool_without_budgets_lets_a_tenth_go_and_one_with_an_empty_list_all() {
        let mut pool = pool("p");
        assert_eq!(terms(&pool, true).budgets, Budgets::default());
        assert!(terms(&pool, true).consolidates);
        let disruption = pool.spec.disruption.get_or_insert_default();
        disruption.budgets = Some(Vec::new());
        disruption.consolidate_after = Some("Never".into());
        let terms = terms(&pool, true);
        assert_eq!(terms.budgets, Budgets::Of(Vec::new()));
        assert!(!terms.consolidates);
    }

    #[tokio::test]
    async fn a_node_that_went_by_itself_is_no_disruption() {
        let clients = Clients::from_service(tower::service_fn(|_: http::Request<kube::client::Body>| async {
            http::Response::builder().status(404).body(http_body_util::Full::new(bytes::Bytes::new()))
        }));
        let (clock, metrics, mirror) = (Clock::system(), Metrics::new(), Mirror::new(&[]));
        let settings = cloud::catalog::KwokSettings::default();
        let kwok = Kwok::new(clients.once.clone(), mirror.clone(), clock, &settings, Stock::default()).unwrap();
        let (recorder, _) = Recorder::new(&clients, clock, &metrics, CancellationToken::new());
        let world = World::new(mirror, Facts::default());
        let deps = Deps::new(&clients, Arc::new(kwok), world, metrics, recorder, clock);
        let gone =
            Retirement { node: "a".into(), claim: "a".into(), pool: "p".into(), reason: DisruptionReason::Empty };
        let mut disruption = Disruption::default();
        disruption.retire(&deps, &[gone]).await.unwrap();
        assert_eq!(deps.metrics.voluntary_disruption_decisions_total.get(["delete", "empty", "empty"]), 0);
        assert!(disruption.retired.0.is_empty());
    }

    #[test]
    fn a_claim_that_was_retired_of_late_is_no_left_over_though_the_mirror_is_behind() {
        use super::super::claim::testing::initialized;
        let (claim, now) = (initialized("a"), Instant::now());
        let mut retired = Retired::default();
        assert!(!retired.has(&claim));
        retired.note("uid-of-a", now);
        retired.forget(now + DELETION_SHOWN / 2);
        assert!(retired.has(&claim) && !retired.has(&initialized("b")));
        retired.forget(now + DELETION_SHOWN);
        assert!(!retired.has(&claim) && retired.0.is_empty());
    }

    #[test]
    fn a_budget_that_cannot_be_read_closes_the_pool() {
        let bad = crds::node_pool::Budget { nodes: "some".to_owned(), ..Default::default() };
        let good = crds::node_pool::Budget { nodes: "1".to_owned(), ..Default::default() };
        assert!(matches!(budgets(&[good, bad]), Budgets::Unreadable(_)));
    }
}
