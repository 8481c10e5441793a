//! A running cluster: the same rules as for files, with what did not change since the last time kept.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crds::names::core::UNREGISTERED_TAINT;
use planner::model::labels::{INSTANCE_TYPE, NODEPOOL};
use planner::model::{Claim, Code, Node, PodShape, Pool, Snapshot, Str};

use super::super::error::{InputError, Origin};
use super::super::k8s::{CsiNode, NodeClaim};
use super::super::mirror::{Form, Pod, Verdict};
use super::super::objects::{Objects, Seen, Sourced};
use super::super::options::Options;
use super::at::At;
use super::classes::Catalogs;
use super::cluster::{Gathered, Lying, Scenery, is_movable, is_stationary, left_out, nominated};
use super::daemons::{Made, Newest, daemons};
use super::pods::Source;
use super::protection::protection;
use super::volumes::Mounts;
use super::world::World;
use super::{defaults, nodes, pools};

/// What the mirror hands over.
pub(crate) struct Live<'a> {
    /// Everything but pods.
    pub(crate) objects: &'a Objects,
    pub(crate) pods: &'a [Arc<Pod>],
    /// Those that wait though the scheduler has not come to them.
    pub(crate) untried: &'a HashSet<Str>,
    /// The claim on whose node a pod has its place, by `namespace/name`.
    pub(crate) promised: &'a HashMap<Str, Str>,
    pub(crate) catalogs: &'a Catalogs,
    /// Changes with any object that pods are read by.
    pub(crate) version: u64,
}

/// Translations of objects that are still what they were.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    forms: HashMap<usize, Known>,
    nodes: HashMap<Str, KnownNode>,
    claims: HashMap<Str, (Seen<NodeClaim>, Claim)>,
}

/// What a form comes to.
#[derive(Debug)]
struct Known {
    /// Held, so that its address stays its own.
    form: Arc<Form>,
    version: u64,
    shapes: Result<Shapes, String>,
    left_out: Option<(Code, String)>,
}

#[derive(Debug)]
struct Shapes {
    /// Of a pod that needs a place.
    waits: Arc<PodShape>,
    /// Of a pod on a node.
    lies: Arc<PodShape>,
    /// The same once the time is over for which it must not be disturbed.
    lies_freely: Arc<PodShape>,
}

#[derive(Debug)]
struct KnownNode {
    node: Seen<super::super::k8s::Node>,
    claim: Option<Seen<NodeClaim>>,
    csi: Option<Seen<CsiNode>>,
    read: Node,
}

/// The snapshot of a running cluster. Objects that cannot be read stay out of it, with a note.
pub(crate) fn live(
    live: &Live<'_>,
    options: &Options,
    cache: &mut Cache,
    notes: &mut Vec<String>,
) -> Result<Snapshot, InputError> {
    let objects = live.objects;
    let world = World::new(objects, options)?;
    let (mut nodes, mut claims) = cache.machines(objects, &world, notes);
    let mut faults = Vec::new();
    let mut note = |fault: InputError| {
        faults.push(fault.to_string());
        Ok(())
    };
    let pools = pools::pools(objects, options, Some(live.catalogs), notes, &mut note)?;
    let made = live.pods.iter().filter(|pod| !pod.is_finished()).map(|pod| made(pod));
    let daemons = daemons(&world, &Newest::of(&world, made), &mut note)?;
    notes.append(&mut faults);
    at_their_largest(objects, &pools, &mut claims);
    let hosts = with_promises(live.promised, &mut nodes, &mut claims);

    let deleting: HashMap<Str, bool> = nodes.iter().map(|node| (node.name.clone(), node.deleting)).collect();
    let mut gathered = Gathered::default();
    cache.pods(live, &world, (&deleting, &hosts), &mut gathered, notes);
    gathered.keep_free(&world, options, notes)?;
    Ok(gathered.compose(Scenery { nodes, claims, pools, daemons }, options))
}

fn made(pod: &Pod) -> Made<'_> {
    let form = &pod.form;
    Made { name: pod.name(), created: pod.created, meta: &form.meta, spec: &form.spec, status: &form.resize }
}

/// A claim on which pods have their place takes part as a node that they lie on. Gives the name that stands for each
/// claim that is coming.
fn with_promises(promised: &HashMap<Str, Str>, nodes: &mut Vec<Node>, claims: &mut Vec<Claim>) -> HashMap<Str, Str> {
    let joined = nodes.iter().filter_map(|node| Some((node.claim.clone()?, node.name.clone())));
    let mut hosts: HashMap<Str, Str> = joined.collect();
    let wanted: BTreeSet<&Str> = promised.values().collect();
    let (with, without): (Vec<Claim>, Vec<Claim>) =
        std::mem::take(claims).into_iter().partition(|claim| wanted.contains(&claim.name));
    *claims = without;
    for claim in with {
        hosts.insert(claim.name.clone(), claim.name.clone());
        nodes.push(Node {
            name: claim.name.clone(),
            labels: claim.labels,
            taints: claim.taints,
            capacity: claim.capacity,
            allocatable: claim.allocatable,
            pool: claim.pool,
            claim: Some(claim.name),
            initialized: false,
            deleting: claim.deleting,
            pods: Vec::new(),
            attach_limits: std::collections::BTreeMap::new(),
        });
    }
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    hosts
}

/// Indices of a form's shapes among those gathered.
#[derive(Default)]
struct Indices {
    waits: Option<usize>,
    lies: Option<usize>,
    lies_freely: Option<usize>,
    moves: Option<usize>,
}

impl Cache {
    /// Nodes and the claims that none of them belongs to.
    fn machines(&mut self, objects: &Objects, world: &World<'_>, notes: &mut Vec<String>) -> (Vec<Node>, Vec<Claim>) {
        let claims: HashMap<&str, &Seen<NodeClaim>> =
            objects.node_claims.iter().map(|claim| (&*claim.metadata.name, claim)).collect();
        let csi: HashMap<&str, &Seen<CsiNode>> =
            objects.csi_nodes.iter().map(|csi| (&*csi.metadata.name, csi)).collect();
        let mut known = std::mem::take(&mut self.nodes);
        let mut out = Vec::with_capacity(objects.nodes.len());
        for node in &objects.nodes {
            let name = &node.metadata.name;
            let claim = world.claim_of(node).and_then(|claim| claims.get(&*claim.metadata.name).copied());
            if claim.is_none() && is_unclaimed(node) {
                continue;
            }
            let csi = csi.get(&**name).copied();
            let entry = known.remove(name).filter(|entry| entry.is_of(node, claim, csi));
            let read = match entry {
                Some(entry) => Ok(entry),
                None => nodes::node(node, world).map(|read| KnownNode {
                    node: node.clone(),
                    claim: claim.cloned(),
                    csi: csi.cloned(),
                    read,
                }),
            };
            match read {
                Ok(entry) => {
                    out.push(entry.read.clone());
                    self.nodes.insert(name.clone(), entry);
                }
                Err(fault) => notes.push(fault.to_string()),
            }
        }
        let mut known = std::mem::take(&mut self.claims);
        let mut coming = Vec::new();
        for claim in nodes::claims(world) {
            let name = &claim.metadata.name;
            let entry = known.remove(name).filter(|(seen, _)| Arc::ptr_eq(seen, claim));
            match entry.map_or_else(|| nodes::claim(claim), |(_, read)| Ok(read)) {
                Ok(read) => {
                    coming.push(read.clone());
                    self.claims.insert(name.clone(), (claim.clone(), read));
                }
                Err(fault) => notes.push(fault.to_string()),
            }
        }
        (out, coming)
    }

    /// Sorts all pods into their places, each form read once.
    fn pods(
        &mut self,
        live: &Live<'_>,
        world: &World<'_>,
        (deleting, hosts): (&HashMap<Str, bool>, &HashMap<Str, Str>),
        gathered: &mut Gathered,
        notes: &mut Vec<String>,
    ) {
        let mut known = std::mem::take(&mut self.forms);
        let mut indices: HashMap<usize, Indices> = HashMap::new();
        let mut to_place: HashMap<usize, Vec<Str>> = HashMap::new();
        for pod in live.pods.iter().filter(|pod| !pod.is_finished()) {
            let address = Arc::as_ptr(&pod.form) as usize;
            let entry = self.forms.entry(address).or_insert_with(|| {
                let entry = known.remove(&address).filter(|entry| entry.version == live.version);
                let entry = entry.unwrap_or_else(|| Known::read(pod, live.version, world));
                notes.extend(entry.shapes.as_ref().err().cloned());
                entry
            });
            let own = indices.entry(address).or_default();
            let promised = live.promised.get(&pod.key).and_then(|claim| hosts.get(claim));
            let waits = pod.verdict == Verdict::Unschedulable || live.untried.contains(&pod.key);
            match (entry.lot(pod, waits, promised, deleting, world), &entry.shapes) {
                (Lot::Nowhere, _) => {}
                (Lot::Ignored(code, message), _) => gathered.ignore(code, &message, pod.key.clone()),
                (_, Err(fault)) => gathered.ignore(Code::UnsupportedField, fault, pod.key.clone()),
                (Lot::Waits, Ok(shapes)) => {
                    let at = *own.waits.get_or_insert_with(|| gathered.shape(shapes.waits.clone()));
                    to_place.entry(at).or_default().push(pod.key.clone());
                }
                (Lot::Moves, Ok(shapes)) => {
                    let at = *own.moves.get_or_insert_with(|| {
                        let moved = PodShape { do_not_disrupt: false, ..(*shapes.waits).clone() };
                        gathered.shape(Arc::new(moved))
                    });
                    to_place.entry(at).or_default().push(pod.key.clone());
                }
                (Lot::Lies { node, promised }, Ok(shapes)) => {
                    if let (true, Some((code, message))) = (promised, nominated(&node)) {
                        gathered.ignore(code, &message, pod.key.clone());
                    }
                    let at = if is_protected(pod, world.now) {
                        *own.lies.get_or_insert_with(|| gathered.shape(shapes.lies.clone()))
                    } else {
                        *own.lies_freely.get_or_insert_with(|| gathered.shape(shapes.lies_freely.clone()))
                    };
                    let (terminating, promised) = (pod.is_deleting(), pod.node.as_ref() != Some(&node));
                    gathered.lies(Lying { shape: at, key: pod.key.clone(), node, terminating, promised });
                }
            }
        }
        for (at, keys) in to_place {
            gathered.place_all(at, keys);
        }
    }
}

/// A claim that is not launched yet counts against the limits of its pool with the largest machine it may become.
fn at_their_largest(objects: &Objects, pools: &[Pool], claims: &mut [Claim]) {
    let unlaunched = objects.node_claims.iter().filter(|claim| claim.status.capacity.is_empty());
    for source in unlaunched {
        let Ok(at) = claims.binary_search_by(|claim| claim.name.cmp(&source.metadata.name)) else { continue };
        let claim = &mut claims[at];
        let Some(pool) = pools.iter().find(|pool| Some(&pool.name) == claim.pool.as_ref()) else { continue };
        if pool.limits.0.is_empty() {
            continue;
        }
        let types = source.spec.requirements.iter().filter(|r| &*r.key == INSTANCE_TYPE && &*r.operator == "In");
        let named: BTreeSet<&str> = types.flat_map(|r| &r.values).map(AsRef::as_ref).collect();
        for kind in pool.types.iter().filter(|kind| named.is_empty() || named.contains(&*kind.name)) {
            claim.capacity.raise_to(&kind.capacity);
        }
    }
}

impl KnownNode {
    fn is_of(
        &self,
        node: &Seen<super::super::k8s::Node>,
        claim: Option<&Seen<NodeClaim>>,
        csi: Option<&Seen<CsiNode>>,
    ) -> bool {
        Arc::ptr_eq(&self.node, node) && same(self.claim.as_ref(), claim) && same(self.csi.as_ref(), csi)
    }
}

fn same<T>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// A node of a pool that has not registered and whose claim does not know it yet: the claim still counts, and stands for
/// both.
fn is_unclaimed(node: &super::super::k8s::Node) -> bool {
    node.metadata.labels.contains_key(NODEPOOL)
        && node.spec.taints.iter().any(|taint| &*taint.key == UNREGISTERED_TAINT)
}

/// Where a pod belongs.
enum Lot {
    /// It is on its way out, or belongs to a node that is not known, or the scheduler has not looked at it yet.
    Nowhere,
    Ignored(Code, String),
    Waits,
    /// Its node goes: it needs another place.
    Moves,
    Lies {
        node: Str,
        /// The scheduler keeps room for it there; it is not bound yet.
        promised: bool,
    },
}

/// Does its annotation protect it still?
fn is_protected(pod: &Pod, now: i64) -> bool {
    protection(pod.form.do_not_disrupt(), pod.started).holds(now)
}

impl Known {
    fn read(pod: &Pod, version: u64, world: &World<'_>) -> Self {
        let form = &pod.form;
        Self {
            form: form.clone(),
            version,
            shapes: shapes(pod, world).map_err(|fault| fault.to_string()),
            left_out: left_out(&form.spec),
        }
    }

    /// `promised`: the node or claim on which an earlier plan has a place for it.
    fn lot(
        &self,
        pod: &Pod,
        waits: bool,
        promised: Option<&Str>,
        deleting: &HashMap<Str, bool>,
        world: &World<'_>,
    ) -> Lot {
        let owner = self.form.owner();
        if let Some(node) = &pod.node {
            let Some(node_deleting) = deleting.get(node) else { return Lot::Nowhere };
            let protected = || self.shapes.is_err() || is_protected(pod, world.now);
            let moves = *node_deleting
                && is_movable(owner, pod.is_deleting())
                && !protected()
                && !world.held_by_budget(&self.form.meta, !pod.ready);
            // What an earlier plan has bought for it is there already.
            let host = promised.filter(|host| deleting.get(*host) == Some(&false));
            return match host {
                Some(host) if moves => Lot::Lies { node: host.clone(), promised: false },
                None if moves => Lot::Moves,
                _ => Lot::Lies { node: node.clone(), promised: false },
            };
        }
        if is_stationary(owner) || pod.is_deleting() {
            return Lot::Nowhere;
        }
        if let Some((code, message)) = &self.left_out {
            return Lot::Ignored(*code, message.clone());
        }
        match &pod.nominated {
            Some(node) if deleting.get(node) == Some(&false) => Lot::Lies { node: node.clone(), promised: true },
            Some(node) => nominated(node).map_or(Lot::Nowhere, |(code, message)| Lot::Ignored(code, message)),
            None if promised.is_some_and(|host| deleting.get(host) == Some(&false)) => {
                Lot::Lies { node: promised.cloned().unwrap_or_default(), promised: false }
            }
            None if waits => Lot::Waits,
            None => Lot::Nowhere,
        }
    }
}

/// What pods of a form look like to the planner.
fn shapes(pod: &Pod, world: &World<'_>) -> Result<Shapes, InputError> {
    let form = &pod.form;
    // Errors name one of the pods.
    let named = super::super::k8s::ObjectMeta {
        name: pod.name().into(),
        namespace: pod.namespace().into(),
        ..super::super::k8s::ObjectMeta::default()
    };
    let origin = Origin { file: "cluster".into(), line: 0 };
    let name = if form.meta.name.is_empty() { pod.name() } else { &form.meta.name };
    let from = Source {
        at: At::new(&origin, "Pod", &named, "spec"),
        namespace: pod.namespace(),
        name,
        labels: &form.meta.labels,
        annotations: &form.meta.annotations,
        spec: &form.spec,
        status: Some(&form.resize),
        owner: form.owner(),
        templates: &[],
        owner_selector: defaults::owner_selector(world, &form.meta),
    };
    let mut lies = from.shape(world)?;
    let mut waits = lies.clone();
    from.finish(&mut waits, true, world)?;
    from.finish(&mut lies, false, world)?;
    debug_assert!(form.meta.name.is_empty() || Mounts::any(&form.spec, &[]), "only volumes go by the name");
    let lies = Arc::new(lies);
    let lies_freely = if lies.do_not_disrupt {
        Arc::new(PodShape { do_not_disrupt: false, ..(*lies).clone() })
    } else {
        lies.clone()
    };
    Ok(Shapes { waits: Arc::new(waits), lies, lies_freely })
}

/// Where an object of the cluster stands for messages.
impl<T> Sourced<T> {
    /// An object that a watch has shown.
    pub(crate) fn watched(object: T) -> Self {
        Self { origin: Origin { file: "cluster".into(), line: 0 }, object }
    }
}
