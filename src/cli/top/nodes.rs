//! Nodes of a snapshot, one row each, with prices and use.

use std::collections::BTreeMap;

use planner::model::resources::{CPU, MEMORY};
use planner::model::{CapacityType, Labels, MicroUsdPerHour, Node, Snapshot, labels};

/// One node, or one claim whose node has not joined.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeRow {
    pub name: String,
    /// Empty for a node of no pool.
    pub pool: String,
    /// Empty where no label tells, as are zone and capacity type.
    pub instance_type: String,
    pub zone: String,
    pub capacity_type: String,
    /// By the catalogue of its pool.
    pub hourly_price: Option<MicroUsdPerHour>,
    /// Requested over allocatable, 0 to 1 and above.
    pub cpu: Option<f64>,
    pub memory: Option<f64>,
    pub pods: usize,
    pub state: State,
}

/// How far a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Bought; no node has joined.
    Coming,
    /// Joined; not initialised.
    Starting,
    Ready,
    /// Of no pool: nothing is done about it.
    Unmanaged,
    /// On its way out, or a claim whose node is gone.
    Leaving,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            Self::Coming => "coming",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unmanaged => "not ours",
            Self::Leaving => "leaving",
        }
    }
}

/// Rows for all nodes, in the order of the snapshot, and then for all claims.
pub fn node_rows(snapshot: &Snapshot, prices: &Prices<'_>) -> Vec<NodeRow> {
    let nodes = snapshot.nodes.iter().map(|node| {
        let mut sums = Sums::default();
        sums.add(node);
        let state = match (node.deleting, node.pool.is_some(), node.initialized) {
            (true, ..) => State::Leaving,
            _ if node.is_coming() => State::Coming,
            (false, false, _) => State::Unmanaged,
            (false, true, false) => State::Starting,
            (false, true, true) => State::Ready,
        };
        NodeRow {
            cpu: sums.share(0),
            memory: sums.share(1),
            pods: node.pods.iter().filter(|bound| !bound.promised).map(|bound| bound.pods.len()).sum(),
            state,
            ..described(&node.name, node.pool.as_deref(), &node.labels, prices)
        }
    });
    let claims = snapshot.claims.iter().map(|claim| NodeRow {
        state: if claim.deleting || claim.bereft { State::Leaving } else { State::Coming },
        ..described(&claim.name, claim.pool.as_deref(), &claim.labels, prices)
    });
    nodes.chain(claims).collect()
}

fn described(name: &str, pool: Option<&str>, of: &Labels, prices: &Prices<'_>) -> NodeRow {
    let label = |key| of.get(key).map_or_else(String::new, ToString::to_string);
    NodeRow {
        name: name.to_owned(),
        pool: pool.unwrap_or_default().to_owned(),
        instance_type: label(labels::INSTANCE_TYPE),
        zone: label(labels::ZONE),
        capacity_type: label(labels::CAPACITY_TYPE),
        hourly_price: pool.and_then(|pool| prices.price(pool, of)),
        cpu: None,
        memory: None,
        pods: 0,
        state: State::Coming,
    }
}

/// Prices of all that the pools sell.
pub struct Prices<'a>(BTreeMap<(&'a str, &'a str, &'a str, CapacityType), MicroUsdPerHour>);

impl<'a> Prices<'a> {
    /// Of the types that nodes and claims of the snapshot have.
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let labels = snapshot.nodes.iter().map(|node| &node.labels).chain(snapshot.claims.iter().map(|c| &c.labels));
        let used: std::collections::BTreeSet<&str> =
            labels.filter_map(|labels| labels.get(labels::INSTANCE_TYPE)).map(|name| &**name).collect();
        let mut prices = BTreeMap::new();
        for pool in &snapshot.pools {
            for sold in pool.types.iter().filter(|sold| used.contains(&*sold.name)) {
                for offering in &sold.offerings {
                    let key = (&*pool.name, &*sold.name, &*offering.zone, offering.capacity_type);
                    prices.entry(key).or_insert(offering.price);
                }
            }
        }
        Self(prices)
    }

    /// What a node of this pool with these labels costs.
    fn price(&self, pool: &str, of: &Labels) -> Option<MicroUsdPerHour> {
        let capacity_type = CapacityType::parse(of.get(labels::CAPACITY_TYPE)?)?;
        let key = (pool, &**of.get(labels::INSTANCE_TYPE)?, &**of.get(labels::ZONE)?, capacity_type);
        self.0.get(&key).copied()
    }
}

/// Requested and allocatable, of cpu and memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums([(i64, i64); 2]);

impl Sums {
    pub fn add(&mut self, node: &Node) {
        for ((used, room), resource) in self.0.iter_mut().zip([CPU, MEMORY]) {
            *room += node.allocatable.get(resource);
            for bound in &node.pods {
                let n = i64::try_from(bound.pods.len()).unwrap_or(i64::MAX);
                *used += bound.shape.requests.get(resource).saturating_mul(n);
            }
        }
    }

    /// Of cpu (0) or memory (1); none where there is no room at all.
    pub fn share(&self, idx: usize) -> Option<f64> {
        let (used, room) = self.0[idx];
        (room > 0).then(|| used as f64 / room as f64)
    }
}
