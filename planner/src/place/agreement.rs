//! The one change after which a pod and a pool would agree on a label.

use super::reasons::Case;
use crate::model::{Requirement, Str, labels};

/// A label key as people speak of it.
pub(super) fn spoken(key: &str) -> &str {
    match key {
        labels::ZONE => "zone",
        labels::CAPACITY_TYPE => "capacity type",
        _ => key,
    }
}

impl Case<'_, '_, '_> {
    /// Every value of a label that something the pool's class sells has; a value may come several times.
    pub(super) fn values_sold<'k>(&'k self, key: &'k str) -> impl Iterator<Item = &'k str> {
        self.goods().pool.types.iter().flat_map(move |t| {
            let of_offering = move |o: &'k crate::model::Offering| match key {
                labels::ZONE => Some(&*o.zone),
                labels::CAPACITY_TYPE => Some(o.capacity_type.as_str()),
                _ => o.labels.get(key).map(AsRef::as_ref),
            };
            let of_type: Option<&'k str> = t.labels.get(key).map(AsRef::as_ref);
            of_type.into_iter().chain(t.offerings.iter().filter_map(of_offering))
        })
    }

    /// What would have to change for the pool to have what is asked, or for the pod to ask for what the pool has.
    pub(super) fn agreement(&self, asked: &Requirement) -> String {
        let pool = self.goods().pool;
        let offered = || self.goods().open.get(&asked.key).or_else(|| pool.requirements.get(&asked.key));
        match (pool.labels.get(&asked.key), offered()) {
            (Some(value), _) => self.with_label(asked, value),
            (None, Some(offered)) => self.with_requirement(asked, offered),
            (None, None) => format!("{} not asked for", asked.key),
        }
    }

    /// The pool gives its nodes one value.
    fn with_label(&self, asked: &Requirement, value: &str) -> String {
        let (key, pool) = (&asked.key, self.pool());
        if **key == *labels::NODEPOOL {
            return format!("{key} {value} allowed by the pod");
        }
        match asked.any("").filter(|wanted| !wanted.is_empty()) {
            Some(wanted) => format!("label {key}={value} → {key}={wanted} on NodePool {pool}"),
            None if asked.concrete().is_some() => format!("label {key} left off NodePool {pool}"),
            None => format!("another value of label {key} on NodePool {pool}"),
        }
    }

    /// The pool allows its nodes some values.
    fn with_requirement(&self, asked: &Requirement, offered: &Requirement) -> String {
        let (key, pool, what) = (&asked.key, self.pool(), spoken(&asked.key));
        let is_open = self.goods().open.get(key).is_some();
        if asked.concrete().is_some_and(std::collections::BTreeSet::is_empty) {
            return if is_open {
                format!("no requirement on {key} in NodePool {pool}")
            } else {
                format!("{what} allowed by the pod")
            };
        }
        let value: Option<Str> = if is_open {
            asked.any("").filter(|value| !value.is_empty())
        } else {
            self.values_sold(key).filter(|value| asked.has(value)).min().map(Into::into)
        };
        match (value, offered.concrete()) {
            (Some(value), Some(listed)) if listed.is_empty() => {
                format!("{key} DoesNotExist → In [{value}] in NodePool {pool}")
            }
            (Some(value), Some(_)) => format!("{what} {value} added to NodePool {pool}"),
            (Some(value), None) => format!("{what} {value} allowed by NodePool {pool}"),
            (None, _) if is_open => format!("another value of {key} allowed by NodePool {pool}"),
            // Nobody sells what is asked for, so a change of the pool alone does not help.
            (None, _) => match self.values_sold(key).filter(|value| offered.has(value)).min() {
                Some(value) => format!("{what} {value} asked for by the pod"),
                None => format!("another {what} asked for by the pod"),
            },
        }
    }
}
