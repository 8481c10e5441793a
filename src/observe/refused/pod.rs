//! What an API server refuses in the spec of a pod, or of a template.

use planner::model::Quantity;

use super::super::error::InputError;
use super::super::k8s::PodSpec;
use super::super::k8s::meta::Amount;
use super::super::k8s::pod::{Container, ContainerPort, ResourceRequirements, SpreadConstraint};
use super::super::translate::At;

const TERMS: &str = "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
/// Billionths in one.
const NANO: i128 = 1_000_000_000;

/// Checks a spec that stands at `at`.
pub(super) fn check(at: &At<'_>, spec: &PodSpec) -> Result<(), InputError> {
    if spec.containers.is_empty() {
        let remedy = "list at least one, with its name and image";
        return Err(at.fault("containers", "", "has no container").remedy(remedy));
    }
    for (list, containers) in [("containers", &spec.containers), ("initContainers", &spec.init_containers)] {
        for (index, one) in containers.iter().enumerate() {
            container(at, (list, index), one)?;
        }
    }
    if let Some(whole) = &spec.resources {
        resources(at, || "resources".into(), whole)?;
    }
    for (index, toleration) in spec.tolerations.iter().enumerate() {
        if &*toleration.operator == "Exists" && !toleration.value.is_empty() {
            let field = format!("tolerations[{index}].value");
            let fault = at.fault(field, &toleration.value, "must be empty where the operator is Exists");
            return Err(fault.remedy("leave the value out, or write operator: Equal"));
        }
    }
    if spec.affinity.node_affinity.required.as_ref().is_some_and(|required| required.node_selector_terms.is_empty()) {
        let remedy = "list at least one term, or leave the required affinity out";
        return Err(at.fault(TERMS, "", "has no term").remedy(remedy));
    }
    spreads(at, &spec.topology_spread_constraints)
}

fn container(at: &At<'_>, (list, index): (&str, usize), container: &Container) -> Result<(), InputError> {
    resources(at, || format!("{list}[{index}].resources"), &container.resources)?;
    let is_unknown = |port: &ContainerPort| !matches!(&*port.protocol, "" | "TCP" | "UDP" | "SCTP");
    match container.ports.iter().position(is_unknown) {
        None => Ok(()),
        Some(port) => {
            let field = format!("{list}[{index}].ports[{port}].protocol");
            let fault = at.fault(field, &container.ports[port].protocol, "is no protocol of a port");
            Err(fault.remedy("use TCP, UDP or SCTP"))
        }
    }
}

/// Devices are whole; of anything else no more is asked for than its limit. Of devices as much is to be asked for as the
/// limit says, which is left alone: what a plan needs is clear without it.
fn resources(at: &At<'_>, place: impl Fn() -> String, of: &ResourceRequirements) -> Result<(), InputError> {
    for (part, amounts) in [("requests", &of.requests), ("limits", &of.limits)] {
        for (name, Amount(amount)) in amounts.iter().filter(|(name, _)| is_device(name)) {
            if Quantity::parse(amount).is_ok_and(|quantity| quantity.nano() % NANO != 0) {
                let fault = at.fault(format!("{}.{part}[{name}]", place()), amount, "is no whole number");
                return Err(fault.remedy("write a whole number: such a resource is not shared out in parts"));
            }
        }
    }
    for (name, Amount(asked)) in of.requests.iter().filter(|(name, _)| !is_device(name)) {
        let Some(Amount(most)) = of.limits.get(name) else { continue };
        let (Ok(n_asked), Ok(n_most)) = (Quantity::parse(asked), Quantity::parse(most)) else { continue };
        if n_asked.nano() > n_most.nano() {
            let field = format!("{}.requests.{name}", place());
            let fault = at.fault(field, asked, format!("is more than its limit of {most}"));
            return Err(fault.remedy(format!("ask for at most {most}, or raise limits.{name}")));
        }
    }
    Ok(())
}

/// What the API calls an extended resource.
fn is_device(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/") && !name.starts_with("requests.")
}

fn spreads(at: &At<'_>, constraints: &[SpreadConstraint]) -> Result<(), InputError> {
    for (index, one) in constraints.iter().enumerate() {
        let field = |part: &str| format!("topologySpreadConstraints[{index}].{part}");
        if let (Some(least), "ScheduleAnyway") = (one.min_domains, &*one.when_unsatisfiable) {
            let message = "goes only with whenUnsatisfiable: DoNotSchedule";
            let remedy = "leave minDomains out, or write whenUnsatisfiable: DoNotSchedule";
            return Err(at.fault(field("minDomains"), &least.to_string(), message).remedy(remedy));
        }
        if !one.match_label_keys.is_empty() && one.label_selector.is_none() {
            let keys = one.match_label_keys.join(", ");
            let remedy = "add a labelSelector, or leave matchLabelKeys out";
            return Err(at.fault(field("matchLabelKeys"), &keys, "needs a labelSelector beside it").remedy(remedy));
        }
        let is_same = |other: &SpreadConstraint| {
            other.topology_key == one.topology_key && other.when_unsatisfiable == one.when_unsatisfiable
        };
        if let Some(first) = constraints[..index].iter().position(is_same) {
            let message = format!("stands in topologySpreadConstraints[{first}] too, with the same whenUnsatisfiable");
            let remedy = "keep one of the two constraints";
            return Err(at.fault(field("topologyKey"), &one.topology_key, message).remedy(remedy));
        }
    }
    Ok(())
}
