//! What an API server refuses although each field by itself can be read. Asked of objects from files only: what a cluster
//! shows was taken already, perhaps by an older server, and no pod may get lost over it.

mod pod;

use super::error::InputError;
use super::k8s::pod::PodTemplateSpec;
use super::k8s::{Amount, DaemonSet, LabelSelector, ObjectMeta, PodDisruptionBudget, StorageClass};
use super::objects::{Objects, Sourced};
use super::translate::{At, label_selector};

/// Whether an API server would take these objects.
///
/// # Errors
/// With the first fault, by kind and name.
pub(super) fn check(objects: &Objects) -> Result<(), InputError> {
    for source in &objects.pods {
        pod::check(&At::new(&source.origin, "Pod", &source.metadata, "spec"), &source.spec)?;
    }
    for source in &objects.pod_templates {
        let at = At::new(&source.origin, "PodTemplate", &source.metadata, "");
        template(&at, "template", &source.template)?;
    }
    for source in &objects.replication_controllers {
        // An API server gives it the selector that it lacks.
        let at = At::new(&source.origin, "ReplicationController", &source.metadata, "");
        template(&at, "spec.template", &source.spec.template)?;
    }
    let workloads = [
        ("Deployment", &objects.deployments),
        ("StatefulSet", &objects.stateful_sets),
        ("ReplicaSet", &objects.replica_sets),
    ];
    for (kind, source) in workloads.into_iter().flat_map(|(kind, list)| list.iter().map(move |source| (kind, source))) {
        let at = At::new(&source.origin, kind, &source.metadata, "");
        template(&at, "spec.template", &source.spec.template)?;
        picks_its_own(&at, source.spec.selector.as_ref(), &source.spec.template.metadata)?;
    }
    for source in &objects.daemon_sets {
        let DaemonSet { metadata, spec } = &source.object;
        let at = At::new(&source.origin, "DaemonSet", metadata, "");
        template(&at, "spec.template", &spec.template)?;
        picks_its_own(&at, spec.selector.as_ref(), &spec.template.metadata)?;
    }
    for source in &objects.jobs {
        // An API server gives it a selector.
        template(&At::new(&source.origin, "Job", &source.metadata, ""), "spec.template", &source.spec.template)?;
    }
    objects.budgets.iter().try_for_each(|source| budget(source))?;
    objects.storage_classes.iter().try_for_each(|source| storage_class(source))
}

fn template(at: &At<'_>, field: &str, template: &PodTemplateSpec) -> Result<(), InputError> {
    if *template == PodTemplateSpec::default() {
        return Err(at.fault(field, "", "describes no pod").remedy("write its metadata.labels and spec.containers"));
    }
    pod::check(&At { path: &format!("{field}.spec"), ..*at }, &template.spec)
}

/// Does a selector pick the pods of the template beside it?
fn picks_its_own(at: &At<'_>, wanted: Option<&LabelSelector>, made: &ObjectMeta) -> Result<(), InputError> {
    const FIELD: &str = "spec.selector";
    let labels = || {
        let all: Vec<String> = made.labels.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        if all.is_empty() { "the labels of its pods".to_owned() } else { format!("{{{}}}", all.join(", ")) }
    };
    let write = || format!("write matchLabels: {} there and in spec.template.metadata.labels", labels());
    let Some(wanted) = wanted else { return Err(at.fault(FIELD, "", "is missing").remedy(write())) };
    if wanted.match_labels.is_empty() && wanted.match_expressions.is_empty() {
        return Err(at.fault(FIELD, "", "is empty").remedy(write()));
    }
    if label_selector(at, FIELD, wanted)?.matches(&made.labels) {
        return Ok(());
    }
    let fault = at.fault(FIELD, &written(wanted), "does not match spec.template.metadata.labels");
    Err(fault.remedy(if made.labels.is_empty() {
        "give the template these labels".to_owned()
    } else {
        format!("the template has {}: let both say the same", labels())
    }))
}

fn written(selector: &LabelSelector) -> String {
    let labels = selector.match_labels.iter().map(|(key, value)| format!("{key}={value}"));
    let conditions = selector.match_expressions.iter().map(|e| format!("{} {} {:?}", e.key, e.operator, e.values));
    labels.chain(conditions).collect::<Vec<_>>().join(", ")
}

fn budget(source: &Sourced<PodDisruptionBudget>) -> Result<(), InputError> {
    let Sourced { origin, object } = source;
    let at = At::new(origin, "PodDisruptionBudget", &object.metadata, "spec");
    let fields = [("minAvailable", &object.spec.min_available), ("maxUnavailable", &object.spec.max_unavailable)];
    for (field, amount) in fields {
        if let Some(Amount(text)) = amount.as_ref().filter(|Amount(text)| !is_number_or_share(text)) {
            let fault = at.fault(field, text, "is neither a number of pods nor a share of them");
            return Err(fault.remedy("write a whole number from 0, or a percentage from 0% to 100%"));
        }
    }
    match (&object.spec.min_available, &object.spec.max_unavailable) {
        (Some(least), Some(Amount(most))) => {
            let fault = at.fault("minAvailable", &least.0, format!("stands beside maxUnavailable: {most}"));
            Err(fault.remedy("keep minAvailable or maxUnavailable, not both"))
        }
        _ => Ok(()),
    }
}

/// A whole number from 0, or a percentage up to 100%.
fn is_number_or_share(text: &str) -> bool {
    match text.strip_suffix('%') {
        Some(share) => {
            share.bytes().all(|b| b.is_ascii_digit()) && share.parse::<u32>().is_ok_and(|share| share <= 100)
        }
        None => text.parse::<i32>().is_ok_and(|number| number >= 0),
    }
}

fn storage_class(source: &Sourced<StorageClass>) -> Result<(), InputError> {
    let Sourced { origin, object } = source;
    let mode = &*object.volume_binding_mode;
    if matches!(mode, "" | "Immediate" | "WaitForFirstConsumer") {
        return Ok(());
    }
    let at = At::new(origin, "StorageClass", &object.metadata, "");
    Err(at.fault("volumeBindingMode", mode, "is not known").remedy("use Immediate or WaitForFirstConsumer"))
}

#[cfg(test)]
mod tests {
    use super::super::documents;
    use super::super::objects::{Builder, Validate};
    use super::*;

    fn told(text: &str) -> Option<String> {
        let mut builder = Builder::new(Validate::Strict);
        documents::each("f.yaml", text.as_bytes(), &mut builder).unwrap();
        let error = check(&builder.finish()).err()?;
        assert!(error.remedy.is_some() && error.object.is_some() && error.line == Some(1), "{error}");
        Some(format!("{}: {}", error.field.as_deref().unwrap_or_default(), error.message))
    }

    fn pod(spec: &str) -> Option<String> {
        told(&format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{{spec}}}\n"))
    }

    fn container(more: &str) -> Option<String> {
        pod(&format!("containers: [{{name: c, image: i, {more}}}]"))
    }

    fn workload(kind: &str, spec: &str) -> Option<String> {
        told(&format!("apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: w}}\nspec: {{{spec}}}\n"))
    }

    #[test]
    fn a_pod_has_containers() {
        for spec in ["", "containers: []", "initContainers: [{name: c}]"] {
            assert_eq!(pod(spec).as_deref(), Some("spec.containers: has no container"), "{spec}");
        }
        assert_eq!(container(""), None);
    }

    #[test]
    fn nothing_is_asked_for_beyond_its_limit() {
        let ask = |requests: &str, limits: &str| {
            container(&format!("resources: {{requests: {{{requests}}}, limits: {{{limits}}}}}"))
        };
        let said = ask("cpu: 2, memory: 1Gi", "cpu: 1500m").unwrap();
        assert_eq!(said, "spec.containers[0].resources.requests.cpu: is more than its limit of 1500m");
        for (requests, limits) in [
            ("cpu: 2", "cpu: 2000m"),
            ("cpu: 2", "memory: 1Gi"),
            ("nvidia.com/gpu: 1", "nvidia.com/gpu: 2"),
            ("nvidia.com/gpu: 2", "nvidia.com/gpu: 1"),
            ("nvidia.com/gpu: 1", ""),
            ("cpu: 0.5", ""),
            ("example.com/a: 2k", ""),
            ("example.com/a: 1000m", ""),
        ] {
            assert_eq!(ask(requests, limits), None, "{requests} {limits}");
        }
        let whole = pod("containers: [{name: c}], resources: {requests: {cpu: 2}, limits: {cpu: 1}}").unwrap();
        assert_eq!(whole, "spec.resources.requests.cpu: is more than its limit of 1");
    }

    #[test]
    fn devices_come_whole() {
        for (part, amount) in [("limits", "0.5"), ("requests", "1500m"), ("limits", "1n")] {
            let said = container(&format!("resources: {{{part}: {{nvidia.com/gpu: {amount}}}}}")).unwrap();
            let field = format!("spec.containers[0].resources.{part}[nvidia.com/gpu]");
            assert_eq!(said, format!("{field}: is no whole number"));
        }
    }

    #[test]
    fn ports_have_a_protocol_that_there_is() {
        let port = |protocol: &str| container(&format!("ports: [{{containerPort: 80, protocol: {protocol}}}]"));
        assert_eq!(port("HTTP").as_deref(), Some("spec.containers[0].ports[0].protocol: is no protocol of a port"));
        assert_eq!((port("SCTP"), port("null")), (None, None));
    }

    #[test]
    fn tolerations_affinities_and_spreads_make_sense_by_themselves() {
        let with = |more: &str| pod(&format!("containers: [{{name: c}}], {more}"));
        let spread = |more: &str| {
            with(&format!("topologySpreadConstraints: [{{maxSkew: 1, topologyKey: z, {more}}}]")).unwrap_or_default()
        };
        for (said, start) in [
            (
                with("tolerations: [{key: a, operator: Exists, value: b}]").unwrap_or_default(),
                "spec.tolerations[0].value: must be empty",
            ),
            (
                with("affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}")
                    .unwrap_or_default(),
                "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: has no term",
            ),
            (
                spread("minDomains: 2, whenUnsatisfiable: ScheduleAnyway"),
                "spec.topologySpreadConstraints[0].minDomains: goes only with",
            ),
            (
                spread("whenUnsatisfiable: DoNotSchedule, matchLabelKeys: [a]"),
                "spec.topologySpreadConstraints[0].matchLabelKeys: needs a labelSelector",
            ),
            (
                spread("whenUnsatisfiable: DoNotSchedule}, {maxSkew: 2, topologyKey: z, whenUnsatisfiable: DoNotSchedule"),
                "spec.topologySpreadConstraints[1].topologyKey: stands in topologySpreadConstraints[0] too",
            ),
        ] {
            assert!(said.starts_with(start), "{said:?} is not {start:?}");
        }
        for fine in [
            "whenUnsatisfiable: DoNotSchedule, minDomains: 2",
            "whenUnsatisfiable: DoNotSchedule}, {maxSkew: 1, topologyKey: z, whenUnsatisfiable: ScheduleAnyway",
            "whenUnsatisfiable: DoNotSchedule, matchLabelKeys: [a], labelSelector: {}",
        ] {
            assert_eq!(spread(fine), "");
        }
        assert_eq!(with("tolerations: [{operator: Exists}, {key: a, value: b}]"), None);
    }

    #[test]
    fn a_workload_has_a_template_and_picks_its_pods() {
        let template = "template: {metadata: {labels: {app: x}}, spec: {containers: [{name: c}]}}";
        for kind in ["Deployment", "StatefulSet", "ReplicaSet", "DaemonSet"] {
            let with = |selector: &str| workload(kind, &format!("{selector}{template}"));
            assert_eq!(with("selector: {matchLabels: {app: x}}, "), None);
            assert_eq!(with("selector: {matchExpressions: [{key: app, operator: Exists}]}, "), None);
            assert_eq!(with("").as_deref(), Some("spec.selector: is missing"), "{kind}");
            assert_eq!(with("selector: {}, ").as_deref(), Some("spec.selector: is empty"));
            let said = with("selector: {matchLabels: {app: y}}, ");
            assert_eq!(said.as_deref(), Some("spec.selector: does not match spec.template.metadata.labels"));
            let said = workload(kind, "selector: {matchLabels: {app: x}}");
            assert_eq!(said.as_deref(), Some("spec.template: describes no pod"));
        }
        let job =
            |spec: &str| told(&format!("apiVersion: batch/v1\nkind: Job\nmetadata: {{name: j}}\nspec: {{{spec}}}\n"));
        assert_eq!(job("template: {spec: {containers: [{name: c}]}}"), None);
        assert_eq!(job("template: {spec: {restartPolicy: Never}}").as_deref(), Some("spec.template: describes no pod"));
        let alone = "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: t}\ntemplate: {spec: {nodeName: n}}\n";
        assert_eq!(told(alone).as_deref(), Some("template.spec.containers: has no container"));
    }

    #[test]
    fn a_budget_says_one_thing_and_says_it_in_numbers() {
        let budget = |spec: &str| {
            told(&format!(
                "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: b}}\nspec: {{{spec}}}\n"
            ))
        };
        for fine in ["", "minAvailable: 0", "maxUnavailable: 100%", "minAvailable: '1'", "maxUnavailable: 007%"] {
            assert_eq!(budget(fine), None, "{fine}");
        }
        for bad in ["half", "-1", "101%", "%", "+5%", "1.5", "50 %"] {
            let said = budget(&format!("minAvailable: '{bad}'")).unwrap();
            assert_eq!(said, "spec.minAvailable: is neither a number of pods nor a share of them", "{bad}");
        }
        let both = budget("minAvailable: 1, maxUnavailable: 50%").unwrap();
        assert_eq!(both, "spec.minAvailable: stands beside maxUnavailable: 50%");
    }

    #[test]
    fn a_storage_class_binds_at_once_or_later_and_in_no_other_way() {
        let class = |mode: &str| {
            told(&format!(
                "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {{name: s}}\nprovisioner: p\n{mode}"
            ))
        };
        assert_eq!(class("volumeBindingMode: Later\n").as_deref(), Some("volumeBindingMode: is not known"));
        assert_eq!((class(""), class("volumeBindingMode: WaitForFirstConsumer\n")), (None, None));
    }
}
