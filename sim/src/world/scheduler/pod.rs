//! What the scheduler reads out of a pod.

use std::sync::Arc;

use planner::model::taint::TolerationOperator;
use planner::model::{Effect, Operator, Quantity, Requirement, Resources, Toleration, resources};
use serde_json::{Map, Value};

use crate::kube::object::{list, text};
use crate::kube::{Key, LabelSelector, Object};

/// The resources that every pod asks for.
pub(super) const COMMON: [&str; 3] = [resources::CPU, resources::MEMORY, resources::PODS];

/// A pod as the scheduler sees it.
#[derive(Debug)]
pub(super) struct Pod {
    pub object: Arc<Object>,
    pub key: Key,
    /// With one of `pods`.
    pub requests: Resources,
    /// Those of them that every pod asks for.
    pub common: [i64; 3],
    pub tolerations: Vec<Toleration>,
    /// Any of these must hold; none at all holds everywhere.
    pub node_terms: Vec<NodeTerm>,
    pub preferred: Vec<(i64, NodeTerm)>,
    /// Protocol, address, port.
    pub host_ports: Vec<(String, String, i64)>,
    pub affinity: Vec<PodTerm>,
    pub anti_affinity: Vec<PodTerm>,
    pub spread: Vec<Spread>,
    /// Names of its volume claims.
    pub claims: Vec<String>,
    pub priority: i64,
    /// Equal for pods that can stand for each other.
    pub shape: String,
}

/// Requirements on a node that must all hold.
#[derive(Clone, Debug)]
pub(super) struct NodeTerm {
    labels: Vec<Requirement>,
    /// Requirements on `metadata.name`.
    names: Vec<Requirement>,
}

impl NodeTerm {
    pub fn allows(&self, name: &str, labels: Option<&Map<String, Value>>) -> bool {
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        self.labels.iter().all(|requirement| requirement.allows(label(&requirement.key)))
            && self.names.iter().all(|requirement| requirement.allows(Some(name)))
    }
}

/// Pods to be near to, or away from.
#[derive(Clone, Debug)]
pub(super) struct PodTerm {
    pub pods: Selected,
    pub topology_key: String,
}

/// A constraint on how far pods are spread.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    pub pods: Selected,
    pub topology_key: String,
    pub max_skew: i64,
    pub min_domains: i64,
    /// `DoNotSchedule`; otherwise it is a wish.
    pub is_hard: bool,
}

/// Some of the pods of some namespaces.
#[derive(Clone, Debug)]
pub(super) struct Selected {
    /// Nothing: every namespace.
    namespaces: Option<Vec<String>>,
    selector: Option<LabelSelector>,
    /// Equal for equal selections.
    pub id: String,
}

impl Selected {
    fn new(namespaces: Option<Vec<String>>, selector: Option<&Value>) -> Self {
        let id = format!("{namespaces:?} {}", selector.unwrap_or(&Value::Null));
        Self { namespaces, selector: selector.map(LabelSelector::from_value), id }
    }

    pub fn matches(&self, pod: &Object) -> bool {
        self.namespaces.as_ref().is_none_or(|namespaces| namespaces.iter().any(|name| name == pod.namespace()))
            && self.selector.as_ref().is_some_and(|selector| selector.matches(pod.labels()))
    }
}

impl Pod {
    pub fn read(object: &Arc<Object>) -> Self {
        let pod = object.value();
        let namespace = object.namespace();
        let affinity = |which: &str| {
            let path = format!("/spec/affinity/{which}/requiredDuringSchedulingIgnoredDuringExecution");
            list(pod, &path).map(|term| pod_term(term, namespace)).collect()
        };
        let preferred_path = "/spec/affinity/nodeAffinity/preferredDuringSchedulingIgnoredDuringExecution";
        let preferred = list(pod, preferred_path)
            .filter_map(|wish| Some((wish["weight"].as_i64()?, node_term(wish.get("preference")?))));
        let requests = requests(pod);
        Self {
            object: Arc::clone(object),
            key: object.key(),
            common: COMMON.map(|name| requests.get(name)),
            requests,
            tolerations: list(pod, "/spec/tolerations").map(toleration).collect(),
            node_terms: node_terms(pod),
            preferred: preferred.collect(),
            host_ports: host_ports(pod),
            affinity: affinity("podAffinity"),
            anti_affinity: affinity("podAntiAffinity"),
            spread: list(pod, "/spec/topologySpreadConstraints").map(|spread| spread_of(spread, object)).collect(),
            claims: claims(pod),
            priority: object.at("/spec/priority").and_then(Value::as_i64).unwrap_or_default(),
            shape: shape(object),
        }
    }

    pub fn nominated(&self) -> &str {
        self.object.text("/status/nominatedNodeName")
    }

    pub fn allows_node(&self, name: &str, labels: Option<&Map<String, Value>>) -> bool {
        self.node_terms.is_empty() || self.node_terms.iter().any(|term| term.allows(name, labels))
    }
}

/// What a pod asks for: containers and side-cars together, or the largest init container, and the overhead.
pub(crate) fn requests(pod: &Value) -> Resources {
    let mut main = Resources::default();
    for container in list(pod, "/spec/containers") {
        main.add(&quantities(container.pointer("/resources/requests")));
    }
    let (mut sidecars, mut first) = (Resources::default(), Resources::default());
    for container in list(pod, "/spec/initContainers") {
        let own = quantities(container.pointer("/resources/requests"));
        if container["restartPolicy"] == "Always" {
            sidecars.add(&own);
            first.raise_to(&sidecars);
        } else {
            let mut beside = sidecars.clone();
            beside.add(&own);
            first.raise_to(&beside);
        }
    }
    main.add(&sidecars);
    main.raise_to(&first);
    main.add(&quantities(pod.pointer("/spec/overhead")));
    main.set(resources::PODS, 1);
    main
}

/// Quantities by name; what is no quantity is left out, as the server would have refused it.
pub(super) fn quantities(of: Option<&Value>) -> Resources {
    let fields = of.and_then(Value::as_object).into_iter().flatten();
    let parsed = fields.filter_map(|(name, quantity)| {
        let text = quantity.as_str().map_or_else(|| quantity.to_string(), str::to_owned);
        Some((name.as_str(), Quantity::parse(&text).ok()?))
    });
    Resources::from_quantities(parsed)
}

fn toleration(value: &Value) -> Toleration {
    let operator = match text(value, "/operator") {
        "Exists" => TolerationOperator::Exists,
        "Gt" => TolerationOperator::Gt,
        "Lt" => TolerationOperator::Lt,
        _ => TolerationOperator::Equal,
    };
    Toleration {
        key: text(value, "/key").into(),
        operator,
        value: text(value, "/value").into(),
        effect: Effect::parse(text(value, "/effect")),
    }
}

/// The node selector joined with each term of the affinity.
fn node_terms(pod: &Value) -> Vec<NodeTerm> {
    let selector = pod.pointer("/spec/nodeSelector").and_then(Value::as_object).into_iter().flatten();
    let selector: Vec<Requirement> =
        selector.map(|(key, value)| Requirement::equal(key, value.as_str().unwrap_or_default())).collect();
    let path = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let mut terms: Vec<NodeTerm> = list(pod, path).map(node_term).collect();
    if terms.is_empty() && !selector.is_empty() {
        terms.push(NodeTerm { labels: Vec::new(), names: Vec::new() });
    }
    for term in &mut terms {
        term.labels.extend(selector.iter().cloned());
    }
    terms
}

pub(super) fn node_term(term: &Value) -> NodeTerm {
    NodeTerm {
        labels: list(term, "/matchExpressions").filter_map(requirement).collect(),
        names: list(term, "/matchFields").filter_map(requirement).collect(),
    }
}

fn requirement(value: &Value) -> Option<Requirement> {
    let operator = Operator::parse(text(value, "/operator"))?;
    Some(Requirement::new(text(value, "/key"), operator, list(value, "/values").filter_map(Value::as_str)))
}

fn pod_term(term: &Value, namespace: &str) -> PodTerm {
    let mut namespaces: Vec<String> = list(term, "/namespaces").filter_map(Value::as_str).map(str::to_owned).collect();
    let is_everywhere = term.get("namespaceSelector").is_some_and(Value::is_object);
    if namespaces.is_empty() {
        namespaces.push(namespace.to_owned());
    }
    let selector = term.get("labelSelector").filter(|selector| selector.is_object());
    PodTerm {
        pods: Selected::new((!is_everywhere).then_some(namespaces), selector),
        topology_key: text(term, "/topologyKey").to_owned(),
    }
}

fn spread_of(spread: &Value, pod: &Object) -> Spread {
    let mut selector = spread.get("labelSelector").cloned().unwrap_or(Value::Null);
    for key in list(spread, "/matchLabelKeys").filter_map(Value::as_str) {
        if let (Some(value), true) = (pod.label(key), selector.is_object()) {
            selector["matchLabels"][key] = value.into();
        }
    }
    let number = |field: &str| spread[field].as_i64().unwrap_or(1);
    Spread {
        pods: Selected::new(Some(vec![pod.namespace().to_owned()]), Some(&selector).filter(|s| s.is_object())),
        topology_key: text(spread, "/topologyKey").to_owned(),
        max_skew: number("maxSkew"),
        min_domains: number("minDomains"),
        is_hard: text(spread, "/whenUnsatisfiable") != "ScheduleAnyway",
    }
}

fn host_ports(pod: &Value) -> Vec<(String, String, i64)> {
    let containers = list(pod, "/spec/containers").chain(list(pod, "/spec/initContainers"));
    let ports = containers.flat_map(|container| list(container, "/ports"));
    let host = ports.filter_map(|port| {
        let number = port["hostPort"].as_i64().filter(|number| *number > 0)?;
        let protocol = Some(text(port, "/protocol")).filter(|protocol| !protocol.is_empty()).unwrap_or("TCP");
        let address = Some(text(port, "/hostIP")).filter(|address| !address.is_empty()).unwrap_or("0.0.0.0");
        Some((protocol.to_owned(), address.to_owned(), number))
    });
    host.collect()
}

fn claims(pod: &Value) -> Vec<String> {
    let name = text(pod, "/metadata/name");
    let volumes = list(pod, "/spec/volumes").filter_map(|volume| {
        if volume.get("ephemeral").is_some() {
            return Some(format!("{name}-{}", text(volume, "/name")));
        }
        let claim = volume.pointer("/persistentVolumeClaim/claimName")?;
        claim.as_str().map(str::to_owned)
    });
    volumes.collect()
}

/// Spec, labels and namespace as text. Pods with volumes of their own are like no other.
fn shape(pod: &Object) -> String {
    let claims = claims(pod.value());
    if !claims.is_empty() {
        return pod.key().to_string();
    }
    let labels = pod.at("/metadata/labels").unwrap_or(&Value::Null);
    format!("{} {labels} {}", pod.namespace(), pod.value()["spec"])
}
