//! Carries waves out on the model, so that no figure stands for a state that cannot be.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use solver::{BinRef, Destination, Problem, Reoptimized, Wave};

use super::cluster::{Cluster, Node};

/// What each bin holds, by where it is.
type State = BTreeMap<Destination, BTreeMap<u32, u32>>;

fn start(problem: &Problem) -> State {
    (0u32..)
        .zip(&problem.started)
        .map(|(s, bin)| {
            (Destination::Started(solver::StartedIdx(s)), bin.contents.iter().map(|&(i, n)| (i.0, n)).collect())
        })
        .collect()
}

/// Every bin fits after every wave, and the cost at the end is the one promised.
pub fn end(problem: &Problem, result: &Reoptimized) -> anyhow::Result<()> {
    let mut state = start(problem);
    for (w, wave) in result.waves.iter().enumerate() {
        carry_out(problem, result, wave, &mut state).with_context(|| format!("wave {w}"))?;
    }
    let cost: i64 =
        state.keys().map(|at| kind(problem, result, *at).map(|k| problem.kinds[k].cost)).sum::<Result<_, _>>()?;
    ensure!(cost == result.cost_after, "it costs {cost} in the end, not {}", result.cost_after);
    Ok(())
}

/// The cluster once the first wave is carried out.
pub fn after_first_wave(cluster: &Cluster, result: &Reoptimized) -> anyhow::Result<Cluster> {
    let problem = cluster.with_nodes();
    let mut state = start(&problem);
    if let Some(wave) = result.waves.first() {
        carry_out(&problem, result, wave, &mut state)?;
    }
    let mut nodes = Vec::with_capacity(state.len());
    for (at, counts) in state {
        let kind = kind(&problem, result, at)?;
        let mut node = Node { kind, free: problem.kinds[kind].holds.clone(), counts: BTreeMap::new(), pods: 0 };
        counts.iter().filter(|c| *c.1 > 0).for_each(|(&k, &n)| node.add(k, n, &problem.items[k as usize].needs));
        nodes.push(node);
    }
    Ok(Cluster { problem: cluster.problem.clone(), nodes })
}

fn kind(problem: &Problem, result: &Reoptimized, at: Destination) -> anyhow::Result<usize> {
    match at {
        Destination::Started(s) => Ok(problem.started[s.at()].kind.context("a node of no kind")?.at()),
        Destination::New(b) => match result.buy[b].kind {
            BinRef::New(k) => Ok(k.at()),
            BinRef::Started(_) => bail!("bought a node that is there already"),
        },
    }
}

fn carry_out(problem: &Problem, result: &Reoptimized, wave: &Wave, state: &mut State) -> anyhow::Result<()> {
    for &b in &wave.buy {
        state.insert(Destination::New(b), BTreeMap::new());
    }
    for m in &wave.moves {
        let from = state.get_mut(&Destination::Started(m.from)).context("moved from a node that is gone")?;
        let left = from.get_mut(&m.item.0).filter(|n| **n >= m.count).context("moved what is not there")?;
        *left -= m.count;
        let to = state.get_mut(&m.to).context("moved to a node that is not there")?;
        *to.entry(m.item.0).or_insert(0) += m.count;
    }
    for s in &wave.retire {
        let gone = state.remove(&Destination::Started(*s)).context("retired twice")?;
        ensure!(gone.values().all(|n| *n == 0), "retired a node that is not empty");
    }
    for (at, counts) in state.iter() {
        let k = kind(problem, result, *at)?;
        for (d, hold) in problem.kinds[k].holds.iter().enumerate() {
            let used: i64 = counts.iter().map(|(&i, &n)| problem.items[i as usize].needs[d] * i64::from(n)).sum();
            ensure!(used <= *hold, "{at:?} is overfull");
        }
        for (&i, &n) in counts.iter().filter(|c| *c.1 > 0) {
            let item = &problem.items[i as usize];
            ensure!(item.per_bin_max.is_none_or(|most| n <= most), "{at:?} has too many of one item");
            ensure!(item.allowed.contains(k), "{at:?} has what it may not hold");
        }
    }
    Ok(())
}
