//! Who counts where: counters of pods per domain, and the constraints of a group that read them.

use std::collections::{BTreeMap, BTreeSet};

use super::dims::fits;
use super::host::Host;
use super::shelf::{Matching, Shelf};
use crate::model::labels::HOSTNAME;
use crate::model::pod::{PodTerm, Spread};
use crate::model::selector::LabelSelector;
use crate::model::taint::untolerated;
use crate::model::{PodShape, Requirements, Str, Toleration};

/// Namespaces named in one message.
const MOST_NAMESPACES: usize = 4;

/// Which pods a counter counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// Pods of these namespaces that the selector picks.
    Picked { namespaces: BTreeSet<Str>, selector: Option<LabelSelector> },
    /// Pods that carry this required anti-affinity term.
    Carriers(PodTerm),
}

/// Nodes whose pods count, where a spread constraint leaves some out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NodeFilter {
    affinity: Option<(Requirements, Option<Vec<Requirements>>)>,
    tolerations: Option<Vec<Toleration>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    key: usize,
    what: What,
    filter: Option<NodeFilter>,
    terminating: bool,
}

/// Counts of some pods by the value of one label of their node.
pub(crate) struct Counter {
    id: Identity,
    /// Index of its label key.
    pub(crate) key: usize,
    /// Per shelf, the choices whose nodes count (`None`: all).
    pub(crate) passing: Option<Vec<fixedbitset::FixedBitSet>>,
    /// Some pod spreads by it, or wishes to.
    pub(crate) spread_over: bool,
    /// Some pod has to spread by it.
    pub(crate) binding: bool,
}

/// What a constraint demands of the domain a pod goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    Spread { max_skew: u32, min_domains: u32 },
    Affinity,
    AntiAffinity,
}

/// One constraint of a group.
#[derive(Clone, Debug)]
pub(crate) struct Constraint {
    pub(crate) demand: Demand,
    pub(crate) counter: usize,
    pub(crate) key: usize,
    /// A pod of the group adds to the counter wherever it goes.
    pub(crate) counts_itself: bool,
    /// Domains that can be (spread over anything but hosts).
    pub(crate) universe: std::sync::Arc<Vec<u32>>,
}

/// Label keys and values of topologies as numbers, and all counters.
#[derive(Default)]
pub(crate) struct Topology {
    keys: Vec<Str>,
    values: Vec<BTreeMap<Str, u32>>,
    names: Vec<Vec<Str>>,
    pub(crate) counters: Vec<Counter>,
    by_identity: BTreeMap<Identity, usize>,
}

impl Topology {
    /// The number of a key.
    pub(crate) fn key(&mut self, key: &Str) -> usize {
        if let Some(at) = self.keys.iter().position(|k| k == key) {
            return at;
        }
        self.keys.push(key.clone());
        self.values.push(BTreeMap::new());
        self.names.push(Vec::new());
        self.keys.len() - 1
    }

    /// Label key by number.
    pub(crate) fn key_name(&self, key: usize) -> &Str {
        &self.keys[key]
    }

    /// How many keys there are.
    pub(crate) fn n_keys(&self) -> usize {
        self.keys.len()
    }

    /// Is this the key that every node has for itself?
    pub(crate) fn is_host(&self, key: usize) -> bool {
        *self.keys[key] == *HOSTNAME
    }

    /// The number of a value of a key.
    pub(crate) fn domain(&mut self, key: usize, value: &Str) -> u32 {
        if let Some(at) = self.values[key].get(value) {
            return *at;
        }
        let at = self.names[key].len() as u32;
        self.names[key].push(value.clone());
        self.values[key].insert(value.clone(), at);
        at
    }

    /// The number of a value seen before.
    pub(crate) fn known_domain(&self, key: usize, value: &str) -> Option<u32> {
        self.values[key].get(value).copied()
    }

    /// A value by number.
    pub(crate) fn domain_name(&self, key: usize, domain: u32) -> &Str {
        &self.names[key][domain as usize]
    }

    fn counter(&mut self, id: Identity, shelves: &[Shelf]) -> usize {
        if let Some(at) = self.by_identity.get(&id) {
            return *at;
        }
        let passing = id.filter.as_ref().map(|filter| shelves.iter().map(|shelf| filter.choices(shelf)).collect());
        self.counters.push(Counter { key: id.key, passing, spread_over: false, binding: false, id: id.clone() });
        self.by_identity.insert(id, self.counters.len() - 1);
        self.counters.len() - 1
    }

    /// The counter behind a spread constraint of a pod of this shape.
    pub(crate) fn spread_counter(&mut self, shape: &PodShape, spread: &Spread, shelves: &[Shelf]) -> usize {
        let filter = NodeFilter {
            affinity: spread.honor_affinity.then(|| (shape.node_selector.clone(), shape.node_terms.clone())),
            tolerations: spread.honor_taints.then(|| shape.tolerations.clone()),
        };
        let selects_nodes = filter.affinity.as_ref().is_some_and(|(s, t)| !s.is_empty() || t.is_some());
        let filter = (selects_nodes || filter.tolerations.is_some()).then_some(filter);
        let what =
            What::Picked { namespaces: BTreeSet::from([shape.namespace.clone()]), selector: spread.selector.clone() };
        let key = self.key(&spread.key);
        let counter = self.counter(Identity { key, what, filter, terminating: false }, shelves);
        self.counters[counter].spread_over = true;
        self.counters[counter].binding |= spread.hard;
        counter
    }

    /// The counter of pods an (anti-)affinity term picks.
    pub(crate) fn term_counter(&mut self, term: &PodTerm, anti: bool, shelves: &[Shelf]) -> usize {
        let what = What::Picked { namespaces: term.namespaces.clone(), selector: term.selector.clone() };
        let key = self.key(&term.key);
        self.counter(Identity { key, what, filter: None, terminating: anti }, shelves)
    }

    /// The counter of pods that carry an anti-affinity term.
    pub(crate) fn carrier_counter(&mut self, term: &PodTerm, shelves: &[Shelf]) -> usize {
        let key = self.key(&term.key);
        self.counter(Identity { key, what: What::Carriers(term.clone()), filter: None, terminating: true }, shelves)
    }

    /// The counters a pod of this shape adds to. Terminating pods count only against anti-affinity.
    pub(crate) fn counting(&self, shape: &PodShape, terminating: bool) -> Vec<usize> {
        let counts = |counter: &Counter| {
            (counter.id.terminating || !terminating)
                && match &counter.id.what {
                    What::Picked { namespaces, selector } => {
                        namespaces.contains(&shape.namespace)
                            && selector.as_ref().is_some_and(|s| s.matches(&shape.labels))
                    }
                    What::Carriers(term) => shape.anti_affinity.contains(term),
                }
        };
        (0..self.counters.len()).filter(|at| counts(&self.counters[*at])).collect()
    }

    /// The pods of a counter, in words.
    pub(crate) fn picked(&self, counter: usize) -> String {
        let (namespaces, selector, those) = match &self.counters[counter].id.what {
            What::Picked { namespaces, selector } => (namespaces, selector, "a pod"),
            What::Carriers(term) => {
                (&term.namespaces, &term.selector, "one whose own anti-affinity keeps away from pods")
            }
        };
        let labels = match selector.as_ref().map(ToString::to_string) {
            None => " that nothing selects".to_string(),
            Some(all) if all.is_empty() => String::new(),
            Some(labels) => format!(" with {labels}"),
        };
        let first: Vec<&str> = namespaces.iter().take(MOST_NAMESPACES).map(AsRef::as_ref).collect();
        let more = namespaces.len().saturating_sub(MOST_NAMESPACES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let word = if namespaces.len() == 1 { "namespace" } else { "namespaces" };
        format!("{those}{labels} in {word} {}{more}", first.join(", "))
    }

    /// Do pods on this node count for the counter?
    pub(crate) fn host_passes(&self, counter: usize, host: &Host) -> bool {
        self.counters[counter].id.filter.as_ref().is_none_or(|filter| filter.passes(host))
    }

    /// Domains of a spread constraint: where such a pod could run now, and where a node for it can be bought.
    /// `affine`: per shelf, the choices that its node selector and affinity allow (`None`: a taint keeps it out).
    pub(crate) fn universe(
        &mut self,
        shape: &PodShape,
        spread: &Spread,
        need: &[i64],
        (hosts, bought): ([&[Host]; 2], &[crate::plan::Launch]),
        shelves: &[Shelf],
        affine: &[Option<Vec<Matching>>],
    ) -> Vec<u32> {
        let key = self.key(&spread.key);
        let mut found: BTreeSet<Str> = BTreeSet::new();
        let there = hosts.into_iter().flatten().map(|host| (host.labels, host.taints));
        for (labels, taints) in there.chain(bought.iter().map(|launch| (&*launch.labels, launch.taints.as_slice()))) {
            let Some(value) = labels.get(&spread.key) else { continue };
            let counts = (!spread.honor_affinity || shape.wants(labels))
                && (!spread.honor_taints || untolerated(taints, &shape.tolerations, false).is_none());
            if counts {
                found.insert(value.clone());
            }
        }
        for (shelf, affine) in shelves.iter().zip(affine) {
            let Some(alternatives) = affine else { continue };
            let all = [Matching { mask: shelf.sellable.clone(), open: Requirements::new() }];
            for alternative in if spread.honor_affinity { alternatives.as_slice() } else { all.as_slice() } {
                let mut mask = fixedbitset::FixedBitSet::with_capacity(shelf.choices.len());
                for room in shelf.rooms.iter().filter(|room| fits(need, &room.net)) {
                    mask.union_with(&room.choices);
                }
                mask.intersect_with(&alternative.mask);
                mask.intersect_with(&shelf.sellable);
                if mask.is_clear() {
                    continue;
                }
                match shelf.open.get(&spread.key) {
                    Some(open) => {
                        let asked =
                            alternative.open.get(&spread.key).map_or_else(|| open.clone(), |r| r.intersect(open));
                        found.extend(asked.concrete().into_iter().flatten().cloned());
                        found.extend(shelf.values_had(&mask, &spread.key));
                    }
                    None => found.extend(shelf.values(&mask, &spread.key)),
                }
            }
        }
        found.iter().map(|value| self.domain(key, value)).collect()
    }
}

impl NodeFilter {
    fn passes(&self, host: &Host) -> bool {
        let wanted = self.affinity.as_ref().is_none_or(|(selector, terms)| {
            selector.allow(host.labels) && terms.as_ref().is_none_or(|terms| terms.iter().any(|t| t.allow(host.labels)))
        });
        wanted && self.tolerations.as_ref().is_none_or(|t| untolerated(host.taints, t, false).is_none())
    }

    fn choices(&self, shelf: &Shelf) -> fixedbitset::FixedBitSet {
        let none = fixedbitset::FixedBitSet::with_capacity(shelf.choices.len());
        if self.tolerations.as_ref().is_some_and(|t| untolerated(&shelf.pool.taints, t, false).is_some()) {
            return none;
        }
        let Some((selector, terms)) = &self.affinity else { return shelf.all() };
        let mut mask = shelf.matching(selector).mask;
        if let Some(terms) = terms {
            let mut any = none;
            for term in terms {
                any.union_with(&shelf.matching(term).mask);
            }
            mask.intersect_with(&any);
        }
        mask
    }
}
