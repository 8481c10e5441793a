//! Selectors and requirements of the API to the planner's.

use std::collections::BTreeSet;

use planner::model::labels::{ZONE, normalize};
use planner::model::selector::{Expression, LabelSelector, SelectorOperator};
use planner::model::{Labels, Operator, Requirement, Requirements, Str};

use super::super::error::InputError;
use super::super::k8s;
use super::super::k8s::selector::SelectorExpression;
use super::at::At;

const OPERATORS: &str = "use In, NotIn, Exists or DoesNotExist";

/// The EBS driver's own name for the zone; every node's zone label says the same.
const EBS_ZONE: &str = "topology.ebs.csi.aws.com/zone";

/// The stable spelling of a node label key.
pub(super) fn node_key(key: &str) -> &str {
    if key == EBS_ZONE { ZONE } else { normalize(key) }
}

/// Node labels under their stable keys; a stable spelling goes before an old one.
pub(super) fn normalized(labels: &Labels) -> Labels {
    let mut out = Labels::new();
    for (key, value) in labels {
        let stable = normalize(key);
        if stable == &**key {
            out.insert(key.clone(), value.clone());
        } else {
            out.entry(stable.into()).or_insert_with(|| value.clone());
        }
    }
    out
}

/// A label selector.
pub(crate) fn selector(at: &At<'_>, field: &str, selector: &k8s::LabelSelector) -> Result<LabelSelector, InputError> {
    let mut out = LabelSelector::equal(selector.match_labels.iter().map(|(k, v)| (k.clone(), v.clone())));
    for (index, e) in selector.match_expressions.iter().enumerate() {
        let operator = match &*e.operator {
            "In" => SelectorOperator::In,
            "NotIn" => SelectorOperator::NotIn,
            "Exists" => SelectorOperator::Exists,
            "DoesNotExist" => SelectorOperator::DoesNotExist,
            other => {
                let place = format!("{field}.matchExpressions[{index}].operator");
                return Err(at.fault(place, other, "is no operator of a label selector").remedy(OPERATORS));
            }
        };
        let needs = matches!(operator, SelectorOperator::In | SelectorOperator::NotIn);
        count_values(at, &format!("{field}.matchExpressions[{index}]"), e, needs.then_some(1))?;
        out.0.insert(Expression { key: e.key.clone(), operator, values: e.values.iter().cloned().collect() });
    }
    Ok(out)
}

/// Values must be there (at least one), or not.
fn count_values(at: &At<'_>, field: &str, e: &SelectorExpression, least: Option<usize>) -> Result<(), InputError> {
    let place = || format!("{field}.values");
    match least {
        Some(least) if e.values.len() < least => {
            Err(at.fault(place(), "", format!("{} needs values", e.operator)).remedy("list at least one value"))
        }
        None if !e.values.is_empty() => {
            Err(at.fault(place(), &e.values[0], format!("{} takes no values", e.operator)).remedy("leave values out"))
        }
        _ => Ok(()),
    }
}

/// One condition on a node label.
pub(super) fn node_requirement(at: &At<'_>, field: &str, e: &SelectorExpression) -> Result<Requirement, InputError> {
    let operator =
        Operator::parse(&e.operator).filter(|o| !matches!(o, Operator::Gte | Operator::Lte)).ok_or_else(|| {
            at.fault(format!("{field}.operator"), &e.operator, "is no operator of a node selector")
                .remedy("use In, NotIn, Exists, DoesNotExist, Gt or Lt")
        })?;
    match operator {
        Operator::Exists | Operator::DoesNotExist => count_values(at, field, e, None)?,
        Operator::In | Operator::NotIn => count_values(at, field, e, Some(1))?,
        _ if e.values.len() != 1 => {
            return Err(at
                .fault(format!("{field}.values"), &e.values.join(","), format!("{} takes a single value", e.operator))
                .remedy("list one whole number"));
        }
        _ => {}
    }
    Ok(Requirement::new(node_key(&e.key), operator, e.values.iter().cloned()))
}

/// The conditions of a term; `None` for one without any, which selects nothing. `matchFields` are left to the caller.
pub(super) fn node_term(
    at: &At<'_>,
    field: &str,
    term: &k8s::NodeSelectorTerm,
) -> Result<Option<Requirements>, InputError> {
    if term.match_expressions.is_empty() {
        return Ok(None);
    }
    let mut out = Requirements::new();
    for (index, e) in term.match_expressions.iter().enumerate() {
        out.add(node_requirement(at, &format!("{field}.matchExpressions[{index}]"), e)?);
    }
    Ok(Some(out))
}

/// `nodeSelector`: each label with just this value.
pub(super) fn node_selector(labels: &Labels) -> Requirements {
    labels.iter().map(|(key, value)| Requirement::equal(node_key(key), value.clone())).collect()
}

/// Requirements of a pool, a claim or an overlay, with `minValues`.
pub(super) fn pool_requirements(
    at: &At<'_>,
    field: &str,
    list: &[k8s::karpenter::NodeRequirement],
) -> Result<Requirements, InputError> {
    let mut out = Requirements::new();
    for (index, r) in list.iter().enumerate() {
        let operator = Operator::parse(&r.operator).ok_or_else(|| {
            at.fault(format!("{field}[{index}].operator"), &r.operator, "is no operator of a requirement")
                .remedy("use In, NotIn, Exists, DoesNotExist, Gt, Lt, Gte or Lte")
        })?;
        let mut requirement = Requirement::new(node_key(&r.key), operator, r.values.iter().cloned());
        requirement.min_values = r.min_values;
        out.add(requirement);
    }
    Ok(out)
}

/// Folds `matchLabelKeys` (`In` the pod's value) or `mismatchLabelKeys` (`NotIn`) into a selector.
pub(super) fn fold_keys(selector: &mut LabelSelector, keys: &[Str], labels: &Labels, operator: SelectorOperator) {
    for key in keys {
        if let Some(value) = labels.get(key) {
            selector.0.insert(Expression { key: key.clone(), operator, values: BTreeSet::from([value.clone()]) });
        }
    }
}
