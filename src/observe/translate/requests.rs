//! What a pod asks for: init containers in their order, sidecars, overhead, pod-level resources, resizes in place.

use planner::model::resources::PODS;
use planner::model::{Quantity, Resources};

use super::super::error::{InputError, Origin};
use super::super::k8s::meta::condition;
use super::super::k8s::pod::{Container, ContainerStatus, PodStatus};
use super::super::k8s::{Amounts, ObjectMeta, PodSpec};
use super::at::{At, Quantities};

/// The most a pod holds at any moment of its life, with one `pods`.
///
/// Containers and sidecars together, or a one-off init container beside the sidecars started before it, whichever is more
/// (<https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers>). What the
/// pod as a whole asks for goes before the sum; `overhead` comes on top. A limit stands in for a request that is missing.
/// While a resize is under way the larger of what is asked and what is given counts; an infeasible one does not count.
pub(super) fn of_pod(
    at: &At<'_>,
    spec: &PodSpec,
    overhead: Option<&Amounts>,
    status: Option<&PodStatus>,
) -> Result<Resources, InputError> {
    let mut running = Quantities::default();
    for (index, container) in spec.containers.iter().enumerate() {
        let given = status.map(|status| (status, status.container_statuses.as_slice()));
        running.add(&of_container(at, "containers", index, container, given)?);
    }
    let (mut sidecars, mut starting) = (Quantities::default(), Quantities::default());
    for (index, container) in spec.init_containers.iter().enumerate() {
        let given = status.map(|status| (status, status.init_container_statuses.as_slice()));
        let mut asked = of_container(at, "initContainers", index, container, given)?;
        if container.is_sidecar() {
            sidecars.add(&asked);
            starting.raise_to(&sidecars);
        } else {
            asked.add(&sidecars);
            starting.raise_to(&asked);
        }
    }
    running.add(&sidecars);
    running.raise_to(&starting);
    if let Some(whole) = &spec.resources {
        let mut asked = at.quantities("resources.requests", &whole.requests)?;
        // As the API server fills it in: what the containers ask for, else the limit.
        let limits = at.quantities("resources.limits", &whole.limits)?;
        let unasked = limits.0.into_iter().filter(|(name, _)| running.get(name).is_none()).collect();
        asked.fill_from(&Quantities(unasked));
        running.replace_by(&asked);
    }
    match (&spec.overhead, overhead) {
        (Some(own), _) => running.add(&at.quantities("overhead", own)?),
        (None, Some(class)) => running.add(&at.quantities("overhead", class)?),
        (None, None) => {}
    }
    running.add(&Quantities(vec![(PODS.into(), Quantity::units(1, false))]));
    Ok(running.counted())
}

/// What a pod is limited to, over its containers as requests are added up; what has no limit is not in it. Nothing where an
/// amount cannot be read.
pub(crate) fn limits(meta: &ObjectMeta, spec: &PodSpec) -> Resources {
    let mut as_requests = spec.clone();
    let own = as_requests.resources.iter_mut();
    let all = as_requests.init_containers.iter_mut().chain(&mut as_requests.containers).map(|c| &mut c.resources);
    for resources in all.chain(own) {
        resources.requests = std::mem::take(&mut resources.limits);
    }
    as_requests.overhead = None;
    let mut out = requests(meta, &as_requests, &PodStatus::default());
    out.0.remove(PODS);
    out
}

/// What a pod that is known already asks for. Nothing where an amount cannot be read: such a pod stays out of plans, with a
/// reason.
pub(crate) fn requests(meta: &ObjectMeta, spec: &PodSpec, status: &PodStatus) -> Resources {
    let origin = Origin { file: "cluster".into(), line: 0 };
    of_pod(&At::new(&origin, "Pod", meta, "spec"), spec, None, Some(status)).unwrap_or_default()
}

fn of_container(
    at: &At<'_>,
    list: &str,
    index: usize,
    container: &Container,
    given: Option<(&PodStatus, &[ContainerStatus])>,
) -> Result<Quantities, InputError> {
    let field = |part: &str| format!("{list}[{index}].resources.{part}");
    let resources = &container.resources;
    let mut asked = at.quantities(&field("requests"), &resources.requests)?;
    asked.fill_from(&at.quantities(&field("limits"), &resources.limits)?);
    let Some((status, statuses)) = given else { return Ok(asked) };
    let Some(own) = statuses.iter().find(|own| own.name == container.name) else { return Ok(asked) };
    if own.resources.is_none() && own.allocated_resources.is_none() {
        return Ok(asked);
    }
    let status_at = At { path: "status.containerStatuses", ..*at };
    let mut held = Quantities::default();
    if let Some(actual) = &own.resources {
        held.raise_to(&status_at.quantities("resources.requests", &actual.requests)?);
    }
    if let Some(allocated) = &own.allocated_resources {
        held.raise_to(&status_at.quantities("allocatedResources", allocated)?);
    }
    if infeasible(status) {
        // Names the status is silent about cannot be resized and stay as asked.
        held.fill_from(&asked);
        return Ok(held);
    }
    asked.raise_to(&held);
    Ok(asked)
}

fn infeasible(status: &PodStatus) -> bool {
    let pending = condition(&status.conditions, "PodResizePending");
    &*status.resize == "Infeasible" || pending.is_some_and(|c| &*c.status == "True" && &*c.reason == "Infeasible")
}

#[cfg(test)]
mod tests {
    use super::super::super::k8s::Pod;
    use super::*;

    fn requests(pod: &str) -> Result<String, InputError> {
        let pod: Pod = serde_json::from_str(pod).unwrap();
        let origin = Origin { file: "f".into(), line: 1 };
        let at = At::new(&origin, "Pod", &pod.metadata, "spec");
        of_pod(&at, &pod.spec, None, Some(&pod.status)).map(|requests| requests.to_string())
    }

    fn container(cpu: &str) -> String {
        format!(r#"{{"name":"c","resources":{{"requests":{{"cpu":"{cpu}"}}}}}}"#)
    }

    #[test]
    fn sidecars_count_beside_the_app_and_beside_later_init_containers() {
        let sidecar = r#"{"name":"s","restartPolicy":"Always","resources":{"requests":{"cpu":"300m"}}}"#;
        let pod = |init: &str, app: &str| format!(r#"{{"spec":{{"initContainers":[{init}],"containers":[{app}]}}}}"#);
        let (small, large) = (container("700m"), container("900m"));
        assert_eq!(requests(&pod(&format!("{large},{sidecar}"), &small)).unwrap(), "cpu 1, pods 1");
        assert_eq!(requests(&pod(&format!("{sidecar},{large}"), &small)).unwrap(), "cpu 1200m, pods 1");
    }

    #[test]
    fn a_limit_stands_in_for_a_missing_request() {
        let pod = r#"{"spec":{"containers":[{"resources":{"limits":{"nvidia.com/gpu":1,"cpu":2},"requests":{"cpu":"100m"}}}]}}"#;
        assert_eq!(requests(pod).unwrap(), "cpu 100m, nvidia.com/gpu 1, pods 1");
    }

    #[test]
    fn what_the_pod_asks_for_as_a_whole_goes_before_the_sum() {
        let pod = |whole: &str| format!(r#"{{"spec":{{"resources":{whole},"containers":[{}]}}}}"#, container("2"));
        assert_eq!(requests(&pod(r#"{"requests":{"cpu":"1","memory":"1Gi"}}"#)).unwrap(), "cpu 1, memory 1Gi, pods 1");
        assert_eq!(requests(&pod(r#"{"limits":{"cpu":"3","memory":"1Gi"}}"#)).unwrap(), "cpu 2, memory 1Gi, pods 1");
    }

    #[test]
    fn a_resize_under_way_counts_the_larger_and_an_infeasible_one_what_is_given() {
        let pod = |resize: &str| {
            format!(
                r#"{{"spec":{{"containers":[{}]}},"status":{{"resize":"{resize}",
                "containerStatuses":[{{"name":"c","allocatedResources":{{"cpu":"1"}}}}]}}}}"#,
                container("2")
            )
        };
        assert_eq!(requests(&pod("InProgress")).unwrap(), "cpu 2, pods 1");
        assert_eq!(requests(&pod("Infeasible")).unwrap(), "cpu 1, pods 1");
    }

    #[test]
    fn limits_are_added_up_like_requests_and_only_where_there_are_some() {
        let spec = r#"{"initContainers":[{"resources":{"limits":{"cpu":3}}}],"overhead":{"cpu":"1"},
            "containers":[{"resources":{"requests":{"cpu":1,"memory":"1Gi"},"limits":{"cpu":2}}},{}]}"#;
        let limits = limits(&ObjectMeta::default(), &serde_json::from_str(spec).unwrap());
        assert_eq!(limits.to_string(), "cpu 3");
    }

    #[test]
    fn fractions_are_added_before_they_are_rounded_up() {
        let pod = format!(r#"{{"spec":{{"containers":[{0},{0}]}}}}"#, container("100500u"));
        assert_eq!(requests(&pod).unwrap(), "cpu 201m, pods 1");
    }

    #[test]
    fn a_negative_amount_is_an_error_and_a_vast_one_is_not() {
        let error = requests(&format!(r#"{{"spec":{{"containers":[{}]}}}}"#, container("-1"))).unwrap_err();
        assert_eq!(error.field.as_deref(), Some("spec.containers[0].resources.requests.cpu"));
        assert!(requests(&format!(r#"{{"spec":{{"containers":[{}]}}}}"#, container("9000000000E"))).is_ok());
    }
}
