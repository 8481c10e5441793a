//! What must hold on the server at every moment, whatever was lost, closed or killed: a function over what is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crds::names::core;
use planner::model::{Quantity, Resources};
use serde_json::Value;

use crate::kube::object::list;
use crate::kube::{ApiServer, Id, Key, Object};

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breach {
    /// Two claims say that one instance is theirs.
    TwoClaimsForOneInstance { provider_id: String, claims: Vec<String> },
    /// Two nodes stand for one instance.
    TwoNodesForOneInstance { provider_id: String, nodes: Vec<String> },
    /// A node of a pool without a claim, where nothing is under way that would end it.
    NodeWithoutClaim { node: String, provider_id: String },
    /// A claim that is registered, and the node that it names is gone though the claim is not going.
    ClaimWithoutNode { claim: String, node: String },
    /// A claim with an instance that could vanish without the instance being terminated.
    ClaimWithoutFinalizer { claim: String },
    /// A registered node that could vanish without being drained.
    NodeWithoutFinalizer { node: String },
    /// The claims of a pool add up to more than it may have.
    LimitExceeded { pool: String, resource: String, used: i64, limit: i64 },
    /// A pod is on a node that has not the room for it.
    NodeOverfull { node: String, resource: String, used: i64, allocatable: i64 },
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TwoClaimsForOneInstance { provider_id, claims } => {
                write!(f, "instance {provider_id} has the claims {}", claims.join(" and "))
            }
            Self::TwoNodesForOneInstance { provider_id, nodes } => {
                write!(f, "instance {provider_id} has the nodes {}", nodes.join(" and "))
            }
            Self::NodeWithoutClaim { node, provider_id } => write!(f, "node {node} ({provider_id}) has no claim"),
            Self::ClaimWithoutNode { claim, node } => write!(f, "claim {claim} names the node {node}, which is gone"),
            Self::ClaimWithoutFinalizer { claim } => write!(f, "claim {claim} has an instance and no finalizer"),
            Self::NodeWithoutFinalizer { node } => write!(f, "node {node} is registered and has no finalizer"),
            Self::LimitExceeded { pool, resource, used, limit } => {
                write!(f, "pool {pool} uses {used} of {resource}, its limit is {limit}")
            }
            Self::NodeOverfull { node, resource, used, allocatable } => {
                write!(f, "pods on node {node} ask for {used} of {resource}, it has {allocatable}")
            }
        }
    }
}

/// When the store is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// After any event, also in the middle of things.
    Always,
    /// When nothing is under way any longer: also what may be so for a while is a breach.
    AtRest,
}

/// Every breach, in order.
pub fn breaches(server: &ApiServer, when: When) -> Vec<Breach> {
    let api = server.direct("invariants");
    let claims = api.list(Id::of(crds::Kind::NodeClaim));
    let nodes = api.list(Id::NODE);
    let mut found = instances(&claims, &nodes);
    found.extend(finalizers(&claims, &nodes));
    found.extend(limits(&api.list(Id::of(crds::Kind::NodePool)), &claims, &nodes));
    found.extend(room(&nodes, &api.list(Id::POD)));
    if when == When::AtRest {
        found.extend(pairs(&claims, &nodes));
    }
    found.sort();
    found
}

type Objects<'a> = &'a [Arc<Object>];

/// Names by provider id, where there is one.
fn by_instance<'a>(objects: Objects<'a>, pointer: &str) -> BTreeMap<&'a str, Vec<&'a Arc<Object>>> {
    let mut found: BTreeMap<&str, Vec<&Arc<Object>>> = BTreeMap::new();
    for object in objects {
        let provider_id = object.text(pointer);
        if !provider_id.is_empty() {
            found.entry(provider_id).or_default().push(object);
        }
    }
    found
}

fn names(objects: &[&Arc<Object>]) -> Vec<String> {
    objects.iter().map(|object| object.name().to_owned()).collect()
}

fn instances(claims: Objects<'_>, nodes: Objects<'_>) -> Vec<Breach> {
    let mut found = Vec::new();
    for (provider_id, claims) in by_instance(claims, "/status/providerID") {
        if claims.len() > 1 {
            let provider_id = provider_id.to_owned();
            found.push(Breach::TwoClaimsForOneInstance { provider_id, claims: names(&claims) });
        }
    }
    for (provider_id, nodes) in by_instance(nodes, "/spec/providerID") {
        if nodes.len() > 1 {
            let provider_id = provider_id.to_owned();
            found.push(Breach::TwoNodesForOneInstance { provider_id, nodes: names(&nodes) });
        }
    }
    found
}

fn finalizers(claims: Objects<'_>, nodes: Objects<'_>) -> Vec<Breach> {
    let is_held = |object: &Object| object.finalizers().contains(&core::TERMINATION_FINALIZER);
    let launched = claims.iter().filter(|claim| !claim.text("/status/providerID").is_empty());
    let claims = launched.filter(|claim| !claim.is_deleting() && !is_held(claim));
    let registered = nodes.iter().filter(|node| node.label(core::REGISTERED) == Some("true"));
    let nodes = registered.filter(|node| !node.is_deleting() && !is_held(node));
    claims
        .map(|claim| Breach::ClaimWithoutFinalizer { claim: claim.name().to_owned() })
        .chain(nodes.map(|node| Breach::NodeWithoutFinalizer { node: node.name().to_owned() }))
        .collect()
}

/// Nodes and claims that have lost each other.
fn pairs(claims: Objects<'_>, nodes: Objects<'_>) -> Vec<Breach> {
    let of_claims = by_instance(claims, "/status/providerID");
    let mut found = Vec::new();
    for node in nodes.iter().filter(|node| node.label(core::NODE_POOL).is_some()) {
        let provider_id = node.text("/spec/providerID");
        if !of_claims.contains_key(provider_id) {
            let provider_id = provider_id.to_owned();
            found.push(Breach::NodeWithoutClaim { node: node.name().to_owned(), provider_id });
        }
    }
    let there: BTreeSet<&str> = nodes.iter().map(|node| node.name()).collect();
    for claim in claims.iter().filter(|claim| !claim.is_deleting() && claim.is_condition_true("Registered")) {
        let node = claim.text("/status/nodeName");
        if !there.contains(node) {
            found.push(Breach::ClaimWithoutNode { claim: claim.name().to_owned(), node: node.to_owned() });
        }
    }
    found
}

/// What the pools' claims have: their capacity once it is known; a claim without any counts as one node.
fn limits(pools: Objects<'_>, claims: Objects<'_>, nodes: Objects<'_>) -> Vec<Breach> {
    let capacity = by_instance(nodes, "/spec/providerID");
    let mut found = Vec::new();
    for pool in pools {
        let limits = quantities(pool.at("/spec/limits"));
        let mut used = Resources::default();
        let of_pool = claims.iter().filter(|claim| claim.label(core::NODE_POOL) == Some(pool.name()));
        for claim in of_pool.filter(|claim| !claim.is_deleting()) {
            let node = capacity.get(claim.text("/status/providerID")).and_then(|nodes| nodes.first());
            let own = node.map(|node| quantities(node.at("/status/capacity")));
            let own = own.unwrap_or_else(|| quantities(claim.at("/status/capacity")));
            used.add(&own);
            used.add(&Resources::of([(core::NODES_RESOURCE, 1)]));
        }
        for (resource, limit) in limits.iter().filter(|(resource, limit)| used.get(resource) > *limit) {
            let (pool, used) = (pool.name().to_owned(), used.get(resource));
            found.push(Breach::LimitExceeded { pool, resource: resource.to_string(), used, limit });
        }
    }
    found
}

fn room(nodes: Objects<'_>, pods: Objects<'_>) -> Vec<Breach> {
    let mut used: BTreeMap<&str, Resources> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| !matches!(pod.text("/status/phase"), "Succeeded" | "Failed")) {
        let node = pod.text("/spec/nodeName");
        if !node.is_empty() {
            used.entry(node).or_default().add(&crate::world::requests(pod.value()));
        }
    }
    let mut found = Vec::new();
    for node in nodes {
        let Some(used) = used.get(node.name()) else { continue };
        let allocatable = quantities(node.at("/status/allocatable"));
        for (resource, amount) in used.iter().filter(|(resource, amount)| *amount > allocatable.get(resource)) {
            found.push(Breach::NodeOverfull {
                node: node.name().to_owned(),
                resource: resource.to_string(),
                used: amount,
                allocatable: allocatable.get(resource),
            });
        }
    }
    found
}

fn quantities(of: Option<&Value>) -> Resources {
    let fields = of.and_then(Value::as_object).into_iter().flatten();
    let parsed = fields.filter_map(|(name, quantity)| {
        let text = quantity.as_str().map_or_else(|| quantity.to_string(), str::to_owned);
        Some((name.as_str(), Quantity::parse(&text).ok()?))
    });
    Resources::from_quantities(parsed)
}

/// The claims and nodes of a pool's instances that are left: of use where all of them should be gone.
pub fn leftovers(server: &ApiServer) -> Vec<String> {
    let api = server.direct("invariants");
    let claims = api.list(Id::of(crds::Kind::NodeClaim));
    let nodes = api.list(Id::NODE);
    let claims = claims.iter().map(|claim| format!("NodeClaim {}", claim.name()));
    let nodes = nodes.iter().filter(|node| node.label(core::NODE_POOL).is_some());
    claims.chain(nodes.map(|node| format!("Node {}", node.name()))).collect()
}

/// Pods that wait for a node, in order.
pub fn waiting(server: &ApiServer) -> Vec<Key> {
    let pods = server.direct("invariants").list(Id::POD);
    let is_waiting = |pod: &&Arc<Object>| {
        pod.text("/spec/nodeName").is_empty() && list(pod.value(), "/spec/schedulingGates").next().is_none()
    };
    pods.iter().filter(is_waiting).map(|pod| pod.key()).collect()
}

#[cfg(test)]
mod tests {
    use planner::model::resources;
    use serde_json::json;

    use super::*;
    use crate::kube::Direct;

    fn world() -> (ApiServer, Direct) {
        let server = ApiServer::new(1);
        let api = server.direct("test");
        (server, api)
    }

    fn claim(name: &str, provider_id: &str) -> Value {
        json!({ "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim",
            "metadata": { "name": name, "labels": { "karpenter.sh/nodepool": "p" }, "finalizers": ["karpenter.sh/termination"] },
            "spec": { "requirements": [], "nodeClassRef": { "group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "c" } },
            "status": { "providerID": provider_id, "capacity": { "cpu": "4" } } })
    }

    fn node(name: &str, provider_id: &str) -> Value {
        json!({ "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": name, "labels": { "karpenter.sh/nodepool": "p", "karpenter.sh/registered": "true" },
                "finalizers": ["karpenter.sh/termination"] },
            "spec": { "providerID": provider_id }, "status": { "capacity": { "cpu": "4", "pods": "10" } } })
    }

    fn pool(limits: &Value) -> Value {
        json!({ "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": { "name": "p" }, "spec": { "limits": limits,
            "template": { "spec": { "requirements": [],
                "nodeClassRef": { "group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "c" } } } } })
    }

    #[test]
    fn a_claim_with_its_node_is_as_it_should_be() {
        let (server, api) = world();
        api.put(pool(&json!({ "cpu": "4", "nodes": "1" }))).unwrap();
        api.put(claim("a", "kwok://a")).unwrap();
        api.put(node("a", "kwok://a")).unwrap();
        assert_eq!(breaches(&server, When::AtRest), []);
        assert_eq!(leftovers(&server), ["NodeClaim a", "Node a"]);
    }

    #[test]
    fn an_instance_that_is_claimed_twice_is_seen() {
        let (server, api) = world();
        api.put(claim("a", "kwok://x")).unwrap();
        api.put(claim("b", "kwok://x")).unwrap();
        api.put(node("c", "kwok://x")).unwrap();
        api.put(node("d", "kwok://x")).unwrap();
        let found: Vec<String> = breaches(&server, When::Always).iter().map(Breach::to_string).collect();
        assert_eq!(found, ["instance kwok://x has the claims a and b", "instance kwok://x has the nodes c and d"]);
    }

    #[test]
    fn lost_finalizers_and_lost_halves_are_seen() {
        let (server, api) = world();
        let mut bare = claim("a", "kwok://a");
        bare["metadata"]["finalizers"] = json!([]);
        bare["status"]["nodeName"] = "gone".into();
        bare["status"]["conditions"] = json!([{ "type": "Registered", "status": "True", "reason": "Registered", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z" }]);
        api.put(bare).unwrap();
        let mut bare = node("b", "kwok://b");
        bare["metadata"]["finalizers"] = json!([]);
        api.put(bare).unwrap();
        let always =
            [Breach::ClaimWithoutFinalizer { claim: "a".into() }, Breach::NodeWithoutFinalizer { node: "b".into() }];
        assert_eq!(breaches(&server, When::Always), always);
        let at_rest = breaches(&server, When::AtRest);
        assert!(at_rest.contains(&Breach::NodeWithoutClaim { node: "b".into(), provider_id: "kwok://b".into() }));
        assert!(at_rest.contains(&Breach::ClaimWithoutNode { claim: "a".into(), node: "gone".into() }));
    }

    #[test]
    fn limits_and_room_are_counted() {
        let (server, api) = world();
        api.put(pool(&json!({ "cpu": "7", "nodes": "5" }))).unwrap();
        for name in ["a", "b"] {
            api.put(claim(name, &format!("kwok://{name}"))).unwrap();
        }
        api.put(node("a", "kwok://a")).unwrap();
        for name in ["x", "y"] {
            let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name }, "spec": { "containers": [
                { "name": "c", "image": "i", "resources": { "requests": { "cpu": "3" } } }] } });
            api.create(pod).unwrap();
            api.bind(&Key::new("default", name), "a").unwrap();
        }
        let cpu = resources::CPU.to_owned();
        let expected = [
            Breach::LimitExceeded { pool: "p".into(), resource: cpu.clone(), used: 8000, limit: 7000 },
            Breach::NodeOverfull { node: "a".into(), resource: cpu, used: 6000, allocatable: 4000 },
        ];
        assert_eq!(breaches(&server, When::AtRest), expected);
        assert_eq!(waiting(&server), []);
    }
}
