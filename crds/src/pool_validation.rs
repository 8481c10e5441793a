//! What the schema cannot say of a pool: names of labels, and how its taints and requirements go together. The
//! controller looks at it on every change and reports it in the condition `ValidationSucceeded`.

use std::collections::{BTreeMap, BTreeSet};

use crate::names::{aws, core, kubernetes, kwok};
use crate::node_pool::NodePool;
use crate::requirement::{Operator, Requirement};
use crate::words;

/// Which labels may be spoken of. It depends on the cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRules {
    well_known: BTreeSet<&'static str>,
    /// Domains that may be used, with those below them, for well-known labels only.
    restricted_domains: Vec<&'static str>,
    /// The values of labels that have a closed set of them.
    known_values: BTreeMap<&'static str, Vec<&'static str>>,
}

impl LabelRules {
    /// The rules that hold in every cloud.
    pub fn core() -> Self {
        Self {
            well_known: core::WELL_KNOWN_LABELS.into_iter().chain(kubernetes::WELL_KNOWN_LABELS).collect(),
            restricted_domains: vec![core::GROUP],
            known_values: BTreeMap::from([(core::CAPACITY_TYPE, core::CAPACITY_TYPES.to_vec())]),
        }
    }

    pub fn aws() -> Self {
        let mut rules = Self::core();
        rules.well_known.extend(aws::WELL_KNOWN_LABELS);
        rules.restricted_domains.push(aws::GROUP);
        rules.known_values.insert(aws::INSTANCE_TENANCY, vec!["default", "dedicated"]);
        rules
    }

    pub fn kwok() -> Self {
        let mut rules = Self::core();
        rules.well_known.extend(kwok::WELL_KNOWN_LABELS);
        rules.restricted_domains.push(kwok::GROUP);
        rules
    }

    /// For what belongs to no cloud: the labels of every one are known.
    pub fn every_cloud() -> Self {
        let mut rules = Self::aws();
        let kwok = Self::kwok();
        rules.well_known.extend(kwok.well_known);
        rules.restricted_domains.push(kwok::GROUP);
        rules
    }

    /// The rules of the cloud whose node classes are of this API group.
    pub fn of_group(group: &str) -> Self {
        match group {
            aws::GROUP => Self::aws(),
            kwok::GROUP => Self::kwok(),
            _ => Self::core(),
        }
    }

    pub fn is_well_known(&self, key: &str) -> bool {
        self.well_known.contains(key)
    }

    /// Whether no user may state the label: the host name, and labels of a restricted domain that are not well-known.
    pub fn is_restricted(&self, key: &str) -> bool {
        if self.is_well_known(key) {
            return false;
        }
        let domain = key.split_once('/').map_or("", |(domain, _)| domain);
        let is_within = |restricted: &str| {
            domain == restricted || domain.strip_suffix(restricted).is_some_and(|rest| rest.ends_with('.'))
        };
        key == kubernetes::HOSTNAME || self.restricted_domains.iter().any(|restricted| is_within(restricted))
    }
}

/// Everything that is wrong with the pool, in the order of its fields; empty if it may be used. The condition's
/// message joins them with `"; "`.
pub fn validate(pool: &NodePool, rules: &LabelRules) -> Vec<String> {
    let template = &pool.spec.template;
    let mut errors = Vec::new();
    for (key, value) in template.metadata.labels.iter().flatten() {
        label(key, value, rules, &mut errors);
    }
    taints(pool, &mut errors);
    for requirement in &template.spec.requirements {
        let mut found = Vec::new();
        // A pool says no pool; others may.
        if kubernetes::normalized(&requirement.key) == core::NODE_POOL {
            found.push("the label is restricted".to_owned());
        }
        validate_requirement(requirement, rules, &mut found);
        let described = |error| format!("requirement {:?} {}: {error}", requirement.key, requirement.operator.as_str());
        errors.extend(found.into_iter().map(described));
    }
    errors
}

fn label(key: &str, value: &str, rules: &LabelRules, errors: &mut Vec<String>) {
    if key == core::NODE_POOL || rules.is_restricted(key) {
        errors.push(format!("label {key:?} is restricted"));
    }
    if let Err(why) = words::label_key(key) {
        errors.push(format!("label {key:?} is no label key: {why}"));
    }
    if let Err(why) = words::label_value(value) {
        errors.push(format!("label {key:?} has the value {value:?}, which is no label value: {why}"));
    }
}

fn taints(pool: &NodePool, errors: &mut Vec<String>) {
    let spec = &pool.spec.template.spec;
    let mut seen = BTreeSet::new();
    for taint in spec.taints.iter().flatten().chain(spec.startup_taints.iter().flatten()) {
        let effect = taint.effect.as_str();
        if let Err(why) = words::label_key(&taint.key) {
            errors.push(format!("taint {:?} is no taint key: {why}", taint.key));
        }
        if let Err(why) = words::label_value(&taint.value) {
            errors.push(format!("taint {:?} has the value {:?}, which is not allowed: {why}", taint.key, taint.value));
        }
        if !seen.insert((&taint.key, taint.effect)) {
            errors.push(format!("duplicate taint Key/Effect pair {}={effect}", taint.key));
        }
    }
}

/// What is wrong with one requirement. The same rules hold for the node selectors and required node affinities of
/// pods.
pub fn validate_requirement(requirement: &Requirement, rules: &LabelRules, errors: &mut Vec<String>) {
    let key = kubernetes::normalized(&requirement.key);
    let values = &requirement.values;
    if rules.is_restricted(key) {
        errors.push("the label is restricted".to_owned());
    }
    if let Err(why) = words::label_key(key) {
        errors.push(format!("this is no label key: {why}"));
    }
    let min_values = requirement.min_values.and_then(|min| usize::try_from(min).ok()).unwrap_or_default();
    match requirement.operator {
        Operator::In | Operator::NotIn => {
            for value in values {
                if let Err(why) = words::label_value(value) {
                    errors.push(format!("{value:?} is no label value: {why}"));
                }
            }
            if requirement.operator == Operator::In {
                known_values(key, values, min_values, rules, errors);
            }
        }
        Operator::Gt | Operator::Lt | Operator::Gte | Operator::Lte => {
            let is_number = |value: &String| value.parse::<i64>().is_ok_and(|number| number >= 0);
            if values.len() != 1 || !is_number(&values[0]) {
                errors.push(format!("it needs one whole number of at least 0, not {values:?}"));
            }
        }
        Operator::Exists | Operator::DoesNotExist => {}
    }
}

fn known_values(key: &str, values: &[String], min_values: usize, rules: &LabelRules, errors: &mut Vec<String>) {
    if values.is_empty() {
        errors.push("it needs a value".to_owned());
        return;
    }
    if values.len() < min_values {
        errors.push(format!("minValues asks for {min_values} values, of which {} are given", values.len()));
    }
    let Some(known) = rules.known_values.get(key) else { return };
    let n_known = values.iter().filter(|value| known.contains(&value.as_str())).count();
    if n_known == 0 {
        errors.push(format!("none of the values {values:?} exists, only {known:?} do"));
    } else if n_known < min_values {
        errors.push(format!("minValues asks for {min_values} values, of which {n_known} exist"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn errors(template: &Value) -> Vec<String> {
        let mut pool = json!({ "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": { "name": "p" },
            "spec": { "template": { "spec": { "requirements": [],
                "nodeClassRef": { "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "c" } } } } });
        for (field, value) in template.as_object().unwrap() {
            if field == "labels" {
                pool["spec"]["template"]["metadata"] = json!({ "labels": value });
            } else {
                pool["spec"]["template"]["spec"][field] = value.clone();
            }
        }
        validate(&serde_json::from_value(pool).unwrap(), &LabelRules::aws())
    }

    fn requirement(key: &str, operator: &str, values: &[&str]) -> Value {
        json!({ "requirements": [{ "key": key, "operator": operator, "values": values }] })
    }

    #[test]
    fn a_sound_pool_has_no_errors() {
        let template = json!({
            "labels": { "team": "a", "example.com/tier": "", "karpenter.sh/capacity-type": "spot" },
            "taints": [{ "key": "a", "effect": "NoSchedule" }, { "key": "a", "effect": "NoExecute" }],
            "startupTaints": [{ "key": "b", "effect": "NoSchedule" }],
            "requirements": [
                { "key": "karpenter.k8s.aws/instance-cpu", "operator": "Gt", "values": ["4"] },
                { "key": "beta.kubernetes.io/arch", "operator": "In", "values": ["amd64"] },
                { "key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot", "reserved", "moon"], "minValues": 2 },
                { "key": "team", "operator": "Exists" },
                { "key": "notkarpenter.sh/x", "operator": "Exists" }
            ]
        });
        assert_eq!(errors(&template), Vec::<String>::new());
    }

    #[test]
    fn labels_must_be_names_and_not_restricted() {
        let table = [
            (json!({ "kubernetes.io/hostname": "a" }), "label \"kubernetes.io/hostname\" is restricted"),
            (json!({ "karpenter.sh/nodepool": "a" }), "label \"karpenter.sh/nodepool\" is restricted"),
            (json!({ "sub.karpenter.sh/x": "a" }), "label \"sub.karpenter.sh/x\" is restricted"),
            (json!({ "karpenter.k8s.aws/x": "a" }), "label \"karpenter.k8s.aws/x\" is restricted"),
            (json!({ "-a": "a" }), "label \"-a\" is no label key"),
            (json!({ "A.com/a": "a" }), "label \"A.com/a\" is no label key"),
            (json!({ "a/b/c": "a" }), "label \"a/b/c\" is no label key"),
            (json!({ "a/": "a" }), "label \"a/\" is no label key"),
            (json!({ "a": "-" }), "label \"a\" has the value \"-\""),
        ];
        for (labels, expected) in table {
            let found = errors(&json!({ "labels": labels }));
            assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?} {expected}");
        }
    }

    #[test]
    fn the_same_taint_may_not_be_there_twice_even_as_a_startup_taint() {
        let found = errors(&json!({
            "taints": [{ "key": "a", "value": "1", "effect": "NoSchedule" }],
            "startupTaints": [{ "key": "a", "value": "2", "effect": "NoSchedule" }]
        }));
        assert_eq!(found, ["duplicate taint Key/Effect pair a=NoSchedule"]);
        let found = errors(&json!({ "taints": [{ "key": "a b", "value": "c d", "effect": "NoSchedule" }] }));
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn requirements_must_make_sense() {
        let capacity = "karpenter.sh/capacity-type";
        let table = [
            (requirement("karpenter.sh/nodepool", "Exists", &[]), "the label is restricted"),
            (requirement("kubernetes.io/hostname", "In", &["a"]), "the label is restricted"),
            (requirement("karpenter.sh/registered", "In", &["true"]), "the label is restricted"),
            (requirement("a b", "Exists", &[]), "this is no label key"),
            (requirement("a", "In", &[]), "it needs a value"),
            (requirement("a", "In", &["b c"]), "\"b c\" is no label value"),
            (requirement("a", "Gt", &["1", "2"]), "it needs one whole number"),
            (requirement("a", "Lte", &["-1"]), "it needs one whole number"),
            (requirement("a", "Lt", &["x"]), "it needs one whole number"),
            (requirement(capacity, "In", &["moon"]), "none of the values"),
            (
                json!({ "requirements": [{ "key": capacity, "operator": "In", "values": ["spot", "moon"], "minValues": 2 }] }),
                "minValues asks for 2 values, of which 1 exist",
            ),
            (
                json!({ "requirements": [{ "key": "a", "operator": "In", "values": ["b"], "minValues": 2 }] }),
                "minValues asks for 2 values, of which 1 are given",
            ),
        ];
        for (template, expected) in table {
            let found = errors(&template);
            assert!(found.len() == 1 && found[0].contains(expected), "{found:?} {expected}");
        }
    }
}
