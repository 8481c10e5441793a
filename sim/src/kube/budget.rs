//! Which pods each `PodDisruptionBudget` selects, and which budgets have to be worked out again.

use std::collections::{BTreeMap, BTreeSet};

use super::object::{Key, Object, text};
use super::resource::Id;
use super::selector::LabelSelector;
use super::store::Store;

/// Budgets with the pods that they select.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    pub budgets: BTreeMap<Key, Budget>,
    /// Those whose status has to be worked out again.
    pub dirty: BTreeSet<Key>,
}

/// A budget's pods.
#[derive(Debug)]
pub(super) struct Budget {
    selector: LabelSelector,
    pub pods: BTreeMap<Key, Selected>,
}

/// What counts of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selected {
    pub is_healthy: bool,
    /// Kind, name and uid of the controller.
    pub controller: Option<(String, String, String)>,
}

impl Budgets {
    /// Takes note of a change.
    pub fn observe(&mut self, store: &Store, id: Id, old: Option<&Object>, new: Option<&Object>) {
        let Some(object) = new.or(old) else { return };
        match id {
            Id::POD => self.pod(old, new),
            Id::PDB => self.budget(store, &object.key(), old, new),
            Id::DEPLOYMENT | Id::REPLICA_SET | Id::STATEFUL_SET => {
                let replicas = |object: Option<&Object>| object.and_then(|o| o.at("/spec/replicas").cloned());
                if replicas(old) != replicas(new) {
                    let of_namespace = self.budgets.keys().filter(|key| key.namespace == object.namespace());
                    self.dirty.extend(of_namespace.cloned());
                }
            }
            _ => {}
        }
    }

    fn pod(&mut self, old: Option<&Object>, new: Option<&Object>) {
        let Some(pod) = new.or(old) else { return };
        if self.budgets.is_empty() {
            return;
        }
        let key = pod.key();
        let start = Key::new(key.namespace.as_str(), "");
        let of_namespace = self.budgets.range_mut(start..).take_while(|(budget, _)| budget.namespace == key.namespace);
        for (budget_key, budget) in of_namespace {
            let selected = new.filter(|pod| budget.selector.matches(pod.labels())).map(selected);
            let before = match &selected {
                Some(selected) => budget.pods.insert(key.clone(), selected.clone()),
                None => budget.pods.remove(&key),
            };
            if before != selected {
                self.dirty.insert(budget_key.clone());
            }
        }
    }

    fn budget(&mut self, store: &Store, key: &Key, old: Option<&Object>, new: Option<&Object>) {
        let Some(new) = new else {
            self.budgets.remove(key);
            self.dirty.remove(key);
            return;
        };
        if old.is_some_and(|old| old.at("/spec") == new.at("/spec")) {
            return;
        }
        // No selector selects nothing, an empty one everything.
        let selector = new.at("/spec/selector").map(LabelSelector::from_value);
        let pods = store.iter(Id::POD, Some(&key.namespace));
        let pods = pods.filter(|pod| selector.as_ref().is_some_and(|selector| selector.matches(pod.labels())));
        let pods = pods.map(|pod| (pod.key(), selected(pod))).collect();
        if let Some(selector) = selector {
            self.budgets.insert(key.clone(), Budget { selector, pods });
            self.dirty.insert(key.clone());
        }
    }

    /// The budgets that select the pod.
    pub fn of_pod(&self, pod: &Key) -> Vec<Key> {
        let start = Key::new(pod.namespace.as_str(), "");
        let of_namespace = self.budgets.range(start..).take_while(|(budget, _)| budget.namespace == pod.namespace);
        of_namespace.filter(|(_, budget)| budget.pods.contains_key(pod)).map(|(key, _)| key.clone()).collect()
    }
}

fn selected(pod: &Object) -> Selected {
    let controller = pod.owners().find(|owner| owner["controller"] == true);
    let controller = controller.map(|owner| {
        (text(owner, "/kind").to_owned(), text(owner, "/name").to_owned(), text(owner, "/uid").to_owned())
    });
    Selected { is_healthy: is_healthy(pod), controller }
}

/// Ready, and not on its way out.
pub(super) fn is_healthy(pod: &Object) -> bool {
    !pod.is_deleting() && pod.is_condition_true("Ready")
}
