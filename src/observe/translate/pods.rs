//! A pod's shape: everything about it that decides where it may run.

use std::collections::BTreeSet;

use crds::names::core::DO_NOT_DISRUPT;
use planner::drain::Protection;
use planner::model::labels::{NODEPOOL, restricted};
use planner::model::pod::{HostPort, Owner};
use planner::model::{Code, Labels, Operator, PodShape, Reason, Requirements};

use super::super::error::InputError;
use super::super::k8s::pod::PodStatus;
use super::super::k8s::storage::ClaimTemplate;
use super::super::k8s::{LabelSelector, ObjectMeta, Pod, PodSpec};
use super::affinity::{self, Of};
use super::at::At;
use super::labels::{node_key, node_selector};
use super::protection::protection;
use super::volumes::Mounts;
use super::world::World;
use super::{defaults, requests, taints, time};

/// A pod, or what a template would make.
pub(super) struct Source<'a> {
    /// Where errors are.
    pub(super) at: At<'a>,
    pub(super) namespace: &'a str,
    /// The pod's name, or a stand-in for one still to be made.
    pub(super) name: &'a str,
    pub(super) labels: &'a Labels,
    pub(super) annotations: &'a Labels,
    pub(super) spec: &'a PodSpec,
    pub(super) status: Option<&'a PodStatus>,
    pub(super) owner: Owner,
    pub(super) templates: &'a [ClaimTemplate],
    /// Of what made it, for default spread constraints.
    pub(super) owner_selector: Option<&'a LabelSelector>,
}

impl<'a> Source<'a> {
    /// A pod that exists.
    pub(super) fn of(at: At<'a>, pod: &'a Pod) -> Self {
        Self {
            at,
            namespace: pod.metadata.namespace(),
            name: &pod.metadata.name,
            labels: &pod.metadata.labels,
            annotations: &pod.metadata.annotations,
            spec: &pod.spec,
            status: Some(&pod.status),
            owner: owner(&pod.metadata),
            templates: &[],
            owner_selector: None,
        }
    }

    fn protection(&self) -> Protection {
        let start = self.status.and_then(|status| status.start_time.as_deref());
        let text = self.annotations.get(DO_NOT_DISRUPT).map(AsRef::as_ref);
        protection(text, start.map(|start| time::epoch(Some(start))))
    }

    /// The whole shape but for volumes, refusals and what the scheduler adds by default.
    pub(super) fn shape(&self, world: &World<'_>) -> Result<PodShape, InputError> {
        let (at, spec) = (&self.at, self.spec);
        let of = Of { at, namespace: self.namespace, labels: self.labels, world };
        let runtime = world.runtimes.get(&*spec.runtime_class_name).copied();
        let overhead = runtime.and_then(|class| class.object.overhead.as_ref()).map(|overhead| &overhead.pod_fixed);
        let mut shape = PodShape {
            namespace: self.namespace.into(),
            labels: self.labels.clone(),
            requests: requests::of_pod(at, spec, overhead, self.status)?,
            node_selector: node_selector(&spec.node_selector),
            node_terms: affinity::node_terms(at, spec)?,
            preferred_node_terms: affinity::preferred_node_terms(at, spec)?,
            tolerations: taints::tolerations(at, &spec.tolerations)?,
            spreads: of.spreads(&spec.topology_spread_constraints)?,
            affinity: of.required("podAffinity", &spec.affinity.pod_affinity)?,
            anti_affinity: of.required("podAntiAffinity", &spec.affinity.pod_anti_affinity)?,
            preferred_affinity: of.preferred("podAffinity", &spec.affinity.pod_affinity)?,
            preferred_anti_affinity: of.preferred("podAntiAffinity", &spec.affinity.pod_anti_affinity)?,
            host_ports: host_ports(at, spec)?,
            volumes: Vec::new(),
            attachments: BTreeSet::new(),
            priority: world.priority(spec),
            owner: self.owner,
            do_not_disrupt: self.protection().holds(world.now),
            refused: None,
        };
        if let Some(class) = runtime {
            let scheduling = &class.object.scheduling;
            shape.node_selector.add_all(&node_selector(&scheduling.node_selector));
            let more = At::new(&class.origin, "RuntimeClass", &class.object.metadata, "scheduling");
            shape.tolerations.extend(taints::tolerations(&more, &scheduling.tolerations)?);
            shape.tolerations.sort();
            shape.tolerations.dedup();
        }
        Ok(shape)
    }

    /// Volumes, attachments, and for a pod to place its default spread and the reason it can have no place at all.
    pub(super) fn finish(&self, shape: &mut PodShape, to_place: bool, world: &World<'_>) -> Result<(), InputError> {
        if to_place && self.spec.topology_spread_constraints.is_empty() {
            let of = Of { at: &self.at, namespace: self.namespace, labels: self.labels, world };
            shape.spreads = defaults::spreads(&of, self.owner_selector)?;
        }
        shape.refused = self.refusal(shape);
        let mounts =
            Mounts { namespace: self.namespace, pod: self.name, spec: self.spec, templates: self.templates, world };
        mounts.fill(shape)?;
        if !to_place {
            shape.refused = None;
        }
        Ok(())
    }

    fn refusal(&self, shape: &PodShape) -> Option<Reason> {
        let restricted_key = |terms: &Requirements| terms.iter().map(|r| r.key.clone()).find(|key| restricted(key));
        let required = shape.node_terms.iter().flatten();
        if let Some(key) = std::iter::once(&shape.node_selector).chain(required).find_map(restricted_key) {
            let message = format!("the pod asks for label {key}, which is restricted: no NodePool may define it");
            return Some(Reason::everywhere(Code::RestrictedLabel, message, Some(format!("{key} not asked for"))));
        }
        let fields = self.spec.affinity.node_affinity.required.iter().flat_map(|r| &r.node_selector_terms);
        if let Some(field) = fields.flat_map(|term| &term.match_fields).next() {
            let message = format!("required node affinity with matchFields ({}) is not supported", field.key);
            return Some(Reason::everywhere(
                Code::UnsupportedField,
                message,
                Some("matchExpressions in its place".into()),
            ));
        }
        if let Some(no_number) = self.bound_that_is_no_number() {
            return Some(no_number);
        }
        uses_dynamic_resources(self.spec).then(|| {
            let message = "the pod uses resource claims; dynamic resource allocation is not supported";
            Reason::everywhere(Code::DynamicResourcesUnsupported, message, Some("spec.resourceClaims left out".into()))
        })
    }
}

impl Source<'_> {
    /// An API server takes any text for a bound; nothing is above or below what is no number.
    fn bound_that_is_no_number(&self) -> Option<Reason> {
        let terms = self.spec.affinity.node_affinity.required.iter().flat_map(|required| &required.node_selector_terms);
        let is_number = |value: &str| value.parse::<i64>().is_ok_and(|number| number >= 0);
        let (bound, value) = terms.flat_map(|term| &term.match_expressions).find_map(|e| {
            let is_bound = matches!(Operator::parse(&e.operator), Some(Operator::Gt | Operator::Lt));
            e.values.first().filter(|value| is_bound && !is_number(value)).map(|value| (e, value))
        })?;
        let message = format!(
            "required node affinity {} {} {value:?} can never be met: {} takes one whole number from 0",
            bound.key, bound.operator, bound.operator
        );
        let miss = format!("a whole number in place of {value:?}");
        Some(Reason::everywhere(Code::RequirementConflict, message, Some(miss)))
    }
}

/// Asks for devices through resource claims.
pub(super) fn uses_dynamic_resources(spec: &PodSpec) -> bool {
    !spec.resource_claims.is_empty()
}

/// Does required affinity rule out every pool? One term of several is enough for a pod, and one without conditions matches
/// no node.
pub(super) fn opted_out(spec: &PodSpec) -> bool {
    let absent = |e: &super::super::k8s::selector::SelectorExpression| {
        node_key(&e.key) == NODEPOOL && Operator::parse(&e.operator) == Some(Operator::DoesNotExist)
    };
    let terms = spec.affinity.node_affinity.required.iter().flat_map(|required| &required.node_selector_terms);
    let mut terms = terms.filter(|term| !term.match_expressions.is_empty() || !term.match_fields.is_empty()).peekable();
    terms.peek().is_some() && terms.all(|term| term.match_expressions.iter().any(absent))
}

/// What kind of object a pod belongs to.
pub(crate) fn owner(meta: &ObjectMeta) -> Owner {
    if meta.owned_by("DaemonSet") {
        Owner::DaemonSet
    } else if meta.owned_by("Node") || meta.annotations.contains_key("kubernetes.io/config.mirror") {
        Owner::Node
    } else if meta.owned_by("StatefulSet") {
        Owner::StatefulSet
    } else {
        Owner::Other
    }
}

/// Ports on the node: `hostPort`s, and every port of a pod in the host's network. One-off init containers do not count.
fn host_ports(at: &At<'_>, spec: &PodSpec) -> Result<BTreeSet<HostPort>, InputError> {
    let mut out = BTreeSet::new();
    let sidecars = spec.init_containers.iter().enumerate().filter(|(_, container)| container.is_sidecar());
    let all =
        spec.containers.iter().enumerate().map(|c| ("containers", c)).chain(sidecars.map(|c| ("initContainers", c)));
    for (list, (index, container)) in all {
        for (port_index, port) in container.ports.iter().enumerate() {
            let number = if port.host_port == 0 && spec.host_network { port.container_port } else { port.host_port };
            if number == 0 {
                continue;
            }
            let field = |part: &str| format!("{list}[{index}].ports[{port_index}].{part}");
            let number = u16::try_from(number).map_err(|_| {
                at.fault(field("hostPort"), &number.to_string(), "is no port number")
                    .remedy("write a number from 1 to 65535")
            })?;
            let protocol = if port.protocol.is_empty() { "TCP".into() } else { port.protocol.clone() };
            let address = if matches!(&*port.host_ip, "0.0.0.0" | "::") { "".into() } else { port.host_ip.clone() };
            out.insert(HostPort { port: number, protocol, address });
        }
    }
    Ok(out)
}
