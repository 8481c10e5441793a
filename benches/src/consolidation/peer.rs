//! A model of the reference's consolidation, run to its fixpoint: nodes in order of price per pod; the longest prefix that
//! fits into the others and at most one cheaper node; then one node at a time.

use std::collections::BTreeMap;

use solver::BitSet;

use super::cluster::{Cluster, Node};

/// Nodes that one command looks at, at most.
const MOST_NODES: usize = 100;

/// The fixpoint, and how it was reached.
pub struct Fixpoint {
    pub cost: i64,
    pub moved: u64,
    /// (pods moved, cost) after each command.
    pub path: Vec<(u64, i64)>,
}

impl Fixpoint {
    /// The least cost reached with at most this many moves, and the moves it took. Doing nothing is on every path.
    pub fn within(&self, moves: u64) -> Option<(i64, u64)> {
        self.path.iter().filter(|p| p.0 <= moves).map(|p| (p.1, p.0)).min()
    }
}

/// Commands until none saves anything; one command retires at most `share` of the nodes.
pub fn fixpoint(start: &Cluster, share: f64) -> Fixpoint {
    let mut model = Model::new(start);
    let mut out = Fixpoint { cost: model.cost(), moved: 0, path: vec![(0, model.cost())] };
    loop {
        let candidates = model.candidates();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a list's length")]
        let budget = ((model.nodes.len() as f64 * share).ceil() as usize).max(1);
        let Some((chosen, command)) = model
            .several(&candidates[..budget.min(candidates.len())])
            .or_else(|| candidates.iter().find_map(|&i| model.command(&[i], false).map(|command| (vec![i], command))))
        else {
            break;
        };
        out.moved += chosen.iter().map(|&i| u64::from(model.nodes[i].pods)).sum::<u64>();
        model.carry_out(&chosen, command);
        out.path.push((out.moved, model.cost()));
    }
    out.cost = model.cost();
    out
}

/// What a command does: pods that go onto other nodes (node, class, count), and the node bought.
struct Command {
    placed: Vec<(usize, u32, u32)>,
    bought: Option<Node>,
}

struct Model<'a> {
    cluster: &'a Cluster,
    nodes: Vec<Node>,
    /// Classes, largest first.
    order: Vec<u32>,
}

impl<'a> Model<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let items = &cluster.problem.items;
        let mut order: Vec<u32> = (0..u32::try_from(items.len()).unwrap_or(u32::MAX)).collect();
        order.sort_by(|&a, &b| items[b as usize].needs[..2].cmp(&items[a as usize].needs[..2]).then(a.cmp(&b)));
        Self { cluster, nodes: cluster.nodes.clone(), order }
    }

    fn price(&self, node: usize) -> i64 {
        self.cluster.problem.kinds[self.nodes[node].kind].cost
    }

    fn cost(&self) -> i64 {
        (0..self.nodes.len()).map(|i| self.price(i)).sum()
    }

    /// Nodes by what they cost per pod that would move.
    fn candidates(&self) -> Vec<usize> {
        let ratio = |i: usize| self.price(i) as f64 / (1.0 + f64::from(self.nodes[i].pods));
        let mut all: Vec<usize> = (0..self.nodes.len()).collect();
        all.sort_by(|&a, &b| ratio(b).total_cmp(&ratio(a)));
        all
    }

    /// The longest prefix, by bisection, that a command can retire.
    fn several(&self, candidates: &[usize]) -> Option<(Vec<usize>, Command)> {
        if candidates.len() < 2 {
            return None;
        }
        let (mut low, mut high) = (1, candidates.len().min(MOST_NODES + 1) - 1);
        let mut best = None;
        while low <= high {
            let middle = usize::midpoint(low, high);
            if let Some(command) = self.command(&candidates[..=middle], true) {
                best = Some((candidates[..=middle].to_vec(), command));
                low = middle + 1;
            } else {
                high = middle - 1;
            }
        }
        best
    }

    /// What retiring these nodes takes, if it takes at most one new node that costs less than they do.
    fn command(&self, retired: &[usize], several: bool) -> Option<Command> {
        let problem = &self.cluster.problem;
        let mut pods: BTreeMap<u32, u32> = BTreeMap::new();
        for &i in retired {
            for (&k, &n) in &self.nodes[i].counts {
                *pods.entry(k).or_insert(0) += n;
            }
        }
        let mut free: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
        let mut placed: Vec<(usize, u32, u32)> = Vec::new();
        let mut bought: Option<(BitSet, Vec<i64>, BTreeMap<u32, u32>)> = None;
        for &k in self.order.iter().filter(|k| pods.contains_key(k)) {
            let item = &problem.items[k as usize];
            let mut left = pods[&k];
            for (i, node) in self.nodes.iter().enumerate() {
                if left == 0 {
                    break;
                }
                let room = free.get(&i).unwrap_or(&node.free);
                if !item.allowed.contains(node.kind) || item.needs.iter().zip(room).any(|(n, r)| n > r) {
                    continue;
                }
                if retired.contains(&i) {
                    continue;
                }
                let fits = item.needs.iter().zip(room).filter(|(n, _)| **n > 0).map(|(n, r)| r / n).min();
                let mut n = u32::try_from(fits.unwrap_or(0)).unwrap_or(u32::MAX).min(left);
                if let Some(most) = item.per_bin_max {
                    n = n.min(most.saturating_sub(node.counts.get(&k).copied().unwrap_or(0)));
                }
                if n > 0 {
                    let room = free.entry(i).or_insert_with(|| node.free.clone());
                    room.iter_mut().zip(&item.needs).for_each(|(r, need)| *r -= need * i64::from(n));
                    placed.push((i, k, n));
                    left -= n;
                }
            }
            if left > 0 {
                if item.per_bin_max.is_some_and(|most| left > most) {
                    return None;
                }
                let (kinds, usage, counts) = bought
                    .get_or_insert_with(|| (BitSet::full(problem.kinds.len()), vec![0; problem.dims], BTreeMap::new()));
                kinds.intersect_with(&item.allowed);
                usage.iter_mut().zip(&item.needs).for_each(|(u, need)| *u += need * i64::from(left));
                counts.insert(k, left);
            }
        }
        let Some((kinds, usage, counts)) = bought else { return Some(Command { placed, bought: None }) };
        let fits = |k: &usize| problem.kinds[*k].holds.iter().zip(&usage).all(|(h, u)| u <= h);
        let options: Vec<usize> = kinds.iter().filter(fits).collect();
        let kind = self.cheaper(&options, retired, several)?;
        let mut node = Node { kind, free: problem.kinds[kind].holds.clone(), counts: BTreeMap::new(), pods: 0 };
        for (&k, &n) in &counts {
            node.add(k, n, &problem.items[k as usize].needs);
        }
        Some(Command { placed, bought: Some(node) })
    }

    /// The cheapest option below what the retired nodes cost; for several nodes also below the cheapest of them that is of
    /// a type still on offer, so that no node is replaced by its like.
    fn cheaper(&self, options: &[usize], retired: &[usize], several: bool) -> Option<usize> {
        let kinds = &self.cluster.problem.kinds;
        let mut limit: i64 = retired.iter().map(|&i| self.price(i)).sum();
        if several {
            // Kinds of equal capacity are of one type here; zones tell them apart.
            let same = |k: usize, i: usize| kinds[k].holds == kinds[self.nodes[i].kind].holds;
            let on_offer: Vec<usize> = options.iter().copied().filter(|&k| kinds[k].cost < limit).collect();
            let like = retired.iter().filter(|&&i| on_offer.iter().any(|&k| same(k, i))).map(|&i| self.price(i)).min();
            limit = limit.min(like.unwrap_or(i64::MAX));
        }
        options.iter().copied().filter(|&k| kinds[k].cost < limit).min_by_key(|&k| (kinds[k].cost, k))
    }

    fn carry_out(&mut self, retired: &[usize], command: Command) {
        for (i, k, n) in command.placed {
            let needs = &self.cluster.problem.items[k as usize].needs;
            self.nodes[i].add(k, n, needs);
        }
        let mut at = 0;
        self.nodes.retain(|_| {
            at += 1;
            !retired.contains(&(at - 1))
        });
        self.nodes.extend(command.bought);
    }
}
