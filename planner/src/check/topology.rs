//! Spread, affinity and anti-affinity among all pods, those already running included.
//!
//! Spread is judged on the cluster as it stands after the plan. Its domains are the values on machines that the pod may use,
//! and beyond those the values that some offering would bring which takes the pod alone. Pods that are being deleted neither
//! help nor hinder: they will be gone when the plan's pods arrive.

use std::collections::BTreeMap;

use crate::model::labels::HOSTNAME;
use crate::model::pod::{PodTerm, Spread};
use crate::model::taint::untolerated;

use super::after::{After, Cell, Stand};
use super::{Fault, Misfit, alone};

/// Faults in the placement of pods relative to each other.
pub(super) fn check(after: &After, faults: &mut Vec<Fault>) {
    let mut view = View::new(after);
    let mut found: Vec<(usize, Misfit)> = Vec::new();
    for host in 0..after.hosts.len() {
        view.spread(host, &mut found);
        view.anti_affinity(host, &mut found);
    }
    view.affinity(&mut found);
    faults
        .extend(found.into_iter().map(|(host, misfit)| Fault::Misfit { host: after.hosts[host].name.clone(), misfit }));
}

type Counts<'a> = BTreeMap<&'a str, i64>;

/// The cluster after the plan, perhaps with one machine bought differently.
pub(super) struct View<'a, 'b> {
    after: &'b After<'a>,
    swapped: Option<(usize, Stand<'b>)>,
    /// By group and place of the constraint in it.
    counts: BTreeMap<(usize, usize), (Counts<'b>, i64)>,
    /// By term: domain → cells it picks there.
    picked: BTreeMap<&'b PodTerm, BTreeMap<&'b str, Vec<usize>>>,
    /// By group and key: values that buying could bring.
    to_buy: BTreeMap<(usize, &'b str), Vec<&'b str>>,
}

impl<'a, 'b> View<'a, 'b> {
    pub fn new(after: &'b After<'a>) -> Self {
        let (counts, picked, to_buy) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { after, swapped: None, counts, picked, to_buy }
    }

    /// The same with `host` as `stand`.
    pub fn swap(&mut self, host: usize, stand: Stand<'b>) {
        self.swapped = Some((host, stand));
        self.counts.clear();
        self.picked.clear();
    }

    fn stand(&self, host: usize) -> Stand<'b> {
        match self.swapped {
            Some((swapped, stand)) if swapped == host => stand,
            _ => self.after.hosts[host].stand(),
        }
    }

    /// Hard spread constraints of the pods the plan puts on a machine.
    pub fn spread(&mut self, host: usize, found: &mut Vec<(usize, Misfit)>) {
        let after = self.after;
        let stand = self.stand(host);
        for cell in after.cells_of(host) {
            let Some(group) = cell.group else { continue };
            for (at, spread) in cell.shape.spreads.iter().enumerate().filter(|(_, spread)| spread.hard) {
                if !self.counts.contains_key(&(group, at)) {
                    let counts = self.domains(group, cell, spread);
                    self.counts.insert((group, at), counts);
                }
                let (counts, least) = &self.counts[&(group, at)];
                let domain = stand.label(&spread.key);
                let here = domain.and_then(|domain| counts.get(domain)).copied().unwrap_or(0);
                if domain.is_none() || here - least > i64::from(spread.max_skew) {
                    let (pod, key) = (cell.pods[0].clone(), spread.key.clone());
                    found.push((host, Misfit::Spread { pod, key, here, least: *least, max_skew: spread.max_skew }));
                }
            }
        }
    }

    /// How many matching pods each domain has, and the least of them as the constraint sees it.
    fn domains(&mut self, group: usize, cell: &Cell<'b>, spread: &'b Spread) -> (Counts<'b>, i64) {
        let after = self.after;
        let mut counts = Counts::new();
        for (at, host) in after.hosts.iter().enumerate() {
            let stand = self.stand(at);
            let Some(domain) = stand.label(&spread.key) else { continue };
            let tolerated = || untolerated(host.taints, &cell.shape.tolerations, false).is_none();
            if (spread.honor_affinity && !stand.wanted_by(cell.shape)) || (spread.honor_taints && !tolerated()) {
                continue;
            }
            let matching = after
                .cells_of(at)
                .filter(|other| !other.terminating && spread.counts(&cell.shape.namespace, other.shape));
            let n: usize = matching.map(|other| other.pods.len()).sum();
            *counts.entry(domain).or_insert(0) += i64::try_from(n).unwrap_or(i64::MAX);
        }
        if *spread.key == *HOSTNAME {
            // A machine still to be bought is an empty domain.
            return (counts, 0);
        }
        let to_buy = self.to_buy.entry((group, &spread.key));
        let to_buy =
            to_buy.or_insert_with(|| alone::values(after.snapshot, &after.snapshot.groups[group].shape, &spread.key));
        for value in to_buy.iter() {
            counts.entry(value).or_insert(0);
        }
        let few = spread.min_domains.is_some_and(|most| counts.len() < most as usize);
        let least = if few { 0 } else { counts.values().copied().min().unwrap_or(0) };
        (counts, least)
    }

    fn cells_picked(&mut self, term: &'b PodTerm) -> &BTreeMap<&'b str, Vec<usize>> {
        if !self.picked.contains_key(term) {
            let mut by_domain: BTreeMap<&'b str, Vec<usize>> = BTreeMap::new();
            let picked = |cell: &Cell| !cell.terminating && term.picks(cell.shape);
            for (at, cell) in self.after.cells.iter().enumerate().filter(|(_, cell)| picked(cell)) {
                if let Some(domain) = self.stand(cell.host).label(&term.key) {
                    by_domain.entry(domain).or_default().push(at);
                }
            }
            self.picked.insert(term, by_domain);
        }
        &self.picked[term]
    }

    /// Nobody the pods of a machine keep away from is near, and nobody who keeps away from the plan's pods.
    pub fn anti_affinity(&mut self, host: usize, found: &mut Vec<(usize, Misfit)>) {
        let after = self.after;
        for &at in &after.hosts[host].cells {
            let cell = &after.cells[at];
            for term in cell.shape.anti_affinity.iter().filter(|_| !cell.terminating) {
                let Some(domain) = self.stand(host).label(&term.key) else { continue };
                let picked = self.cells_picked(term).get(domain);
                for &other in picked.into_iter().flatten() {
                    let near = &after.cells[other];
                    let ours = cell.group.is_some() || near.group.is_some();
                    let pair = if other == at { cell.pods.get(1) } else { near.pods.first() };
                    if let (true, Some(other)) = (ours, pair) {
                        let (pod, other, key) = (cell.pods[0].clone(), (*other).clone(), term.key.clone());
                        found.push((host, Misfit::AntiAffinity { pod, other, key }));
                    }
                }
            }
        }
    }

    /// Others who keep away from the pods of a machine.
    pub fn kept_away(&mut self, host: usize, found: &mut Vec<(usize, Misfit)>) {
        let after = self.after;
        for (at, cell) in after.cells.iter().enumerate().filter(|(_, cell)| cell.host != host && !cell.terminating) {
            for term in &cell.shape.anti_affinity {
                let (mine, theirs) = (self.stand(host).label(&term.key), self.stand(cell.host).label(&term.key));
                if mine.is_none() || mine != theirs {
                    continue;
                }
                let hit =
                    after.cells_of(host).find(|c| term.picks(c.shape) && (c.group.is_some() || cell.group.is_some()));
                if let Some(hit) = hit {
                    let (pod, other) = (hit.pods[0].clone(), after.cells[at].pods[0].clone());
                    found.push((host, Misfit::AntiAffinity { pod, other, key: term.key.clone() }));
                }
            }
        }
    }

    /// Is there an order in which every pod with affinity finds what it needs when its turn comes? A pod that its own term
    /// picks may be the first of its kind anywhere. Those that find nobody after everyone else get a second chance as the first.
    fn affinity(&mut self, found: &mut Vec<(usize, Misfit)>) {
        let late = self.left_over(&[]);
        let late =
            if late.is_empty() { late } else { self.left_over(&late.iter().map(|(at, _)| *at).collect::<Vec<_>>()) };
        for (at, key) in late {
            let cell = &self.after.cells[at];
            found.push((cell.host, Misfit::Affinity { pod: cell.pods[0].clone(), key: key.into() }));
        }
    }

    /// The cells that cannot come when `first` try before all other new ones, each with the key of the term that is not met.
    fn left_over(&mut self, first: &[usize]) -> Vec<(usize, &'b str)> {
        let after = self.after;
        let waits = |cell: &Cell| cell.group.is_some() && !cell.shape.affinity.is_empty();
        let mut there: Vec<bool> = after.cells.iter().map(|cell| cell.group.is_none()).collect();
        for &at in first {
            there[at] = self.unmet(at, &there, true).is_none();
        }
        for (at, cell) in after.cells.iter().enumerate() {
            there[at] |= !waits(cell);
        }
        let mut waiting: Vec<usize> = (0..after.cells.len()).filter(|at| !there[*at]).collect();
        loop {
            let before = waiting.len();
            waiting.retain(|&at| {
                there[at] = self.unmet(at, &there, false).is_none();
                !there[at]
            });
            if waiting.len() == before {
                let Some(place) = waiting.iter().position(|&at| self.unmet(at, &there, true).is_none()) else { break };
                there[waiting.remove(place)] = true;
            }
        }
        waiting.into_iter().filter_map(|at| Some((at, self.unmet(at, &there, true)?))).collect()
    }

    /// The key of the first affinity term of a cell that finds nobody among the cells that are `there`.
    fn unmet(&mut self, at: usize, there: &[bool], may_be_first: bool) -> Option<&'b str> {
        let after = self.after;
        let cell = &after.cells[at];
        for term in &cell.shape.affinity {
            let domain = self.stand(cell.host).label(&term.key);
            let picked = self.cells_picked(term);
            let near = domain.and_then(|domain| picked.get(domain));
            if near.is_some_and(|cells| cells.iter().any(|other| there[*other])) {
                continue;
            }
            let anywhere = picked.values().flatten().any(|other| there[*other]);
            if !may_be_first || anywhere || domain.is_none() || !term.picks(cell.shape) {
                return Some(&term.key);
            }
        }
        None
    }

    /// As for one machine after a swap: its pods still find the others they need.
    pub fn affinity_of(&mut self, host: usize, found: &mut Vec<(usize, Misfit)>) {
        let after = self.after;
        for &at in &after.hosts[host].cells {
            let cell = &after.cells[at];
            if cell.group.is_none() {
                continue;
            }
            let mut there = vec![true; after.cells.len()];
            there[at] = cell.pods.len() > 1;
            if let Some(key) = self.unmet(at, &there, true) {
                found.push((host, Misfit::Affinity { pod: cell.pods[0].clone(), key: key.into() }));
            }
        }
    }
}
