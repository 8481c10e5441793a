//! From two states to the way between them: waves of moves, each of which fits before anything leaves.

use crate::finish::{Packed, finish};
use crate::instance::Instance;
use crate::nodes::Node;
use crate::num::u32_of;
use crate::problem::{ItemIdx, Problem, StartedIdx};
use crate::rebuild::State;
use crate::reopt::{Destination, Move, Reoptimized, Wave};
use crate::shapes::Shapes;

/// What leaves one started bin.
struct Job {
    from: usize,
    /// (class, how many, where to).
    moves: Vec<(u32, u32, Destination)>,
    retires: bool,
}

/// The waves that lead from `start` to `end`.
pub(crate) fn waves<const R: usize>(
    problem: &Problem,
    shapes: &Shapes,
    values: &[i64],
    inst: &Instance<R>,
    start: &State<R>,
    end: &State<R>,
) -> Reoptimized {
    let item = |k: u32| inst.classes[k as usize].members.first().map_or(ItemIdx(0), |m| m.0);
    let mut bought: Vec<&Node<R>> = end.bins.iter().filter(|b| b.origin.is_none()).map(|b| &b.node).collect();
    bought.retain(|n| !n.pattern.is_empty());
    // The order in which the solution lists them.
    let packed = |n: &&Node<R>| Packed {
        kind: inst.offers[n.offer as usize].what,
        contents: n.pattern.iter().map(|&(k, x)| (item(k), x)).collect(),
    };
    let key = |n: &&Node<R>| {
        let mut p = packed(n);
        p.contents.sort_unstable();
        (p.kind, p.contents)
    };
    bought.sort_by_key(key);
    let mut buying = problem.clone();
    buying.spreads.clear();
    let new = finish(&buying, shapes, values, bought.iter().map(packed).collect());
    let jobs = jobs(problem, inst, start, end, &bought);
    let moved = jobs.iter().flat_map(|j| &j.moves).map(|m| u64::from(m.1)).sum();
    let cost_before: i64 = problem.started.iter().map(|s| s.cost).sum();
    let gone: i64 = jobs.iter().filter(|j| j.retires).map(|j| problem.started[j.from].cost).sum();
    let cost_after = cost_before - gone + new.cost;
    let mut now: Vec<Option<Node<R>>> = vec![None; problem.started.len()];
    for b in &start.bins {
        if let Some(o) = b.origin {
            now[o] = Some(b.node.clone());
        }
    }
    let waves = order(inst, jobs, now, &item);
    Reoptimized { waves, buy: new.bins, cost_before, cost_after, moved, effort_spent: 0 }
}

fn jobs<const R: usize>(
    problem: &Problem,
    inst: &Instance<R>,
    start: &State<R>,
    end: &State<R>,
    bought: &[&Node<R>],
) -> Vec<Job> {
    let mut after: Vec<Option<&Node<R>>> = vec![None; problem.started.len()];
    for b in &end.bins {
        if let Some(o) = b.origin {
            after[o] = Some(&b.node);
        }
    }
    // Free places per class: what a bin holds in the end beyond what it held first.
    let mut places: Vec<Vec<(Destination, u32)>> = vec![Vec::new(); inst.classes.len()];
    for b in &start.bins {
        let Some(o) = b.origin else { continue };
        for &(k, n) in after[o].iter().flat_map(|n| &n.pattern) {
            let more = n.saturating_sub(b.node.count(k));
            if more > 0 {
                places[k as usize].push((Destination::Started(StartedIdx(u32_of(o))), more));
            }
        }
    }
    for (i, node) in bought.iter().enumerate() {
        for &(k, n) in &node.pattern {
            places[k as usize].push((Destination::New(i), n));
        }
    }
    let mut jobs = Vec::new();
    for b in &start.bins {
        let Some(o) = b.origin else { continue };
        let mut moves = Vec::new();
        for &(k, n) in &b.node.pattern {
            let mut leaving = n.saturating_sub(after[o].map_or(0, |a| a.count(k)));
            while leaving > 0 {
                let Some((to, free)) = places[k as usize].last_mut() else { break };
                let x = leaving.min(*free);
                moves.push((k, x, *to));
                leaving -= x;
                *free -= x;
                if *free == 0 {
                    places[k as usize].pop();
                }
            }
        }
        let retires = after[o].is_none();
        if retires || !moves.is_empty() {
            jobs.push(Job { from: o, moves, retires });
        }
    }
    jobs
}

/// Puts jobs into waves: a job joins when everything it moves fits beside what is there and what the wave brings already.
fn order<const R: usize>(
    inst: &Instance<R>,
    mut jobs: Vec<Job>,
    mut now: Vec<Option<Node<R>>>,
    item: &impl Fn(u32) -> ItemIdx,
) -> Vec<Wave> {
    let mut waves: Vec<Wave> = Vec::new();
    let mut there: Vec<usize> = Vec::new();
    while !jobs.is_empty() {
        let mut wave = Wave::default();
        let mut leaving: Vec<Job> = Vec::new();
        let mut later = Vec::new();
        for job in jobs.drain(..) {
            if arrive(inst, &job, &mut now) {
                leaving.push(job);
            } else {
                later.push(job);
            }
        }
        if leaving.is_empty() {
            // Bins that wait for each other: they change places at once.
            leaving.append(&mut later);
        }
        for job in leaving {
            for &(k, n, to) in &job.moves {
                wave.moves.push(Move { item: item(k), count: n, from: StartedIdx(u32_of(job.from)), to });
                if let Destination::New(i) = to
                    && !there.contains(&i)
                {
                    there.push(i);
                    wave.buy.push(i);
                }
                if let Some(node) = &mut now[job.from] {
                    let left: Vec<(u32, u32)> = node
                        .pattern
                        .iter()
                        .map(|&(c, m)| (c, if c == k { m.saturating_sub(n) } else { m }))
                        .filter(|c| c.1 > 0)
                        .collect();
                    *node = Node::with(inst, node.offer, left);
                }
            }
            if job.retires {
                wave.retire.push(StartedIdx(u32_of(job.from)));
                now[job.from] = None;
            }
        }
        wave.buy.sort_unstable();
        waves.push(wave);
        jobs = later;
    }
    waves
}

/// Adds what a job moves to where it goes, if all of it fits; else changes nothing.
fn arrive<const R: usize>(inst: &Instance<R>, job: &Job, now: &mut [Option<Node<R>>]) -> bool {
    let mut changed: Vec<(usize, Node<R>)> = Vec::new();
    for &(k, n, to) in &job.moves {
        let Destination::Started(s) = to else { continue };
        let known = changed.iter().position(|c| c.0 == s.at());
        let at = if let Some(at) = known {
            at
        } else {
            let Some(node) = &now[s.at()] else { return false };
            changed.push((s.at(), node.clone()));
            changed.len() - 1
        };
        if changed[at].1.room_for(inst, k) < n {
            return false;
        }
        changed[at].1.add(inst, k, n);
    }
    for (s, node) in changed {
        now[s] = Some(node);
    }
    true
}
