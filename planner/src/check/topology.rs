//! Spread, affinity and anti-affinity among all pods, those already running included.
//!
//! Spread is judged by the last to come of those who spread alike and at least as evenly, when everybody else is there but pods
//! that are counted and do not: those may come later still. Its domains are the values on machines that the pod may use, and beyond those
//! the values that some offering would bring which takes the pod alone. Pods that are being deleted neither
//! help nor hinder: they will be gone when the plan's pods arrive.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::model::labels::HOSTNAME;
use crate::model::pod::{PodTerm, Spread};
use crate::model::selector::LabelSelector;
use crate::model::taint::untolerated;
use crate::model::{PodShape, Requirements, Str, Toleration};

use super::after::{After, Cell, Stand};
use super::{Fault, Misfit, market};

/// Faults in the placement of pods relative to each other.
pub(super) fn check(view: &mut View, faults: &mut Vec<Fault>) {
    let after = view.after;
    let mut found: Vec<(usize, Misfit)> = Vec::new();
    for (at, host) in after.hosts.iter().enumerate() {
        view.spread(at, &host.stand(), &mut found);
        view.anti_affinity(at, &host.stand(), &mut found);
    }
    view.affinity(&mut found);
    faults
        .extend(found.into_iter().map(|(host, misfit)| Fault::Misfit { host: after.hosts[host].name.clone(), misfit }));
}

/// Pods that a spread constraint counts in a domain.
#[derive(Clone, Copy, Default)]
struct Crowd {
    /// Once everybody is there.
    all: i64,
    /// Of these, all but pods that the plan brings and that do not spread so themselves, or less evenly: they may come last.
    early: i64,
}

type Counts<'a> = BTreeMap<&'a str, Crowd>;

/// What makes two spread constraints count the same pods on the same machines, in the same order of coming.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Counted<'b> {
    namespace: &'b Str,
    key: &'b Str,
    selector: Option<&'b LabelSelector>,
    affinity: Option<(&'b Requirements, Option<&'b [Requirements]>)>,
    tolerations: Option<&'b [Toleration]>,
    max_skew: u32,
}

impl<'b> Counted<'b> {
    fn of(shape: &'b PodShape, spread: &'b Spread) -> Self {
        Self {
            namespace: &shape.namespace,
            key: &spread.key,
            selector: spread.selector.as_ref(),
            affinity: spread.honor_affinity.then_some((&shape.node_selector, shape.node_terms.as_deref())),
            tolerations: spread.honor_taints.then_some(&shape.tolerations[..]),
            max_skew: spread.max_skew,
        }
    }

    /// Does a pod of this shape spread over the same pods on the same machines, and allow no more skew?
    fn binds(&self, shape: &'b PodShape) -> bool {
        let mut hard = shape.spreads.iter().filter(|own| own.hard && own.max_skew <= self.max_skew);
        hard.any(|own| Self { max_skew: self.max_skew, ..Self::of(shape, own) } == *self)
    }
}

/// Who is near whom, as far as it was asked for.
pub(super) struct View<'a, 'b> {
    after: &'b After<'a>,
    counts: Vec<Counts<'b>>,
    /// Place of the counts of each constraint.
    counted: BTreeMap<Counted<'b>, usize>,
    /// By group and constraint: place of its counts, and the values beyond those counts that buying could bring.
    learned: BTreeMap<(usize, *const Spread), (usize, Vec<&'b str>)>,
    /// By term: domain → cells it picks there.
    picked: BTreeMap<&'b PodTerm, BTreeMap<&'b str, Vec<usize>>>,
    /// By term: domain → cells that carry it as anti-affinity.
    carried: BTreeMap<&'b PodTerm, BTreeMap<&'b str, Vec<usize>>>,
}

impl<'a, 'b> View<'a, 'b> {
    pub fn new(after: &'b After<'a>) -> Self {
        let (picked, carried) = (BTreeMap::new(), BTreeMap::new());
        Self { after, counts: Vec::new(), counted: BTreeMap::new(), learned: BTreeMap::new(), picked, carried }
    }

    /// What is wrong for the pods of a machine if it stands as `stand` instead.
    pub fn first_misfit(&mut self, host: usize, stand: &Stand<'b>) -> Option<Misfit> {
        let mut found = Vec::new();
        self.spread(host, stand, &mut found);
        self.anti_affinity(host, stand, &mut found);
        self.kept_away(host, stand, &mut found);
        self.affinity_of(host, stand, &mut found);
        found.into_iter().next().map(|(_, misfit)| misfit)
    }

    /// Hard spread constraints of the pods the plan puts on a machine. They hold if they do for the last to come of those
    /// who spread so, everybody else being elsewhere already.
    fn spread(&mut self, host: usize, stand: &Stand<'b>, found: &mut Vec<(usize, Misfit)>) {
        let after = self.after;
        for cell in after.cells_of(host) {
            let Some(group) = cell.group else { continue };
            for spread in cell.shape.spreads.iter().filter(|spread| spread.hard) {
                let at = self.learn(group, spread);
                let counts = self.counts_with(at, (cell.shape, spread), (host, stand));
                let domain = stand.label(&spread.key);
                let here = domain.and_then(|domain| counts.get(domain)).map_or(0, |crowd| crowd.early);
                let least = least(spread, &counts, &self.learned[&(group, std::ptr::from_ref(spread))].1);
                if domain.is_none() || here - least > i64::from(spread.max_skew) {
                    let (pod, key) = (cell.pods[0].clone(), spread.key.clone());
                    found.push((host, Misfit::Spread { pod, key, here, least, max_skew: spread.max_skew }));
                }
            }
        }
    }

    /// Sees to it that the counts of a constraint, and the domains that buying could bring, are there to be read. Returns
    /// the place of the counts.
    fn learn(&mut self, group: usize, spread: &'b Spread) -> usize {
        if let Some((at, _)) = self.learned.get(&(group, std::ptr::from_ref(spread))) {
            return *at;
        }
        let after = self.after;
        let shape = &*after.snapshot.groups[group].shape;
        let counted = Counted::of(shape, spread);
        let at = self.counted.get(&counted).copied().unwrap_or_else(|| {
            let mut counts = Counts::new();
            for (other, machine) in after.hosts.iter().enumerate() {
                if let Some(domain) = self.domain(shape, spread, (other, &machine.stand())) {
                    self.count(shape, spread, other, 1, counts.entry(domain).or_default());
                }
            }
            self.counts.push(counts);
            self.counted.insert(counted, self.counts.len() - 1);
            self.counts.len() - 1
        });
        let new = |value: &str| !self.counts[at].contains_key(value);
        let hosts = *spread.key == *HOSTNAME;
        let to_buy = if hosts { Vec::new() } else { market::values(&after.market, shape, &spread.key, new) };
        self.learned.insert((group, std::ptr::from_ref(spread)), (at, to_buy));
        at
    }

    /// How many matching pods each domain has when one machine stands so. A domain that it leaves stays one.
    fn counts_with(
        &self,
        at: usize,
        (shape, spread): (&'b PodShape, &'b Spread),
        (host, stand): (usize, &Stand<'b>),
    ) -> Cow<'_, Counts<'b>> {
        let counts = &self.counts[at];
        let own = self.domain(shape, spread, (host, &self.after.hosts[host].stand()));
        let other = self.domain(shape, spread, (host, stand));
        if own == other {
            return Cow::Borrowed(counts);
        }
        let mut counts = counts.clone();
        for (domain, sign) in [(own, -1), (other, 1)] {
            if let Some(domain) = domain {
                self.count(shape, spread, host, sign, counts.entry(domain).or_default());
            }
        }
        Cow::Owned(counts)
    }

    /// The domain of a machine, if the constraint looks at such machines.
    fn domain(&self, shape: &PodShape, spread: &Spread, (host, stand): (usize, &Stand<'b>)) -> Option<&'b str> {
        let domain = stand.label(&spread.key)?;
        let tolerated = || untolerated(self.after.hosts[host].taints, &shape.tolerations, false).is_none();
        let looked_at = (!spread.honor_affinity || stand.wanted_by(shape)) && (!spread.honor_taints || tolerated());
        looked_at.then_some(domain)
    }

    /// Adds the matching pods of a machine.
    fn count(&self, shape: &'b PodShape, spread: &'b Spread, host: usize, sign: i64, crowd: &mut Crowd) {
        let counted = |cell: &&Cell| !cell.terminating && spread.counts(&shape.namespace, cell.shape);
        for cell in self.after.cells_of(host).filter(counted) {
            let n = sign * i64::try_from(cell.pods.len()).unwrap_or(i64::MAX);
            crowd.all += n;
            if cell.group.is_none() || Counted::of(shape, spread).binds(cell.shape) {
                crowd.early += n;
            }
        }
    }

    fn cells_picked(&mut self, term: &'b PodTerm) -> &BTreeMap<&'b str, Vec<usize>> {
        if !self.picked.contains_key(term) {
            let mut by_domain: BTreeMap<&'b str, Vec<usize>> = BTreeMap::new();
            let picked = |cell: &Cell| !cell.terminating && term.picks(cell.shape);
            for (at, cell) in self.after.cells.iter().enumerate().filter(|(_, cell)| picked(cell)) {
                if let Some(domain) = self.after.hosts[cell.host].stand().label(&term.key) {
                    by_domain.entry(domain).or_default().push(at);
                }
            }
            self.picked.insert(term, by_domain);
        }
        &self.picked[term]
    }

    /// The cells that a term picks in the domain of a machine that stands so, its own included.
    fn near(
        &mut self,
        term: &'b PodTerm,
        host: usize,
        stand: &Stand<'b>,
    ) -> impl Iterator<Item = usize> + use<'a, 'b, '_> {
        let after = self.after;
        let domain = stand.label(&term.key);
        let picked = domain.and_then(|domain| self.cells_picked(term).get(domain));
        let others = picked.into_iter().flatten().copied().filter(move |other| after.cells[*other].host != host);
        let own = after.hosts[host].cells.iter().copied().filter(move |_| domain.is_some());
        own.filter(move |at| !after.cells[*at].terminating && term.picks(after.cells[*at].shape)).chain(others)
    }

    /// Nobody the pods of a machine keep away from is near.
    fn anti_affinity(&mut self, host: usize, stand: &Stand<'b>, found: &mut Vec<(usize, Misfit)>) {
        let after = self.after;
        for &at in &after.hosts[host].cells {
            let cell = &after.cells[at];
            for term in cell.shape.anti_affinity.iter().filter(|_| !cell.terminating) {
                for other in self.near(term, host, stand) {
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

    /// The cells that carry an anti-affinity term, by the domain they are in.
    fn carriers(&mut self, term: &'b PodTerm) -> &BTreeMap<&'b str, Vec<usize>> {
        if !self.carried.contains_key(term) {
            let mut by_domain: BTreeMap<&'b str, Vec<usize>> = BTreeMap::new();
            let carries = |cell: &Cell| !cell.terminating && cell.shape.anti_affinity.contains(term);
            for (at, cell) in self.after.cells.iter().enumerate().filter(|(_, cell)| carries(cell)) {
                if let Some(domain) = self.after.hosts[cell.host].stand().label(&term.key) {
                    by_domain.entry(domain).or_default().push(at);
                }
            }
            self.carried.insert(term, by_domain);
        }
        &self.carried[term]
    }

    /// Nobody near keeps away from the pods of a machine.
    fn kept_away(&mut self, host: usize, stand: &Stand<'b>, found: &mut Vec<(usize, Misfit)>) {
        let after = self.after;
        for term in after.anti_terms.iter().copied() {
            let picked: Vec<&Cell> = after.cells_of(host).filter(|cell| term.picks(cell.shape)).collect();
            let Some(domain) = stand.label(&term.key).filter(|_| !picked.is_empty()) else { continue };
            for &at in self.carriers(term).get(domain).into_iter().flatten() {
                let other = &after.cells[at];
                let ours = |cell: &&&Cell| other.host != host && (cell.group.is_some() || other.group.is_some());
                if let Some(hit) = picked.iter().find(ours) {
                    let (pod, other) = (hit.pods[0].clone(), other.pods[0].clone());
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
            there[at] = self.unmet_here(at, &there, true).is_none();
        }
        for (at, cell) in after.cells.iter().enumerate() {
            there[at] |= !waits(cell);
        }
        let mut waiting: Vec<usize> = (0..after.cells.len()).filter(|at| !there[*at]).collect();
        loop {
            let before = waiting.len();
            waiting.retain(|&at| {
                there[at] = self.unmet_here(at, &there, false).is_none();
                !there[at]
            });
            if waiting.len() == before {
                let Some(place) = waiting.iter().position(|&at| self.unmet_here(at, &there, true).is_none()) else {
                    break;
                };
                there[waiting.remove(place)] = true;
            }
        }
        waiting.into_iter().filter_map(|at| Some((at, self.unmet_here(at, &there, true)?))).collect()
    }

    fn unmet_here(&mut self, at: usize, there: &[bool], may_be_first: bool) -> Option<&'b str> {
        let stand = self.after.hosts[self.after.cells[at].host].stand();
        self.unmet(at, &stand, there, may_be_first)
    }

    /// The key of the first affinity term of a cell that finds nobody among the cells that are `there`.
    fn unmet(&mut self, at: usize, stand: &Stand<'b>, there: &[bool], may_be_first: bool) -> Option<&'b str> {
        let after = self.after;
        let cell = &after.cells[at];
        for term in &cell.shape.affinity {
            if self.near(term, cell.host, stand).any(|other| there[other]) {
                continue;
            }
            let anywhere = self.cells_picked(term).values().flatten().any(|other| there[*other]);
            if !may_be_first || anywhere || stand.label(&term.key).is_none() || !term.picks(cell.shape) {
                return Some(&term.key);
            }
        }
        None
    }

    /// The pods of a machine that stands so still find the others they need.
    fn affinity_of(&mut self, host: usize, stand: &Stand<'b>, found: &mut Vec<(usize, Misfit)>) {
        let after = self.after;
        let needy = |at: &&usize| after.cells[**at].group.is_some() && !after.cells[**at].shape.affinity.is_empty();
        for &at in after.hosts[host].cells.iter().filter(needy) {
            let cell = &after.cells[at];
            let mut there = vec![true; after.cells.len()];
            there[at] = cell.pods.len() > 1;
            if let Some(key) = self.unmet(at, stand, &there, true) {
                found.push((host, Misfit::Affinity { pod: cell.pods[0].clone(), key: key.into() }));
            }
        }
    }
}

/// The least count as the constraint sees it: for hosts, a machine still to be bought is an empty domain.
fn least(spread: &Spread, counts: &Counts, to_buy: &[&str]) -> i64 {
    let new = to_buy.iter().filter(|value| !counts.contains_key(**value)).count();
    let few = spread.min_domains.is_some_and(|most| counts.len() + new < most as usize);
    let none = few || new > 0 || *spread.key == *HOSTNAME;
    if none { 0 } else { counts.values().map(|crowd| crowd.all).min().unwrap_or(0) }
}
