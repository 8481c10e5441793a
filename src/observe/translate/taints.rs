//! Taints, and what tolerates them.

use planner::model::taint::TolerationOperator;
use planner::model::{Effect, Str, Taint, Toleration};

use super::super::error::InputError;
use super::super::k8s;
use super::at::At;

const EFFECTS: &str = "use NoSchedule, PreferNoSchedule or NoExecute";
/// What `spec.unschedulable` amounts to.
pub(super) const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// Gone before a node counts as ready, so a pod planned onto a node that is starting need not tolerate them.
const EPHEMERAL: [(&str, Effect); 5] = [
    (NOT_READY, Effect::NoSchedule),
    (NOT_READY, Effect::NoExecute),
    (UNREACHABLE, Effect::NoSchedule),
    ("karpenter.sh/unregistered", Effect::NoExecute),
    ("node.cloudprovider.kubernetes.io/uninitialized", Effect::NoSchedule),
];

/// Goes away by itself while a node starts.
pub(super) fn ephemeral(taint: &Taint) -> bool {
    taint.key.starts_with("readiness.k8s.io/")
        || EPHEMERAL.iter().any(|(key, effect)| *key == &*taint.key && *effect == taint.effect)
}

/// A list of taints, sorted, none twice.
pub(super) fn taints(at: &At<'_>, field: &str, list: &[k8s::NodeTaint]) -> Result<Vec<Taint>, InputError> {
    let mut out = Vec::new();
    for (index, taint) in list.iter().enumerate() {
        let effect = Effect::parse(&taint.effect).ok_or_else(|| {
            at.fault(format!("{field}[{index}].effect"), &taint.effect, "is no effect of a taint").remedy(EFFECTS)
        })?;
        out.push(Taint { key: taint.key.clone(), value: taint.value.clone(), effect });
    }
    out.sort();
    out.dedup();
    Ok(out)
}

/// A pod's tolerations, sorted, none twice.
pub(super) fn tolerations(at: &At<'_>, list: &[k8s::pod::Toleration]) -> Result<Vec<Toleration>, InputError> {
    let mut out = Vec::new();
    for (index, t) in list.iter().enumerate() {
        let field = |part: &str| format!("tolerations[{index}].{part}");
        let operator = match &*t.operator {
            "" | "Equal" => TolerationOperator::Equal,
            "Exists" => TolerationOperator::Exists,
            "Gt" => TolerationOperator::Gt,
            "Lt" => TolerationOperator::Lt,
            other => {
                let remedy = "use Equal, Exists, Gt or Lt";
                return Err(at.fault(field("operator"), other, "is no operator of a toleration").remedy(remedy));
            }
        };
        if t.key.is_empty() && operator != TolerationOperator::Exists {
            return Err(at
                .fault(field("operator"), &t.operator, "must be Exists when no key is given")
                .remedy("name the key, or write operator: Exists to tolerate every taint"));
        }
        let effect = match &*t.effect {
            "" => None,
            text => Some(
                Effect::parse(text)
                    .ok_or_else(|| at.fault(field("effect"), text, "is no effect of a taint").remedy(EFFECTS))?,
            ),
        };
        out.push(Toleration { key: t.key.clone(), operator, value: t.value.clone(), effect });
    }
    out.sort();
    out.dedup();
    Ok(out)
}

/// What the `DaemonSet` controller lets its pods tolerate besides what the template says.
pub(super) fn of_daemons(host_network: bool) -> Vec<Toleration> {
    let one = |key: &str, effect| Toleration {
        key: Str::from(key),
        operator: TolerationOperator::Exists,
        value: "".into(),
        effect: Some(effect),
    };
    let mut out = vec![
        one(NOT_READY, Effect::NoExecute),
        one(UNREACHABLE, Effect::NoExecute),
        one("node.kubernetes.io/disk-pressure", Effect::NoSchedule),
        one("node.kubernetes.io/memory-pressure", Effect::NoSchedule),
        one("node.kubernetes.io/pid-pressure", Effect::NoSchedule),
        one(UNSCHEDULABLE, Effect::NoSchedule),
    ];
    if host_network {
        out.push(one("node.kubernetes.io/network-unavailable", Effect::NoSchedule));
    }
    out
}
