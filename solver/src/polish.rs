//! Ruin and recreate: empties a few bins that are poor value and packs their contents anew, in less or cheaper room.
//! Large packings are cut into regions at random, round after round, which several threads may polish at once.

use crate::buy::{Leeway, Work};
use crate::effort::Meter;
use crate::guide::Guide;
use crate::nodes::{Budget, Node, price_of};
use crate::noise::Noise;
use crate::parallel::in_parts;

/// Nodes in a region.
const REGION: usize = 64;
/// Operations per region and round.
const REGION_OPERATIONS: u64 = 3_000_000;

/// Polishes until the meter is out or `rounds_without` rounds bring nothing.
pub(crate) fn polish<const R: usize>(
    guide: &Guide<'_, R>,
    nodes: &mut Vec<Node<R>>,
    budget: &mut Budget,
    noise: &mut Noise,
    threads: usize,
    rounds_without: u32,
    meter: &mut Meter,
) {
    let mut idle = 0;
    while !meter.is_out() && idle < rounds_without && nodes.iter().filter(|n| n.is_new(guide.inst)).count() > 0 {
        let before = price_of(guide.inst, nodes);
        if nodes.len() < 2 * REGION || !budget.0.is_empty() {
            let mut part = meter.part(REGION_OPERATIONS.min(meter.left()).max(1));
            Region::new(guide, noise.clone()).run(nodes, budget, &mut part);
            *noise = Noise::new(noise.next());
            meter.absorb(&part);
        } else {
            regions(guide, nodes, noise, threads, meter);
        }
        if price_of(guide.inst, nodes) < before - 0.5 {
            idle = 0;
        } else {
            idle += 1;
        }
    }
}

/// One round over random regions.
fn regions<const R: usize>(
    guide: &Guide<'_, R>,
    nodes: &mut Vec<Node<R>>,
    noise: &mut Noise,
    threads: usize,
    meter: &mut Meter,
) {
    for i in (1..nodes.len()).rev() {
        nodes.swap(i, noise.below(i + 1));
    }
    let all = nodes.len() / REGION;
    let affordable = usize::try_from(meter.left() / REGION_OPERATIONS).unwrap_or(usize::MAX).max(1);
    let n = all.min(affordable);
    let cuts: Vec<usize> = (0..=all).map(|p| p * nodes.len() / all).collect();
    let seeds: Vec<u64> = (0..n).map(|_| noise.next()).collect();
    let operations = REGION_OPERATIONS.min(meter.left().max(1));
    let source: &[Node<R>] = nodes;
    let polished = in_parts(threads, n, 1, |range| {
        range
            .map(|p| {
                let mut part: Vec<Node<R>> = source[cuts[p]..cuts[p + 1]].to_vec();
                let mut own = meter.part(operations);
                Region::new(guide, Noise::new(seeds[p])).run(&mut part, &mut Budget(Vec::new()), &mut own);
                (part, own)
            })
            .collect()
    });
    let mut rest: Vec<Node<R>> = nodes.drain(..).skip(cuts[n]).collect();
    for (mut part, own) in polished {
        nodes.append(&mut part);
        meter.absorb(&own);
    }
    nodes.append(&mut rest);
}

/// Local search on a set of nodes.
struct Region<'a, 'g, const R: usize> {
    guide: &'g Guide<'a, R>,
    noise: Noise,
    left: Vec<u32>,
    new: Vec<Node<R>>,
    work: Work,
    pick: Vec<usize>,
    set: Vec<u32>,
    touched: Vec<(usize, Node<R>)>,
}

impl<'a, 'g, const R: usize> Region<'a, 'g, R> {
    fn new(guide: &'g Guide<'a, R>, noise: Noise) -> Self {
        Self {
            left: vec![0; guide.inst.classes.len()],
            guide,
            noise,
            new: Vec::new(),
            work: Work::default(),
            pick: Vec::new(),
            set: Vec::new(),
            touched: Vec::new(),
        }
    }

    fn run(&mut self, nodes: &mut Vec<Node<R>>, budget: &mut Budget, meter: &mut Meter) {
        let mut turn = 0u32;
        while !meter.is_out() && nodes.iter().any(|n| n.is_new(self.guide.inst)) {
            // Eight turns of one kind at a time, so that each finds its memory warm.
            if turn % 16 < 8 || nodes.len() < 2 {
                self.ruin(nodes, budget, meter);
            } else {
                self.shed(nodes, budget, meter);
            }
            meter.charge(400);
            turn += 1;
        }
    }

    /// Share of its price that a node's contents are not worth.
    fn waste(&self, node: &Node<R>) -> f64 {
        let inst = self.guide.inst;
        if !node.is_new(inst) {
            return -1.0;
        }
        let value: f64 = node.pattern.iter().map(|&(k, n)| self.guide.values[k as usize] * f64::from(n)).sum();
        1.0 - value / node.price(inst)
    }

    /// A node by tournament on waste.
    fn wasteful(&mut self, nodes: &[Node<R>], rounds: usize) -> usize {
        let mut i = self.noise.below(nodes.len());
        for _ in 0..rounds {
            let j = self.noise.below(nodes.len());
            if self.waste(&nodes[j]) > self.waste(&nodes[i]) {
                i = j;
            }
        }
        i
    }

    fn is_kin(&mut self, a: &Node<R>, b: &Node<R>) -> bool {
        let family = |n: &Node<R>| self.guide.family[n.offer as usize] as usize;
        let kinship = self.guide.kinship[family(a)][family(b)];
        f64::from(kinship) >= self.noise.unit()
    }

    /// Empties two to four nodes and buys room for their contents anew, some of it squeezed into other nodes' slack.
    fn ruin(&mut self, nodes: &mut Vec<Node<R>>, budget: &mut Budget, meter: &mut Meter) {
        let inst = self.guide.inst;
        let n = (2 + self.noise.below(3)).min(nodes.len());
        self.pick.clear();
        for attempt in 0..24 {
            if self.pick.len() == n {
                break;
            }
            let i = match self.pick.len() {
                0 => self.wasteful(nodes, 2),
                1 => self.wasteful(nodes, 1),
                _ => self.noise.below(nodes.len()),
            };
            if self.pick.contains(&i) || !nodes[i].is_new(inst) {
                continue;
            }
            if let Some(&first) = self.pick.first()
                && nodes.len() > 8
                && attempt < 18
                && !self.is_kin(&nodes[first], &nodes[i])
            {
                continue;
            }
            self.pick.push(i);
        }
        if self.pick.is_empty() {
            return;
        }
        let mut old = 0.0;
        for &i in &self.pick {
            old += nodes[i].price(inst);
            budget.give(inst, nodes[i].offer);
            for &(k, n) in &nodes[i].pattern {
                self.left[k as usize] += n;
            }
        }
        self.touched.clear();
        if nodes.len() > self.pick.len() && self.noise.unit() < 0.5 {
            self.absorb(nodes, meter);
        }
        self.new.clear();
        let mut trial = budget.clone();
        let leeway = Leeway { noise: Some((&mut self.noise, 0.12)), most_price: old - 0.5, subset: 0.35 };
        let done = self.guide.greedy(&mut self.left, &mut trial, &mut self.new, leeway, &mut self.work, meter);
        if done && price_of(inst, &self.new) < old - 0.5 {
            *budget = trial;
            for (i, node) in self.touched.drain(..) {
                nodes[i] = node;
            }
            self.replace(nodes);
        } else {
            for &i in &self.pick {
                budget.take(inst, nodes[i].offer);
            }
            self.left.iter_mut().for_each(|l| *l = 0);
        }
    }

    /// Moves what is ruined into the slack of a few other nodes.
    fn absorb(&mut self, nodes: &[Node<R>], meter: &mut Meter) {
        let inst = self.guide.inst;
        for _ in 0..4.min(nodes.len() - self.pick.len()) {
            let i = self.noise.below(nodes.len());
            if self.pick.contains(&i) || self.touched.iter().any(|t| t.0 == i) {
                continue;
            }
            let mut changed: Option<Node<R>> = None;
            for &p in &self.pick {
                for &(k, _) in &nodes[p].pattern {
                    let left = self.left[k as usize];
                    if left == 0 {
                        continue;
                    }
                    let n = changed.as_ref().unwrap_or(&nodes[i]).room_for(inst, k).min(left);
                    if n > 0 {
                        changed.get_or_insert_with(|| nodes[i].clone()).add(inst, k, n);
                        self.left[k as usize] -= n;
                    }
                }
                meter.charge(nodes[p].pattern.len() * 4);
            }
            if let Some(node) = changed {
                self.touched.push((i, node));
            }
        }
    }

    /// Packs the contents of several nodes into one node fewer (perhaps with one of them changed); buys cheap room for
    /// what does not fit. Keeps equal cost when it gathers the slack.
    fn shed(&mut self, nodes: &mut Vec<Node<R>>, budget: &mut Budget, meter: &mut Meter) {
        let inst = self.guide.inst;
        let n = (2 + self.noise.below(7)).min(nodes.len() - 1);
        let victim = self.wasteful(nodes, 2);
        if !nodes[victim].is_new(inst) {
            return;
        }
        self.pick.clear();
        self.pick.push(victim);
        for _ in 0..n * 8 {
            if self.pick.len() > n {
                break;
            }
            let i = self.noise.below(nodes.len());
            if !self.pick.contains(&i) && self.is_kin(&nodes[victim], &nodes[i]) {
                self.pick.push(i);
            }
        }
        let (mut old, mut old_slack) = (0.0, 0.0);
        self.set.clear();
        for &i in &self.pick {
            old += nodes[i].price(inst);
            old_slack += self.slack(&nodes[i]);
            budget.give(inst, nodes[i].offer);
            for &(k, n) in &nodes[i].pattern {
                if self.left[k as usize] == 0 {
                    self.set.push(k);
                }
                self.left[k as usize] += n;
            }
        }
        let rank = &self.guide.rank;
        self.set.sort_unstable_by_key(|&k| rank[k as usize]);
        let mut bins: Vec<Node<R>> = self.pick[1..].iter().map(|&i| Node::empty(inst, nodes[i].offer)).collect();
        self.change_one(&mut bins);
        let mut trial = budget.clone();
        let affordable = bins.iter().all(|b| {
            let fine = trial.allows(inst, b.offer);
            trial.take(inst, b.offer);
            fine
        });
        let mut done = false;
        self.new.clear();
        if affordable && price_of(inst, &bins) <= old + 0.5 {
            self.guide.repack(&self.set, &mut self.left, &mut bins, (&mut self.noise, 0.15), meter);
            for bin in &mut bins {
                if bin.pattern.is_empty() && bin.is_new(inst) {
                    trial.give(inst, bin.offer);
                } else {
                    self.guide.right_size(bin, &mut trial);
                }
            }
            bins.retain(|b| !b.pattern.is_empty() || !b.is_new(inst));
            let price = price_of(inst, &bins);
            done = self.set.iter().all(|&k| self.left[k as usize] == 0);
            if !done {
                let leeway =
                    Leeway { noise: Some((&mut self.noise, 0.05)), most_price: old - price + 0.1, subset: 0.5 };
                done = self.guide.greedy(&mut self.left, &mut trial, &mut self.new, leeway, &mut self.work, meter);
            }
            if done {
                let gain = old - price - price_of(inst, &self.new);
                let slack: f64 = bins.iter().chain(&self.new).map(|b| self.slack(b)).sum();
                done = gain > 0.5 || gain > -0.5 && slack >= old_slack * 0.999;
            }
        }
        if done {
            *budget = trial;
            self.new.append(&mut bins);
            self.replace(nodes);
        } else {
            for &i in &self.pick {
                budget.take(inst, nodes[i].offer);
            }
            for &k in &self.set {
                self.left[k as usize] = 0;
            }
        }
    }

    /// Sometimes turns one of the bins into another good offer of similar price.
    fn change_one(&mut self, bins: &mut [Node<R>]) {
        let inst = self.guide.inst;
        if bins.is_empty() || self.guide.good.is_empty() || self.noise.unit() >= 0.4 {
            return;
        }
        let b = self.noise.below(bins.len());
        if !bins[b].is_new(inst) {
            return;
        }
        let price = bins[b].price(inst);
        for _ in 0..8 {
            let o = self.guide.good[self.noise.below(self.guide.good.len())];
            let other = inst.offers[o as usize].price;
            if other < price * 1.6 && other > price * 0.3 {
                let candidate = Node::empty(inst, o);
                if self.is_kin(&bins[b], &candidate) {
                    bins[b] = candidate;
                    return;
                }
            }
        }
    }

    /// Slack counts by its square, so that gathered slack, which can be given back, counts for more.
    fn slack(&self, node: &Node<R>) -> f64 {
        let inst = self.guide.inst;
        if !node.is_new(inst) {
            return 0.0;
        }
        let prices = &self.guide.prices[node.offer as usize];
        let offer = &inst.offers[node.offer as usize];
        let mut v = 0.0;
        for r in 0..R {
            if offer.holds[r] > 0 {
                v += prices[r] * offer.share[r] * (node.free[r] as f64 / offer.holds[r] as f64);
            }
        }
        v * v / offer.price
    }

    /// Takes the picked nodes out and puts the new ones in.
    fn replace(&mut self, nodes: &mut Vec<Node<R>>) {
        self.pick.sort_unstable();
        while let Some(i) = self.pick.pop() {
            nodes.swap_remove(i);
        }
        nodes.append(&mut self.new);
        self.left.iter_mut().for_each(|l| *l = 0);
    }
}
