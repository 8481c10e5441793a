//! What `top` shows, read off one snapshot and the plan for it.

use std::collections::{BTreeMap, BTreeSet};

use planner::model::{Code, MicroUsdPerHour, Snapshot, Str};
use planner::plan::Plan;

use super::nodes::{NodeRow, Prices, State, Sums, node_rows};
use super::pending::{PendingRow, pending_rows};

/// Moves that are shown; the rest is counted.
const MOST: usize = 50;

/// A cluster at a glance.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Seconds since the Unix epoch.
    pub taken_at: i64,
    /// Nodes, then claims whose node has not joined; each by name.
    pub nodes: Vec<NodeRow>,
    /// By name; nodes without a pool are one row without a name, at the end.
    pub pools: Vec<PoolRow>,
    /// Requested over allocatable of all nodes; none without nodes.
    pub cpu: Option<f64>,
    pub memory: Option<f64>,
    pub pods_running: usize,
    /// To be placed.
    pub pods_pending: usize,
    /// Pending pods that go to nodes or claims there are.
    pub pods_nominated: usize,
    /// Groups of pending pods, those without a place first.
    pub pending: Vec<PendingRow>,
    /// Of the nodes whose price is known.
    pub hourly_cost: MicroUsdPerHour,
    pub nodes_without_price: usize,
    /// What the plan buys.
    pub planned_cost: MicroUsdPerHour,
    /// Nothing cheaper holds the same pods.
    pub planned_bound: MicroUsdPerHour,
    /// What first-fit-decreasing would buy.
    pub planned_greedy: MicroUsdPerHour,
    pub launches: Vec<Move>,
    pub launches_total: usize,
    pub reasons: Vec<ReasonRow>,
}

/// One pool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoolRow {
    pub name: String,
    pub nodes: usize,
    /// Bought, not joined.
    pub claims: usize,
    /// On their way out.
    pub leaving: usize,
    pub pods: usize,
    pub hourly_cost: MicroUsdPerHour,
    /// Requested over allocatable, 0 to 1 and above; none without nodes.
    pub cpu: Option<f64>,
    pub memory: Option<f64>,
    /// Why nothing can be bought from it now.
    pub not_ready: Option<String>,
}

/// A node to be bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    pub pool: String,
    pub instance_type: String,
    pub zone: String,
    pub capacity_type: &'static str,
    pub hourly_price: MicroUsdPerHour,
    pub nodes: usize,
    pub pods: usize,
}

/// Pods without a place for reasons of one code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasonRow {
    pub code: Code,
    pub pods: usize,
    /// Of the first of them.
    pub message: String,
    /// How many more messages the others have.
    pub others: usize,
    /// What would help all of them.
    pub nearest_miss: Option<String>,
}

/// The cluster of a snapshot at a glance.
pub fn view(snapshot: &Snapshot, plan: &Plan) -> View {
    let prices = Prices::of(snapshot);
    let nodes = node_rows(snapshot, &prices);
    let joined = || nodes.iter().filter(|row| row.state != State::Coming);
    let mut all = Sums::default();
    snapshot.nodes.iter().filter(|node| !node.is_coming()).for_each(|node| all.add(node));
    let launches = moves(plan);
    View {
        taken_at: snapshot.taken_at,
        pools: pools(snapshot, &nodes),
        cpu: all.share(0),
        memory: all.share(1),
        pods_running: joined().map(|row| row.pods).sum(),
        pods_pending: plan.pods,
        pods_nominated: plan.nominations.len(),
        pending: pending_rows(snapshot, plan),
        hourly_cost: joined().filter_map(|row| row.hourly_price).sum(),
        nodes_without_price: joined().filter(|row| row.hourly_price.is_none()).count(),
        planned_cost: plan.cost,
        planned_bound: plan.cost_lower_bound,
        planned_greedy: plan.greedy_cost,
        launches_total: plan.launches.len(),
        launches,
        reasons: reasons(plan),
        nodes,
    }
}

impl View {
    /// How far what the plan buys is from the bound, in percent; none when it buys nothing.
    pub fn gap_percent(&self) -> Option<f64> {
        let bound = self.planned_bound.0 as f64;
        (bound > 0.0).then(|| (self.planned_cost.0 as f64 - bound) / bound * 100.0)
    }

    /// Nodes that have joined.
    pub fn n_nodes(&self) -> usize {
        self.pools.iter().map(|row| row.nodes).sum()
    }

    /// Claims whose node has not joined.
    pub fn n_claims(&self) -> usize {
        self.pools.iter().map(|row| row.claims).sum()
    }

    /// Pods that no pool can take.
    pub fn n_unplaced(&self) -> usize {
        self.reasons.iter().map(|row| row.pods).sum()
    }
}

fn pools(snapshot: &Snapshot, nodes: &[NodeRow]) -> Vec<PoolRow> {
    let mut rows: BTreeMap<Option<&Str>, (PoolRow, Sums)> = BTreeMap::new();
    for pool in &snapshot.pools {
        let (row, _) = rows.entry(Some(&pool.name)).or_default();
        row.not_ready = pool.not_ready.as_ref().map(|reason| reason.message.clone());
    }
    for (node, told) in snapshot.nodes.iter().zip(nodes) {
        let (row, sums) = rows.entry(node.pool.as_ref()).or_default();
        if node.is_coming() {
            row.claims += 1;
            continue;
        }
        row.nodes += 1;
        row.leaving += usize::from(node.deleting);
        row.pods += told.pods;
        row.hourly_cost = row.hourly_cost + told.hourly_price.unwrap_or_default();
        sums.add(node);
    }
    for claim in &snapshot.claims {
        let (row, _) = rows.entry(claim.pool.as_ref()).or_default();
        row.claims += usize::from(!claim.bereft);
        row.leaving += usize::from(claim.bereft);
    }
    let named = |(name, (row, sums)): (Option<&Str>, (PoolRow, Sums))| {
        let name = name.map_or_else(String::new, ToString::to_string);
        PoolRow { name, cpu: sums.share(0), memory: sums.share(1), ..row }
    };
    let mut pools: Vec<PoolRow> = rows.into_iter().map(named).collect();
    pools.sort_by_key(|row| (row.name.is_empty(), row.name.clone()));
    pools
}

/// Equal launches on one line, in the order of the plan.
fn moves(plan: &Plan) -> Vec<Move> {
    let mut moves: Vec<Move> = Vec::new();
    for launch in &plan.launches {
        let Some(chosen) = launch.chosen() else { continue };
        let new = Move {
            pool: launch.pool.to_string(),
            instance_type: chosen.instance_type.to_string(),
            zone: chosen.zone.to_string(),
            capacity_type: chosen.capacity_type.as_str(),
            hourly_price: chosen.price,
            nodes: 1,
            pods: launch.pods.len(),
        };
        let alike = |other: &Move| {
            (&other.pool, &other.instance_type, &other.zone, other.capacity_type)
                == (&new.pool, &new.instance_type, &new.zone, new.capacity_type)
        };
        match moves.iter().position(alike) {
            Some(idx) => {
                moves[idx].nodes += 1;
                moves[idx].pods += new.pods;
            }
            None if moves.len() < MOST => moves.push(new),
            None => {}
        }
    }
    moves
}

/// The reason that most pods have comes first. A pod counts under the first of its reasons.
fn reasons(plan: &Plan) -> Vec<ReasonRow> {
    let mut rows: Vec<ReasonRow> = Vec::new();
    let mut told: BTreeSet<(Code, &str)> = BTreeSet::new();
    for unplaced in &plan.unplaced {
        let Some(reason) = unplaced.reasons.first() else { continue };
        let is_new = told.insert((reason.code, &reason.message));
        match rows.iter_mut().find(|row| row.code == reason.code) {
            Some(row) => {
                row.pods += unplaced.pods.len();
                row.others += usize::from(is_new);
                row.nearest_miss.take_if(|miss| reason.nearest_miss.as_ref() != Some(&*miss));
            }
            None => rows.push(ReasonRow {
                code: reason.code,
                pods: unplaced.pods.len(),
                message: reason.message.clone(),
                others: 0,
                nearest_miss: reason.nearest_miss.clone(),
            }),
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.pods));
    rows
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use planner::model::node::BoundPods;
    use planner::model::{Labels, Node, Reason, Resources};
    use planner::plan::Unplaced;

    use super::*;
    use crate::observe::{Options, Validate, files, snapshot};

    #[test]
    fn what_the_plan_buys_and_what_there_is_add_up() {
        let objects = files::read(&["examples/shop"], Validate::Strict).unwrap();
        let snapshot = snapshot(objects, &Options::default()).unwrap().snapshot;
        let plan = planner::plan(&snapshot);
        let view = view(&snapshot, &plan);
        assert_eq!(view.launches.iter().map(|line| line.nodes).sum::<usize>(), plan.launches.len());
        let placed: usize = view.launches.iter().map(|line| line.pods).sum();
        assert_eq!(placed + view.pods_nominated + view.n_unplaced(), view.pods_pending);
        assert_eq!(view.n_nodes(), snapshot.nodes.len());
        assert_eq!(view.nodes.len(), snapshot.nodes.len() + snapshot.claims.len());
        assert!(view.gap_percent().is_some_and(|gap| gap >= 0.0), "{:?}", view.gap_percent());
        let by_group: usize = view.pending.iter().map(PendingRow::n_pods).sum();
        assert_eq!(by_group, view.pods_pending);
    }

    #[test]
    fn a_claim_that_pods_wait_for_is_coming_and_its_pods_do_not_run() {
        let objects = files::read(&["examples/shop"], Validate::Strict).unwrap();
        let mut snapshot = snapshot(objects, &Options::default()).unwrap().snapshot;
        let sums = |snapshot: &Snapshot| {
            let view = view(snapshot, &Plan::default());
            (view.n_nodes(), view.n_claims(), view.pods_running, view.cpu)
        };
        let before = sums(&snapshot);
        let waits =
            BoundPods { shape: Arc::default(), pods: vec!["shop/web-0".into()], terminating: false, promised: true };
        snapshot.nodes.push(Node {
            name: "new".into(),
            labels: Labels::default(),
            taints: Vec::new(),
            capacity: Resources::of([("cpu", 2000)]),
            allocatable: Resources::of([("cpu", 1900)]),
            pool: None,
            claim: Some("new".into()),
            initialized: false,
            deleting: false,
            pods: vec![waits],
            attach_limits: BTreeMap::new(),
        });
        assert_eq!(sums(&snapshot), (before.0, before.1 + 1, before.2, before.3));
    }

    #[test]
    fn reasons_of_one_code_that_differ_are_counted_and_what_helps_only_one_of_them_is_left_out() {
        let unplaced = |pod: &str, message: &str, miss: &str| Unplaced {
            pods: vec![pod.into()],
            reasons: vec![Reason::everywhere(Code::LimitExceeded, message, Some(miss.into()))],
        };
        let of = |unplaced: Vec<Unplaced>| reasons(&Plan { unplaced, ..Plan::default() });
        let one = of(vec![unplaced("n/a", "cpu", "cpu 4 → 8"), unplaced("n/b", "cpu", "cpu 4 → 8")]);
        assert_eq!((one[0].pods, one[0].others, one[0].nearest_miss.as_deref()), (2, 0, Some("cpu 4 → 8")));
        let two = of(vec![unplaced("n/a", "cpu", "cpu 4 → 8"), unplaced("n/b", "memory", "memory 1Gi → 2Gi")]);
        assert_eq!((two.len(), two[0].pods, two[0].others, &two[0].nearest_miss), (1, 2, 1, &None));
    }
}
