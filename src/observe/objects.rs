//! The objects that were read, by kind; each once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use planner::model::Str;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::digest;
use super::documents::{ItemOf, Sink};
use super::error::{InputError, Origin, printable};
use super::k8s::{
    CapacityBuffer, CsiNode, DaemonSet, Ec2NodeClass, Job, KwokNodeClass, Namespace, Node, NodeClaim, NodeOverlay,
    NodePool, ObjectMeta, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget, PodTemplate,
    PriorityClass, RuntimeClass, Service, StorageClass, Workload,
};
use super::kinds::{Kind, Lookup, Served, look_up};
use super::strict;

/// What becomes of fields that the API does not know, as kubectl's `--validate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validate {
    /// An error.
    #[default]
    Strict,
    /// A note.
    Warn,
    /// Nothing. Wrong types stay errors: such a field cannot be read.
    Ignore,
    /// Every fault of our own kinds goes into [`Objects::faults`]; other kinds as with `Warn`.
    Collect,
}

impl FromStr for Validate {
    /// What to write instead.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "strict" => Ok(Self::Strict),
            "warn" => Ok(Self::Warn),
            "ignore" => Ok(Self::Ignore),
            _ => Err("write strict, warn or ignore".to_owned()),
        }
    }
}

/// An object and where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    pub origin: Origin,
    pub object: T,
}

impl<T> Deref for Sourced<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.object
    }
}

/// An object as it was last seen; shared, because snapshots come and go and objects stay.
pub type Seen<T> = Arc<Sourced<T>>;

/// Everything read, per kind sorted by namespace and name.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    pub pods: Vec<Seen<Pod>>,
    pub nodes: Vec<Seen<Node>>,
    pub namespaces: Vec<Seen<Namespace>>,
    pub claims: Vec<Seen<PersistentVolumeClaim>>,
    pub volumes: Vec<Seen<PersistentVolume>>,
    pub services: Vec<Seen<Service>>,
    pub pod_templates: Vec<Seen<PodTemplate>>,
    pub replication_controllers: Vec<Seen<Workload>>,
    pub deployments: Vec<Seen<Workload>>,
    pub stateful_sets: Vec<Seen<Workload>>,
    pub replica_sets: Vec<Seen<Workload>>,
    pub daemon_sets: Vec<Seen<DaemonSet>>,
    pub jobs: Vec<Seen<Job>>,
    pub budgets: Vec<Seen<PodDisruptionBudget>>,
    pub priority_classes: Vec<Seen<PriorityClass>>,
    pub runtime_classes: Vec<Seen<RuntimeClass>>,
    pub storage_classes: Vec<Seen<StorageClass>>,
    pub csi_nodes: Vec<Seen<CsiNode>>,
    pub node_pools: Vec<Seen<NodePool>>,
    pub node_claims: Vec<Seen<NodeClaim>>,
    pub overlays: Vec<Seen<NodeOverlay>>,
    pub buffers: Vec<Seen<CapacityBuffer>>,
    pub ec2_classes: Vec<Seen<Ec2NodeClass>>,
    pub kwok_classes: Vec<Seen<KwokNodeClass>>,
    /// Pools of a cluster with all their fields.
    pub whole_pools: Vec<Arc<crds::NodePool>>,
    /// Objects of our own kinds as they were written, defaults filled in: (`Kind`, object).
    pub custom: Vec<(&'static str, Sourced<Value>)>,
    /// What was passed over, for stderr.
    pub notes: Vec<String>,
    /// What an API server would refuse and was read all the same; with [`Validate::Collect`] only.
    pub faults: Vec<InputError>,
}

/// Name and namespace of an object that can be sorted.
trait Named {
    fn meta(&self) -> &ObjectMeta;
}

macro_rules! named {
    ($($kind:ty),*) => { $(impl Named for $kind { fn meta(&self) -> &ObjectMeta { &self.metadata } })* };
}
named!(
    Pod,
    Node,
    Namespace,
    PersistentVolumeClaim,
    PersistentVolume,
    Service,
    PodTemplate,
    Workload,
    DaemonSet,
    Job,
    PodDisruptionBudget,
    PriorityClass,
    RuntimeClass,
    StorageClass,
    CsiNode,
    NodePool,
    NodeClaim,
    NodeOverlay,
    CapacityBuffer,
    Ec2NodeClass,
    KwokNodeClass
);

/// Takes objects one at a time, checks them, and keeps each once.
pub(crate) struct Builder {
    objects: Objects,
    validate: Validate,
    /// Digest and place of what was seen under (kind, namespace, name).
    seen: BTreeMap<(Kind, Str, Str), (u64, Origin)>,
    passed_over: BTreeMap<String, usize>,
    /// The kind of the object that was taken last as text: most likely that of the next one.
    last: &'static str,
}

/// An object on its way to its kind.
enum Content<'t> {
    Value(Value),
    /// JSON without fault.
    Text(&'t str),
}

impl Content<'_> {
    fn read<T: DeserializeOwned>(self) -> Result<T, serde_json::Error> {
        match self {
            Self::Value(value) => serde_json::from_value(value),
            Self::Text(text) => serde_json::from_str(text),
        }
    }
}

impl Sink for Builder {
    fn value(&mut self, origin: Origin, value: Value) -> Result<(), InputError> {
        self.add(&origin, value)
    }

    /// Kubernetes' own kinds, when there is nothing to be said against them.
    fn text(&mut self, origin: &Origin, text: &str, of: &ItemOf) -> Result<bool, InputError> {
        let guess = if of.kind.is_empty() { self.last } else { &*of.kind };
        let Some(found) = strict::glance(guess, text, of) else { return Ok(false) };
        let Lookup::Known(served) = look_up(&found.api_version, &found.kind) else { return Ok(false) };
        if served.custom || found.name.is_empty() {
            return Ok(false);
        }
        if !strict::is_sound(served, &found.namespace, &found.name) {
            return Ok(false);
        }
        let (namespace, name) = identity(served, &found.namespace, &found.name);
        let key = (served.kind, namespace, name);
        if let Some((digest, _)) = self.seen.get(&key) {
            return Ok(*digest == found.digest);
        }
        if self.keep(served, origin.clone(), Content::Text(text)).is_err() {
            return Ok(false);
        }
        self.seen.insert(key, (found.digest, origin.clone()));
        self.last = served.name;
        Ok(true)
    }
}

impl Builder {
    pub(crate) fn new(validate: Validate) -> Self {
        Self { objects: Objects::default(), validate, seen: BTreeMap::new(), passed_over: BTreeMap::new(), last: "Pod" }
    }

    /// Takes one object.
    pub(crate) fn add(&mut self, origin: &Origin, mut value: Value) -> Result<(), InputError> {
        let (digest, has_nulls) = digest::of(&value);
        if has_nulls {
            drop_nulls(&mut value);
        }
        let kind = head(&value, "kind", origin)?;
        let api_version = head(&value, "apiVersion", origin)?;
        let served = match look_up(&api_version, &kind) {
            Lookup::Known(served) => served,
            Lookup::Unknown => {
                *self.passed_over.entry(format!("{kind} ({api_version})")).or_default() += 1;
                return Ok(());
            }
            Lookup::Unserved(served) => {
                return Err(InputError::new("this version is not served")
                    .at(origin)
                    .object(title(served, &value))
                    .field("apiVersion")
                    .value(&api_version)
                    .remedy(format!("write apiVersion: {} and adapt the fields", served.api_version())));
            }
        };
        let (namespace, name) = name_of(&value);
        let (namespace, name) = identity(served, namespace, name);
        let object = title(served, &value);
        if name.is_empty() {
            // A name, or metadata, of the wrong type is no lack of a name.
            if value.get("metadata").is_some_and(names_wrongly) {
                let Objects { notes, faults, .. } = &mut self.objects;
                strict::check(served, value, self.validate, origin, &object, notes, faults)?;
            }
            return Err(InputError::new("has no name")
                .at(origin)
                .object(object)
                .field("metadata.name")
                .remedy("give it a name; generateName is filled in by an API server only"));
        }
        match self.seen.entry((served.kind, namespace, name)) {
            Entry::Occupied(first) if first.get().0 == digest => return Ok(()),
            Entry::Occupied(first) => {
                return Err(InputError::new(format!("stands here and in {}, and the two differ", first.get().1))
                    .at(origin)
                    .object(object)
                    .remedy("keep one of them"));
            }
            Entry::Vacant(free) => drop(free.insert((digest, origin.clone()))),
        }
        let Objects { notes, faults, .. } = &mut self.objects;
        let value = strict::check(served, value, self.validate, origin, &object, notes, faults)?;
        if served.custom {
            let written = Sourced { origin: origin.clone(), object: value.clone() };
            self.objects.custom.push((served.name, written));
        }
        let kept = self.keep(served, origin.clone(), Content::Value(value));
        kept.map_err(|error| InputError::new(error.to_string()).at(origin).object(object))
    }

    fn keep(&mut self, served: &Served, origin: Origin, content: Content<'_>) -> Result<(), serde_json::Error> {
        let o = &mut self.objects;
        match served.kind {
            Kind::Pod => push(&mut o.pods, origin, content),
            Kind::Node => push(&mut o.nodes, origin, content),
            Kind::Namespace => push(&mut o.namespaces, origin, content),
            Kind::PersistentVolumeClaim => push(&mut o.claims, origin, content),
            Kind::PersistentVolume => push(&mut o.volumes, origin, content),
            Kind::Service => push(&mut o.services, origin, content),
            Kind::PodTemplate => push(&mut o.pod_templates, origin, content),
            Kind::ReplicationController => push(&mut o.replication_controllers, origin, content),
            Kind::Deployment => push(&mut o.deployments, origin, content),
            Kind::StatefulSet => push(&mut o.stateful_sets, origin, content),
            Kind::ReplicaSet => push(&mut o.replica_sets, origin, content),
            Kind::DaemonSet => push(&mut o.daemon_sets, origin, content),
            Kind::Job => push(&mut o.jobs, origin, content),
            Kind::PodDisruptionBudget => push(&mut o.budgets, origin, content),
            Kind::PriorityClass => push(&mut o.priority_classes, origin, content),
            Kind::RuntimeClass => push(&mut o.runtime_classes, origin, content),
            Kind::StorageClass => push(&mut o.storage_classes, origin, content),
            Kind::CsiNode => push(&mut o.csi_nodes, origin, content),
            Kind::NodePool => push(&mut o.node_pools, origin, content),
            Kind::NodeClaim => push(&mut o.node_claims, origin, content),
            Kind::NodeOverlay => push(&mut o.overlays, origin, content),
            Kind::CapacityBuffer => push(&mut o.buffers, origin, content),
            Kind::Ec2NodeClass => push(&mut o.ec2_classes, origin, content),
            Kind::KwokNodeClass => push(&mut o.kwok_classes, origin, content),
        }
    }

    /// Everything taken, sorted.
    pub(crate) fn finish(self) -> Objects {
        let mut o = self.objects;
        sort(&mut o.pods);
        sort(&mut o.nodes);
        sort(&mut o.namespaces);
        sort(&mut o.claims);
        sort(&mut o.volumes);
        sort(&mut o.services);
        sort(&mut o.pod_templates);
        sort(&mut o.replication_controllers);
        sort(&mut o.deployments);
        sort(&mut o.stateful_sets);
        sort(&mut o.replica_sets);
        sort(&mut o.daemon_sets);
        sort(&mut o.jobs);
        sort(&mut o.budgets);
        sort(&mut o.priority_classes);
        sort(&mut o.runtime_classes);
        sort(&mut o.storage_classes);
        sort(&mut o.csi_nodes);
        sort(&mut o.node_pools);
        sort(&mut o.node_claims);
        sort(&mut o.overlays);
        sort(&mut o.buffers);
        sort(&mut o.ec2_classes);
        sort(&mut o.kwok_classes);
        o.custom.sort_by(|(a_kind, a), (b_kind, b)| (a_kind, name_of(&a.object)).cmp(&(b_kind, name_of(&b.object))));
        for (kind, count) in self.passed_over {
            let objects = if count == 1 { "object" } else { "objects" };
            let kind = printable(&kind);
            o.notes.push(format!("{count} {objects} of kind {kind} passed over: no part of a plan"));
        }
        o.notes.sort();
        o
    }
}

fn sort<T: Named>(list: &mut [Seen<T>]) {
    list.sort_by(|a, b| {
        let key = |x: &T| (x.meta().namespace.clone(), x.meta().name.clone());
        key(&a.object).cmp(&key(&b.object))
    });
}

fn push<T: DeserializeOwned>(
    list: &mut Vec<Seen<T>>,
    origin: Origin,
    content: Content<'_>,
) -> Result<(), serde_json::Error> {
    list.push(Arc::new(Sourced { origin, object: content.read()? }));
    Ok(())
}

fn name_of(value: &Value) -> (&str, &str) {
    let text = |field: &str| value.pointer(field).and_then(Value::as_str).unwrap_or_default();
    (text("/metadata/namespace"), text("/metadata/name"))
}

/// Metadata that are none, or hold a name that is no text.
fn names_wrongly(metadata: &Value) -> bool {
    !metadata.is_object() || metadata.get("name").is_some_and(|name| !name.is_string())
}

/// `kind` or `apiVersion`.
fn head(value: &Value, field: &str, origin: &Origin) -> Result<String, InputError> {
    let fault = match value.get(field) {
        Some(Value::String(text)) => return Ok(text.clone()),
        None => InputError::new(format!("not a Kubernetes object: {field} is missing")),
        Some(other) => {
            let shown = if other.is_object() || other.is_array() { String::new() } else { other.to_string() };
            InputError::new(format!("must be a text, is {}", strict::kind_of(other))).field(field).value(&shown)
        }
    };
    let remedy = "begin the object with apiVersion and kind, such as apiVersion: apps/v1, kind: Deployment";
    Err(fault.at(origin).remedy(remedy))
}

fn identity(served: &Served, namespace: &str, name: &str) -> (Str, Str) {
    let namespace = match (served.namespaced, namespace) {
        (false, _) => "",
        (true, "") => "default",
        (true, namespace) => namespace,
    };
    (namespace.into(), name.into())
}

/// `Kind namespace/name`.
fn title(served: &Served, value: &Value) -> String {
    let (namespace, name) = name_of(value);
    let (namespace, name) = identity(served, namespace, name);
    let slash = if namespace.is_empty() { "" } else { "/" };
    format!("{} {namespace}{slash}{name}", served.name)
}

/// The API server takes a null field for one that is not there.
pub(super) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(extra: Value) -> Value {
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": []}});
        if let (Value::Object(spec), Value::Object(extra)) = (&mut pod["spec"], extra) {
            spec.extend(extra);
        }
        pod
    }

    fn build(validate: Validate, values: &[Value]) -> Result<Objects, InputError> {
        let mut builder = Builder::new(validate);
        for (line, value) in (1..).zip(values) {
            builder.add(&Origin { file: "f.yaml".into(), line }, value.clone())?;
        }
        Ok(builder.finish())
    }

    #[test]
    fn the_same_object_twice_counts_once_and_two_different_ones_are_an_error() {
        let null = json!({"nodeName": null});
        assert_eq!(build(Validate::Strict, &[pod(json!({})), pod(null)]).unwrap().pods.len(), 1);
        let error = build(Validate::Strict, &[pod(json!({})), pod(json!({"nodeName": "n"}))]).unwrap_err();
        assert!(error.to_string().starts_with("f.yaml:2: Pod default/a: stands here and in f.yaml:1"), "{error}");
    }

    #[test]
    fn unknown_fields_are_errors_notes_or_nothing() {
        let wrong = [pod(json!({"nodeNam": "n"}))];
        assert!(build(Validate::Strict, &wrong).unwrap_err().to_string().contains("did you mean nodeName?"));
        assert_eq!(build(Validate::Warn, &wrong).unwrap().notes.len(), 1);
        assert!(build(Validate::Ignore, &wrong).unwrap().notes.is_empty());
        assert!(build(Validate::Ignore, &[pod(json!({"nodeName": 7}))]).is_err(), "a wrong type cannot be read");
    }

    #[test]
    fn unknown_kinds_are_passed_over_with_one_note_per_kind() {
        let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        let objects = build(Validate::Strict, &[map("a"), map("b")]).unwrap();
        assert_eq!(objects.notes, ["2 objects of kind ConfigMap (v1) passed over: no part of a plan"]);
    }

    #[test]
    fn an_unserved_version_is_told_with_the_served_one() {
        let old = json!({"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "a"}});
        let error = build(Validate::Strict, &[old]).unwrap_err();
        assert!(error.to_string().contains("write apiVersion: policy/v1"), "{error}");
    }

    #[test]
    fn a_name_with_control_characters_never_reaches_the_terminal_as_it_is() {
        let bad = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a\u{1b}[2Jb"}});
        let error = build(Validate::Ignore, std::slice::from_ref(&bad)).unwrap_err().to_string();
        assert!(error.contains("a\\u{1b}[2Jb") && !error.contains('\u{1b}'), "{error}");
        let mut builder = Builder::new(Validate::Strict);
        let origin = Origin { file: "f.json".into(), line: 1 };
        assert!(
            !builder.text(&origin, &bad.to_string(), &ItemOf::default()).unwrap(),
            "for the slow reader to tell of"
        );
    }

    #[test]
    fn what_is_no_object_or_has_no_name_is_told() {
        for (value, part) in [
            (json!({"replicaCount": 1}), "kind is missing"),
            (json!({"kind": "Pod"}), "apiVersion is missing"),
            (
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "a-"}}),
                "metadata.name: has no name",
            ),
            (json!({"apiVersion": 1, "kind": "Pod"}), "apiVersion: must be a text, is a number: \"1\""),
            (
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": 5}}),
                "metadata.name: must be a text, is a number: \"5\"\n  remedy: put it in quotes: \"5\"",
            ),
            (
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": "p"}),
                "metadata: must be an object with fields, is a text: \"p\"\n  remedy",
            ),
            (
                json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": 5}}),
                "metadata.name: expected text, found number 5",
            ),
            (
                json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "N_1"}}),
                "metadata.name: is no name for an object of this kind: \"N_1\"\n  remedy",
            ),
        ] {
            let error = build(Validate::Strict, &[value]).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
