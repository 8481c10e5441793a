//! Opened machines as launches: every offering that holds the same contents, labels settled, pods named.

use std::collections::BTreeMap;

use fixedbitset::FixedBitSet as Bits;

use super::names::Names;
use super::sale::{Sale, cheapest, compose, labels_of, sale};
use super::state::{Bin, Placed, State};
use super::topology::{Constraint, Demand};
use crate::model::{Requirements, Resources, Str};
use crate::plan::{Launch, Nomination};

/// Hands the pods of each group out to where the state put them: nominations, launches, and who is left over.
pub(crate) fn launches(state: &State, left: &[u32]) -> (Vec<Launch>, Vec<Nomination>, Vec<Vec<Str>>) {
    let groups = &state.world.snapshot.groups;
    let mut next: Vec<usize> = vec![0; groups.len()];
    let mut take = |placed: Placed| -> Vec<Str> {
        let from = next[placed.group];
        next[placed.group] += placed.count as usize;
        groups[placed.group].pods[from..next[placed.group]].iter().map(|pod| pod.key.clone()).collect()
    };
    let mut nominations = Vec::new();
    for (host, contents) in &state.on_hosts {
        let node = state.world.hosts[*host].name;
        for placed in contents {
            nominations.extend(take(*placed).into_iter().map(|pod| Nomination { pod, node: node.clone() }));
        }
    }
    nominations.sort();
    let mut names = Names::of(state.world.snapshot, &state.world.statics);
    let mut models = BTreeMap::new();
    let mut sales = Sales::default();
    let mut out = Vec::new();
    for at in 0..state.bins.len() {
        let mut pods: Vec<Str> = state.bins[at].contents.iter().flat_map(|placed| take(*placed)).collect();
        pods.sort();
        let bin = &state.bins[at];
        let name = names.next(&state.world.shelves[bin.shelf].pool.name);
        // Machines with equal contents in the same domains are equal but for name and pods.
        let same = (bin.shelf, bin.chosen, bin.contents.clone(), bin.pinned.clone(), bin.open.clone());
        let like = models.entry(same).or_insert_with(|| launch(state, at, &mut sales));
        out.push(Launch { name, pods, ..like.clone() });
    }
    let over = |(group, left): (usize, &u32)| -> Vec<Str> {
        let all = &groups[group].pods;
        all[all.len() - *left as usize..].iter().map(|pod| pod.key.clone()).collect()
    };
    let over = left.iter().enumerate().map(over).collect();
    (out, nominations, over)
}

/// A machine as a launch that has no name and no pods yet.
fn launch(state: &State, at: usize, sales: &mut Sales) -> Launch {
    let bin = &state.bins[at];
    let goods = &state.world.shelves[bin.shelf];
    let (mask, chosen) = alternatives(state, at);
    let mut requests = Resources::default();
    for placed in &bin.contents {
        let shape = state.world.groups[placed.group].shape;
        requests.add_times(&shape.requests, i64::from(placed.count));
    }
    let key = (bin.shelf, chosen, mask, bin.open.clone());
    let sale = sales
        .0
        .entry(key)
        .or_insert_with_key(|(_, chosen, mask, open)| sale(state.world.snapshot, goods, open, (mask, *chosen)));
    compose(goods, chosen, sale, requests)
}

/// By shelf, chosen choice, all choices and open keys: what launches have in common that differ in contents only.
#[derive(Default)]
struct Sales(BTreeMap<(usize, usize, Bits, Requirements), Sale>);

/// All choices that hold the contents, those in other domains too where the contents' own constraints allow the move.
pub(super) fn possible(state: &State, at: usize) -> Bits {
    let bin = &state.bins[at];
    let goods = &state.world.shelves[bin.shelf];
    let mut mask = goods.sellable.clone();
    let settled = labels_of(goods, &bin.open, bin.chosen);
    for placed in &bin.contents {
        let level = &state.world.groups[placed.group].levels[placed.level];
        let mut any = Bits::with_capacity(goods.choices.len());
        for way in &level.compat[bin.shelf].ways {
            let fits_open = way.open.iter().all(|r| r.allows(settled.get(&r.key).map(AsRef::as_ref)));
            if fits_open {
                any.union_with(&way.mask);
            }
        }
        mask.intersect_with(&any);
    }
    // What was settled is asked for, whatever else its pods would take.
    for narrowed in bin.open.iter().filter(|r| goods.open.get(&r.key) != Some(r)) {
        mask = goods.meeting(&mask, narrowed);
    }
    goods.keep_holding(&mut mask, &bin.used);
    if let Some(affordable) = state.affordable(bin) {
        mask.intersect_with(&affordable);
    }
    for (key, home) in &bin.pinned {
        let name = state.world.topology.key_name(*key);
        if goods.open.get(name).is_some() {
            mask = goods.having(&mask, name, state.world.topology.domain_name(*key, *home));
            continue;
        }
        for value in goods.values(&mask, name) {
            let domain = state.world.topology.known_domain(*key, &value);
            let stays = domain == Some(*home);
            if let (false, Some(bits)) =
                (stays || may_move(state, at, *key, *home, domain), goods.with_value(name, &value))
            {
                mask.difference_with(bits);
            }
        }
    }
    mask
}

/// The choices that hold the contents, none cheaper than the chosen one; and that one.
fn alternatives(state: &State, at: usize) -> (Bits, usize) {
    let bin = &state.bins[at];
    let goods = &state.world.shelves[bin.shelf];
    let mut mask = possible(state, at);
    let mut chosen = bin.chosen;
    if !mask.contains(chosen) {
        mask.insert(chosen);
    }
    if goods.generic.contains(chosen) {
        let mut generic = mask.clone();
        generic.intersect_with(&goods.generic);
        // Machines with a GPU stay in the list only where `minValues` needs them.
        if state.min_values_met(bin.shelf, &generic) || !state.min_values_met(bin.shelf, &mask) {
            mask = generic;
        } else {
            // The planned machine may draw on its reservation; no other may be brought in.
            let free = |choice: &usize| *choice == bin.chosen || goods.offering(*choice).reservation.is_none();
            let home = |choice: &usize| bin.pinned.keys().all(|key| same_value(state, bin, *key, *choice));
            chosen = mask.ones().find(|choice| free(choice) && home(choice)).unwrap_or(chosen);
        }
    }
    // A dearer choice than the cheapest is kept only where others rely on its domain.
    let cheaper = cheapest(goods, &mask, None).unwrap_or(chosen);
    if goods.choices[cheaper].price < goods.choices[chosen].price {
        let joint = !goods.pool.limits.0.is_empty() || !goods.reservations.is_empty();
        let relied = joint || bin.pinned.keys().any(|key| !same_value(state, bin, *key, cheaper));
        if !relied {
            chosen = cheaper;
        }
    }
    let price = goods.choices[chosen].price;
    let below: Vec<usize> = mask.ones().take_while(|c| goods.choices[*c].price < price).collect();
    for choice in below {
        mask.set(choice, false);
    }
    (mask, chosen)
}

/// Does a choice stand in the domain that the bin was settled on?
fn same_value(state: &State, bin: &Bin, key: usize, choice: usize) -> bool {
    let goods = &state.world.shelves[bin.shelf];
    let name = state.world.topology.key_name(key);
    let value = goods.label(choice, name).and_then(|v| state.world.topology.known_domain(key, v));
    goods.open.get(name).is_some() || value == bin.pinned.get(&key).copied()
}

/// Would the constraints of the bin's own pods hold if it stood in another domain of a key?
fn may_move(state: &State, at: usize, key: usize, home: u32, domain: Option<u32>) -> bool {
    let bin = &state.bins[at];
    let own = |counter: usize| -> u32 {
        let counts = |p: &&Placed| state.world.groups[p.group].counted.contains(&counter);
        bin.contents.iter().filter(counts).map(|p| p.count).sum()
    };
    // Pods of the bin that are counted and do not wait for others of their kind: the rest is in good company wherever it goes.
    let company = |counter: usize| -> u32 {
        let carefree = |p: &&Placed| {
            let group = &state.world.groups[p.group];
            group.counted.contains(&counter) && !group.is_near(counter)
        };
        bin.contents.iter().filter(carefree).map(|p| p.count).sum()
    };
    let holds = |constraint: &Constraint| {
        let Some(domain) = domain else { return false };
        let here = own(constraint.counter);
        let there = state.counted(constraint.counter, domain);
        match constraint.demand {
            Demand::Spread { max_skew, min_domains } => {
                let moved = |d: u32| {
                    let count = state.counted(constraint.counter, d);
                    if d == domain {
                        count + here
                    } else if d == home {
                        count.saturating_sub(here)
                    } else {
                        count
                    }
                };
                let enough = constraint.universe.len() as u32 >= min_domains;
                let least = if enough { constraint.universe.iter().map(|d| moved(*d)).min().unwrap_or(0) } else { 0 };
                constraint.universe.contains(&domain) && moved(domain) <= max_skew + least
            }
            Demand::Affinity => there > 0 || state.total(constraint.counter) <= here || company(constraint.counter) > 0,
            Demand::AntiAffinity => there == 0,
        }
    };
    bin.contents.iter().all(|placed| {
        let constraints = &state.world.groups[placed.group].levels[placed.level].constraints;
        constraints.iter().filter(|c| c.key == key).all(holds)
    })
}
