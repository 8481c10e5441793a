//! What `top` shows, read off one snapshot and the plan for it.

use std::collections::BTreeMap;

use planner::model::resources::{CPU, MEMORY};
use planner::model::{CapacityType, Code, Labels, MicroUsdPerHour, Node, Snapshot, Str, labels};
use planner::plan::Plan;

/// Moves and reasons that are shown; the rest is counted.
const MOST: usize = 50;

/// A cluster at a glance.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Seconds since the Unix epoch.
    pub taken_at: i64,
    /// By name; nodes without a pool are one row without a name, at the end.
    pub pools: Vec<PoolRow>,
    pub pods_running: usize,
    /// To be placed.
    pub pods_pending: usize,
    /// Pending pods that go to nodes or claims there are.
    pub pods_nominated: usize,
    /// Of the nodes whose price is known.
    pub hourly_cost: MicroUsdPerHour,
    pub nodes_without_price: usize,
    /// What the plan buys.
    pub planned_cost: MicroUsdPerHour,
    /// Nothing cheaper holds the same pods.
    pub planned_bound: MicroUsdPerHour,
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

/// Pods without a place for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasonRow {
    pub code: Code,
    pub pods: usize,
    /// Of the first of them.
    pub message: String,
    pub nearest_miss: Option<String>,
}

/// The cluster of a snapshot at a glance.
pub fn view(snapshot: &Snapshot, plan: &Plan) -> View {
    let mut rows: BTreeMap<Option<&Str>, (PoolRow, Sums)> = BTreeMap::new();
    for pool in &snapshot.pools {
        rows.entry(Some(&pool.name)).or_default();
    }
    let mut without_price = 0;
    for node in &snapshot.nodes {
        let (row, sums) = rows.entry(node.pool.as_ref()).or_default();
        row.nodes += 1;
        row.leaving += usize::from(node.deleting);
        row.pods += node.pods.iter().map(|bound| bound.pods.len()).sum::<usize>();
        sums.add(node);
        match node.pool.as_ref().and_then(|pool| price(pool, &node.labels, snapshot)) {
            Some(price) => row.hourly_cost = MicroUsdPerHour(row.hourly_cost.0 + price.0),
            None => without_price += 1,
        }
    }
    for claim in &snapshot.claims {
        rows.entry(claim.pool.as_ref()).or_default().0.claims += 1;
    }
    let mut pools: Vec<PoolRow> = Vec::new();
    for (name, (row, sums)) in rows {
        let name = name.map_or_else(String::new, ToString::to_string);
        pools.push(PoolRow { name, cpu: sums.share(0), memory: sums.share(1), ..row });
    }
    pools.sort_by_key(|row| (row.name.is_empty(), row.name.clone()));
    let launches = moves(plan);
    View {
        taken_at: snapshot.taken_at,
        pods_running: pools.iter().map(|row| row.pods).sum(),
        pods_pending: plan.pods,
        pods_nominated: plan.nominations.len(),
        hourly_cost: MicroUsdPerHour(pools.iter().map(|row| row.hourly_cost.0).sum()),
        nodes_without_price: without_price,
        pools,
        planned_cost: plan.cost,
        planned_bound: plan.cost_lower_bound,
        launches_total: plan.launches.len(),
        launches,
        reasons: reasons(plan),
    }
}

impl View {
    /// How far what the plan buys is from the bound, in percent; none when it buys nothing.
    pub fn gap_percent(&self) -> Option<f64> {
        let bound = self.planned_bound.0 as f64;
        (bound > 0.0).then(|| (self.planned_cost.0 as f64 - bound) / bound * 100.0)
    }
}

/// Requested and allocatable, of cpu and memory.
#[derive(Clone, Copy, Debug, Default)]
struct Sums([(i64, i64); 2]);

impl Sums {
    fn add(&mut self, node: &Node) {
        for ((used, room), resource) in self.0.iter_mut().zip([CPU, MEMORY]) {
            *room += node.allocatable.get(resource);
            for bound in &node.pods {
                let n = i64::try_from(bound.pods.len()).unwrap_or(i64::MAX);
                *used += bound.shape.requests.get(resource).saturating_mul(n);
            }
        }
    }

    fn share(&self, idx: usize) -> Option<f64> {
        let (used, room) = self.0[idx];
        (room > 0).then(|| used as f64 / room as f64)
    }
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
    for unplaced in &plan.unplaced {
        let Some(reason) = unplaced.reasons.first() else { continue };
        match rows.iter_mut().find(|row| row.code == reason.code) {
            Some(row) => row.pods += unplaced.pods.len(),
            None => rows.push(ReasonRow {
                code: reason.code,
                pods: unplaced.pods.len(),
                message: reason.message.clone(),
                nearest_miss: reason.nearest_miss.clone(),
            }),
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.pods));
    rows
}

/// What a node of this pool with these labels costs, by the pool's catalogue.
fn price(pool: &str, of: &Labels, snapshot: &Snapshot) -> Option<MicroUsdPerHour> {
    let pool = snapshot.pools.iter().find(|p| *p.name == *pool)?;
    let instance_type = of.get(labels::INSTANCE_TYPE)?;
    let capacity_type = CapacityType::parse(of.get(labels::CAPACITY_TYPE)?)?;
    let zone = of.get(labels::ZONE)?;
    let instance_type = pool.types.iter().find(|t| t.name == *instance_type)?;
    let mut same = instance_type.offerings.iter().filter(|o| o.zone == *zone && o.capacity_type == capacity_type);
    same.next().map(|offering| offering.price)
}

#[cfg(test)]
mod tests {
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
        let unplaced: usize = view.reasons.iter().map(|row| row.pods).sum();
        assert_eq!(placed + view.pods_nominated + unplaced, view.pods_pending);
        assert_eq!(view.pools.iter().map(|row| row.nodes).sum::<usize>(), snapshot.nodes.len());
        assert!(view.gap_percent().is_some_and(|gap| gap >= 0.0), "{:?}", view.gap_percent());
    }
}
