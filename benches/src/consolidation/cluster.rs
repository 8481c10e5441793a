//! A cluster as the model of consolidation sees it: nodes with counts per class, and churn that fragments it.

use std::collections::BTreeMap;

use anyhow::Context;
use solver::{BinRef, BitSet, Item, ItemIdx, KindIdx, Problem, StartedBin, greedy};

/// A node with what runs on it.
#[derive(Clone)]
pub struct Node {
    pub kind: usize,
    /// What is free of each dimension.
    pub free: Vec<i64>,
    /// Pods by class.
    pub counts: BTreeMap<u32, u32>,
    pub pods: u32,
}

impl Node {
    pub fn add(&mut self, class: u32, n: u32, needs: &[i64]) {
        self.free.iter_mut().zip(needs).for_each(|(f, need)| *f -= need * i64::from(n));
        *self.counts.entry(class).or_insert(0) += n;
        self.pods += n;
    }

    fn take_one(&mut self, class: u32, needs: &[i64]) {
        self.free.iter_mut().zip(needs).for_each(|(f, need)| *f += need);
        if let Some(n) = self.counts.get_mut(&class) {
            *n -= 1;
            if *n == 0 {
                self.counts.remove(&class);
            }
        }
        self.pods -= 1;
    }
}

/// What runs where.
#[derive(Clone)]
pub struct Cluster {
    /// Classes as items (their counts are targets), and kinds; no spreads: those are split by zone.
    pub problem: Problem,
    pub nodes: Vec<Node>,
}

/// A seeded stream of numbers (xorshift64*).
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    #[expect(clippy::cast_possible_truncation, reason = "less than n, which is a usize")]
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

/// Items that are spread over zones become one item per zone, with equal counts.
pub fn by_zone(mut problem: Problem, scale: f64) -> Problem {
    let spread: Vec<ItemIdx> = problem.spreads.drain(..).flat_map(|s| s.items).collect();
    let mut zones: Vec<u32> = problem.kinds.iter().filter_map(|k| k.domains.first().copied()).collect();
    zones.sort_unstable();
    zones.dedup();
    let mut items = Vec::new();
    for (i, item) in problem.items.iter().enumerate() {
        let count = scaled(item.count, scale);
        if !spread.iter().any(|s| s.at() == i) {
            items.push(Item { count, ..item.clone() });
            continue;
        }
        let n = u32::try_from(zones.len()).unwrap_or(1);
        for (z, zone) in (0u32..).zip(&zones) {
            let here = item.allowed.iter().filter(|&k| problem.kinds[k].domains.first() == Some(zone));
            let allowed = BitSet::of(problem.kinds.len(), here);
            let count = count / n + u32::from(z < count % n);
            if count > 0 && !allowed.is_empty() {
                items.push(Item { count, allowed, ..item.clone() });
            }
        }
    }
    problem.items = items;
    problem
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates; counts are small")]
fn scaled(n: u32, by: f64) -> u32 {
    (f64::from(n) * by) as u32
}

impl Cluster {
    /// Grows by first-fit-decreasing in `steps` batches while other pods leave, then shrinks by about `shrink` in all.
    pub fn churned(problem: Problem, steps: usize, shrink: f64, dice: &mut Dice) -> anyhow::Result<Self> {
        let targets: Vec<u32> = problem.items.iter().map(|i| i.count).collect();
        let mut cluster = Self { problem, nodes: Vec::new() };
        let mut live = vec![0u32; targets.len()];
        for step in 0..steps {
            let mut pending = vec![0u32; targets.len()];
            for (k, &target) in targets.iter().enumerate() {
                let wanted = scaled(target, 0.35 + dice.unit());
                if dice.unit() < 0.35 || step == 0 {
                    pending[k] = wanted.saturating_sub(live[k]);
                    cluster.remove(k, live[k].saturating_sub(wanted), dice);
                    live[k] = wanted;
                }
            }
            cluster.provision(&pending)?;
            cluster.shuffle(dice);
        }
        for (k, &live) in live.iter().enumerate() {
            cluster.remove(k, scaled(live, (shrink * 2.0 * dice.unit()).min(0.95)), dice);
        }
        cluster.shuffle(dice);
        Ok(cluster)
    }

    /// Empty nodes go, and the others change places: lists of nodes have no order that means anything.
    fn shuffle(&mut self, dice: &mut Dice) {
        self.nodes.retain(|n| n.pods > 0);
        for i in (1..self.nodes.len()).rev() {
            self.nodes.swap(i, dice.below(i + 1));
        }
    }

    fn remove(&mut self, class: usize, n: u32, dice: &mut Dice) {
        let key = u32::try_from(class).unwrap_or(u32::MAX);
        let needs = &self.problem.items[class].needs;
        let mut homes: Vec<usize> =
            (0..self.nodes.len()).filter(|&i| self.nodes[i].counts.contains_key(&key)).collect();
        for _ in 0..n {
            if homes.is_empty() {
                return;
            }
            let at = dice.below(homes.len());
            self.nodes[homes[at]].take_one(key, needs);
            if !self.nodes[homes[at]].counts.contains_key(&key) {
                homes.swap_remove(at);
            }
        }
    }

    /// Pods go onto nodes first-fit, then onto new ones, as the reference does it.
    fn provision(&mut self, pending: &[u32]) -> anyhow::Result<()> {
        let mut problem = self.with_nodes();
        problem.started.iter_mut().for_each(|b| b.contents.clear());
        for ((k, item), &n) in (0u32..).zip(&mut problem.items).zip(pending) {
            item.count = n;
            if item.per_bin_max.is_some() {
                // Only what is placed now is counted, so a node that has some of them takes no more.
                (0..self.nodes.len())
                    .filter(|&i| self.nodes[i].counts.contains_key(&k))
                    .for_each(|i| item.allowed_started.remove(i));
            }
        }
        let solution = greedy(&problem);
        for bin in &solution.bins {
            let node = match bin.kind {
                BinRef::Started(s) => &mut self.nodes[s.at()],
                BinRef::New(kind) => {
                    self.nodes.push(Node {
                        kind: kind.at(),
                        free: problem.kinds[kind.at()].holds.clone(),
                        counts: BTreeMap::new(),
                        pods: 0,
                    });
                    self.nodes.last_mut().context("just pushed")?
                }
            };
            for &(item, n) in &bin.contents {
                node.add(item.0, n, &problem.items[item.at()].needs);
            }
        }
        Ok(())
    }

    /// Micro-dollars per hour.
    pub fn cost(&self) -> i64 {
        self.nodes.iter().map(|n| self.problem.kinds[n.kind].cost).sum()
    }

    pub fn pods(&self) -> u64 {
        self.nodes.iter().map(|n| u64::from(n.pods)).sum()
    }

    /// The problem with the nodes as started bins, nothing pending.
    pub fn with_nodes(&self) -> Problem {
        let mut problem = self.problem.clone();
        problem.started = self
            .nodes
            .iter()
            .map(|n| StartedBin {
                room: n.free.clone(),
                cost: problem.kinds[n.kind].cost,
                contents: n.counts.iter().map(|(&k, &c)| (ItemIdx(k), c)).collect(),
                domains: problem.kinds[n.kind].domains.clone(),
                kind: Some(KindIdx(u32::try_from(n.kind).unwrap_or(u32::MAX))),
                pinned: false,
            })
            .collect();
        for item in &mut problem.items {
            item.count = 0;
            let here = (0..self.nodes.len()).filter(|&i| item.allowed.contains(self.nodes[i].kind));
            item.allowed_started = BitSet::of(self.nodes.len(), here);
        }
        problem
    }

    /// All pods as pending, no nodes: what a packing from nothing would be asked.
    pub fn unpacked(&self) -> Problem {
        let mut problem = self.problem.clone();
        for (k, item) in (0u32..).zip(&mut problem.items) {
            item.count = self.nodes.iter().filter_map(|n| n.counts.get(&k)).sum();
        }
        problem
    }
}
