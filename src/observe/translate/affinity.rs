//! Node affinity, pod affinity and spread.

use std::collections::BTreeSet;

use planner::model::pod::{PodTerm, Spread};
use planner::model::selector::{LabelSelector, SelectorOperator};
use planner::model::{Labels, Requirements, Str};

use super::super::error::InputError;
use super::super::k8s;
use super::super::k8s::pod::{PodAffinityTerm, SpreadConstraint};
use super::at::At;
use super::labels::{fold_keys, node_key, node_term, selector};
use super::world::World;

/// Whose affinity is translated.
pub(super) struct Of<'a> {
    pub(super) at: &'a At<'a>,
    pub(super) namespace: &'a str,
    pub(super) labels: &'a Labels,
    pub(super) world: &'a World<'a>,
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Required node affinity: one of the terms must hold. Terms with `matchFields` select no node that is still to come.
pub(super) fn node_terms(at: &At<'_>, spec: &k8s::PodSpec) -> Result<Option<Vec<Requirements>>, InputError> {
    let Some(required) = &spec.affinity.node_affinity.required else { return Ok(None) };
    let mut out = Vec::new();
    for (index, term) in required.node_selector_terms.iter().enumerate() {
        let field = format!("affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms[{index}]");
        let translated = node_term(at, &field, term)?;
        if term.match_fields.is_empty() {
            out.extend(translated);
        }
    }
    Ok(Some(out))
}

/// Preferred node affinity, heaviest first; terms without conditions prefer nothing.
pub(super) fn preferred_node_terms(at: &At<'_>, spec: &k8s::PodSpec) -> Result<Vec<(i32, Requirements)>, InputError> {
    let mut out = Vec::new();
    for (index, preferred) in spec.affinity.node_affinity.preferred.iter().enumerate() {
        let field = format!("affinity.nodeAffinity.{PREFERRED}[{index}]");
        let weight = weight(at, &field, preferred.weight)?;
        if let Some(term) = node_term(at, &format!("{field}.preference"), &preferred.preference)? {
            out.push((weight, term));
        }
    }
    out.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    Ok(out)
}

fn weight(at: &At<'_>, field: &str, weight: i64) -> Result<i32, InputError> {
    i32::try_from(weight).ok().filter(|weight| (1..=100).contains(weight)).ok_or_else(|| {
        let remedy = "write a weight from 1 to 100";
        at.fault(format!("{field}.weight"), &weight.to_string(), "is out of range").remedy(remedy)
    })
}

impl Of<'_> {
    /// Required terms of `podAffinity` or `podAntiAffinity`.
    pub(super) fn required(&self, name: &str, affinity: &k8s::pod::PodAffinity) -> Result<Vec<PodTerm>, InputError> {
        let field = |index| format!("affinity.{name}.{REQUIRED}[{index}]");
        affinity.required.iter().enumerate().map(|(index, term)| self.term(&field(index), term)).collect()
    }

    /// Preferred terms, heaviest first.
    pub(super) fn preferred(
        &self,
        name: &str,
        affinity: &k8s::pod::PodAffinity,
    ) -> Result<Vec<(i32, PodTerm)>, InputError> {
        let mut out = Vec::new();
        for (index, preferred) in affinity.preferred.iter().enumerate() {
            let field = format!("affinity.{name}.{PREFERRED}[{index}]");
            let weight = weight(self.at, &field, preferred.weight)?;
            out.push((weight, self.term(&format!("{field}.podAffinityTerm"), &preferred.pod_affinity_term)?));
        }
        out.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        Ok(out)
    }

    fn term(&self, field: &str, term: &PodAffinityTerm) -> Result<PodTerm, InputError> {
        self.topology_key(field, &term.topology_key)?;
        let mut picks = self.selector(&format!("{field}.labelSelector"), term.label_selector.as_ref())?;
        if let Some(picks) = &mut picks {
            fold_keys(picks, &term.match_label_keys, self.labels, SelectorOperator::In);
            fold_keys(picks, &term.mismatch_label_keys, self.labels, SelectorOperator::NotIn);
        }
        let mut namespaces: BTreeSet<Str> = term.namespaces.iter().cloned().collect();
        match &term.namespace_selector {
            Some(wanted) => {
                let wanted = selector(self.at, &format!("{field}.namespaceSelector"), wanted)?;
                namespaces.extend(self.world.namespaces_where(&wanted));
            }
            None if namespaces.is_empty() => drop(namespaces.insert(self.namespace.into())),
            None => {}
        }
        Ok(PodTerm { key: node_key(&term.topology_key).into(), namespaces, selector: picks })
    }

    fn topology_key(&self, field: &str, key: &str) -> Result<(), InputError> {
        if !key.is_empty() {
            return Ok(());
        }
        let remedy = "name a node label, such as topology.kubernetes.io/zone or kubernetes.io/hostname";
        Err(self.at.fault(format!("{field}.topologyKey"), "", "is missing").remedy(remedy))
    }

    fn selector(&self, field: &str, wanted: Option<&k8s::LabelSelector>) -> Result<Option<LabelSelector>, InputError> {
        wanted.map(|wanted| selector(self.at, field, wanted)).transpose()
    }

    /// `topologySpreadConstraints`.
    pub(super) fn spreads(&self, constraints: &[SpreadConstraint]) -> Result<Vec<Spread>, InputError> {
        let field = |index| format!("topologySpreadConstraints[{index}]");
        constraints.iter().enumerate().map(|(index, c)| self.spread(&field(index), c)).collect()
    }

    fn spread(&self, field: &str, c: &SpreadConstraint) -> Result<Spread, InputError> {
        self.topology_key(field, &c.topology_key)?;
        let positive = |name: &str, value: i64| {
            u32::try_from(value).ok().filter(|v| *v > 0).ok_or_else(|| {
                let place = format!("{field}.{name}");
                self.at.fault(place, &value.to_string(), "is out of range").remedy("write a whole number from 1")
            })
        };
        let most = c.max_skew.ok_or_else(|| {
            let remedy = "write how many pods one domain may be ahead of another: a whole number from 1";
            self.at.fault(format!("{field}.maxSkew"), "", "is missing").remedy(remedy)
        })?;
        let one_of = |name: &str, value: &str, known: [&str; 2], default: bool| match value {
            "" => Ok(default),
            value if value == known[0] => Ok(true),
            value if value == known[1] => Ok(false),
            other => Err(self
                .at
                .fault(format!("{field}.{name}"), other, "is not known")
                .remedy(format!("use {} or {}", known[0], known[1]))),
        };
        let mut counted = self.selector(&format!("{field}.labelSelector"), c.label_selector.as_ref())?;
        if c.match_label_keys.iter().any(|key| self.labels.contains_key(key)) {
            fold_keys(counted.get_or_insert_default(), &c.match_label_keys, self.labels, SelectorOperator::In);
        }
        Ok(Spread {
            key: node_key(&c.topology_key).into(),
            max_skew: positive("maxSkew", most)?,
            min_domains: c.min_domains.map(|n| positive("minDomains", n)).transpose()?,
            hard: one_of("whenUnsatisfiable", &c.when_unsatisfiable, ["DoNotSchedule", "ScheduleAnyway"], true)?,
            selector: counted,
            honor_affinity: one_of("nodeAffinityPolicy", &c.node_affinity_policy, ["Honor", "Ignore"], true)?,
            honor_taints: one_of("nodeTaintsPolicy", &c.node_taints_policy, ["Honor", "Ignore"], false)?,
        })
    }
}
