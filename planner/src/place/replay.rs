//! A packing put back through the predicates, machine by machine; what does not pass is placed first-fit on what is there.

use std::collections::BTreeMap;

use solver::{BinRef, Solution};

use super::fill::{buy, place, settle_late_comers};
use super::problem::{Dealing, Kinds, Lot, Question};
use super::state::{Placed, State};
use super::turns::{Turn, in_turn, ordered};

/// Plays a proposal. `greedy` and `left`: the first-fit-decreasing plan that it is to better. `hosts`: the proposal is about
/// machines that are there too, else the pods on them stay where first-fit-decreasing put them.
pub(super) fn replay<'w, 'a>(
    greedy: &State<'w, 'a>,
    left: &[u32],
    kinds: &Kinds,
    question: Question,
    solution: &Solution,
    hosts: bool,
) -> Option<(State<'w, 'a>, Vec<u32>)> {
    let world = greedy.world;
    let (lots, mut deal) = question.dealing();
    let to_place = world.groups.iter().map(|g| g.count).collect();
    let state = State::by_price(world);
    let mut replay = Replay { state, lots: &lots, to_place, refused: BTreeMap::new() };
    let late_on_hosts = if hosts { replay.fill_hosts(solution, &mut deal) } else { replay.copy_hosts(greedy) };
    let late_in_bins = replay.fill_bins(solution, &mut deal, kinds);
    // Pods that have to be near others of their kind take their seats once those have.
    for (host, lot, count) in late_on_hosts {
        replay.put_on_host(host, lot, count);
    }
    for (shelf, mut opened, late) in late_in_bins {
        for (lot, count) in late {
            replay.put_in_bin(shelf, &mut opened, lot, count);
        }
    }
    let Replay { mut state, to_place: mut rest, refused, .. } = replay;
    // Who was turned away still goes to the domains meant for it: the balance counts on that.
    for (lot, count) in refused {
        let count = count.min(rest[lot.group]);
        state.forced.clone_from(&lot.pins);
        rest[lot.group] -= count - buy(&mut state, lot.group, lot.level, count);
        state.forced.clear();
    }
    for groups in in_turn(world) {
        for Turn { group, .. } in ordered(&state, &groups, &[]) {
            if rest[group] > left[group] && world.groups[group].shape.refused.is_none() {
                place(&mut state, group, &mut rest[group]);
            }
        }
        settle_late_comers(&mut state, &groups, &mut rest);
    }
    state.rules_hold().then_some((state, rest))
}

/// A host, a lot, and how many.
type OnHost<'l> = (usize, &'l Lot, u32);
/// A shelf, the machine of it that is open, and who is still to join.
type InBin<'l> = (usize, Option<usize>, Vec<(&'l Lot, u32)>);

struct Replay<'w, 'a, 'l> {
    state: State<'w, 'a>,
    lots: &'l [Lot],
    /// Per group, pods without a place so far.
    to_place: Vec<u32>,
    refused: BTreeMap<&'l Lot, u32>,
}

impl<'l> Replay<'_, '_, 'l> {
    /// Returns who waits.
    fn fill_hosts(&mut self, solution: &Solution, deal: &mut Dealing) -> Vec<OnHost<'l>> {
        let mut late = Vec::new();
        for bin in &solution.bins {
            let BinRef::Started(host) = bin.kind else { continue };
            for (lot, count) in deal.contents(&bin.contents) {
                let lot = &self.lots[lot];
                if self.state.world.groups[lot.group].follows {
                    late.push((host.0 as usize, lot, count));
                } else {
                    self.put_on_host(host.0 as usize, lot, count);
                }
            }
        }
        late
    }

    fn put_on_host(&mut self, host: usize, lot: &Lot, count: u32) {
        let (count, _) = self.state.host_takes(host, lot.group, lot.level, count);
        if count > 0 {
            self.to_place[lot.group] -= count;
            self.state.put_on_host(host, Placed { group: lot.group, level: lot.level, count });
        }
    }

    /// As first-fit-decreasing has them; nobody waits.
    fn copy_hosts(&mut self, greedy: &State) -> Vec<OnHost<'l>> {
        for (host, contents) in &greedy.on_hosts {
            for placed in contents {
                self.to_place[placed.group] -= placed.count;
                self.state.put_on_host(*host, *placed);
            }
        }
        Vec::new()
    }

    /// Returns who waits.
    fn fill_bins(&mut self, solution: &Solution, deal: &mut Dealing, kinds: &Kinds) -> Vec<InBin<'l>> {
        let mut out = Vec::new();
        for bin in &solution.bins {
            let BinRef::New(kind) = bin.kind else { continue };
            let (shelf, _) = kinds.find(kind);
            let (mut opened, mut late) = (None, Vec::new());
            for (lot, count) in deal.contents(&bin.contents) {
                let lot = &self.lots[lot];
                if self.state.world.groups[lot.group].follows {
                    late.push((lot, count));
                } else {
                    self.put_in_bin(shelf, &mut opened, lot, count);
                }
            }
            if !late.is_empty() {
                out.push((shelf, opened, late));
            }
        }
        out
    }

    fn put_in_bin(&mut self, shelf: usize, opened: &mut Option<usize>, lot: &'l Lot, count: u32) {
        let count = count.min(self.to_place[lot.group]);
        let joined = if count == 0 { 0 } else { join(&mut self.state, shelf, opened, lot, count) };
        self.to_place[lot.group] -= joined;
        if joined < count {
            *self.refused.entry(lot).or_insert(0) += count - joined;
        }
    }
}

/// Adds a lot to the machine being rebuilt, in the domain it was meant for. Returns how many went in.
fn join(state: &mut State, shelf: usize, opened: &mut Option<usize>, lot: &Lot, count: u32) -> u32 {
    let mut done = 0;
    while done < count {
        // In between, a step may pass through an uneven spread that the whole plan evens out.
        state.forced.clone_from(&lot.pins);
        let at = opened.unwrap_or(state.bins.len());
        let blank = if opened.is_none() { Some(state.blank(shelf)) } else { None };
        let bin = blank.as_ref().unwrap_or_else(|| &state.bins[at]);
        let joining = state.joining(bin, state.bin_host(at), lot.group, lot.level, count - done);
        state.forced.clear();
        let Some(joining) = joining else { break };
        done += joining.count;
        match blank {
            Some(blank) => {
                state.open(blank, joining, lot.group, lot.level);
                *opened = Some(at);
            }
            None => state.join(at, joining, lot.group, lot.level),
        }
    }
    done
}
