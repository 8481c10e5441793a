//! A whole cluster: which pods are to be placed, which lie where, which are left out and why.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use planner::model::group::project;
use planner::model::node::BoundPods;
use planner::model::pod::Owner;
use planner::model::snapshot::{Daemon, Ignored};
use planner::model::{Claim, Code, Node, PodShape, Policies, Pool, Snapshot, Str};

use super::super::error::InputError;
use super::super::k8s::{Pod, PodSpec};
use super::super::objects::{Objects, Sourced};
use super::super::options::{MinValuesPolicy, Options, PreferencePolicy};
use super::at::At;
use super::daemons::{Made, Newest, daemons};
use super::expand::{Missing, finished, missing};
use super::groups::Groups;
use super::pods::{Source, opted_out};
use super::twins::{Known, Twins};
use super::volumes::Mounts;
use super::world::World;
use super::{buffers, defaults, market, nodes, pools, time};

/// Pods of one shape on their way into the snapshot.
struct Batch {
    /// Index into the shapes.
    shape: usize,
    keys: Vec<Str>,
    stand_in: bool,
}

/// A pod that lies on a node and stays there.
pub(super) struct Lying {
    /// Index into the shapes.
    pub(super) shape: usize,
    pub(super) key: Str,
    pub(super) node: Str,
    pub(super) terminating: bool,
    /// It is not bound to the node.
    pub(super) promised: bool,
}

/// What is being gathered.
#[derive(Default)]
pub(super) struct Gathered {
    shapes: Vec<Arc<PodShape>>,
    to_place: Vec<Batch>,
    lying: Vec<Lying>,
    ignored: BTreeMap<(Code, String), Vec<Str>>,
}

/// What stands beside the pods.
pub(super) struct Scenery {
    pub(super) nodes: Vec<Node>,
    pub(super) claims: Vec<Claim>,
    pub(super) pools: Vec<Pool>,
    pub(super) daemons: Vec<Daemon>,
}

/// The snapshot of everything in `objects`; adds what was passed over to `notes`.
pub(crate) fn translate(objects: &Objects, options: &Options, notes: &mut Vec<String>) -> Result<Snapshot, InputError> {
    let world = World::new(objects, options)?;
    let nodes: Vec<Node> = objects.nodes.iter().map(|node| nodes::node(node, &world)).collect::<Result<_, _>>()?;
    let claims = nodes::claims(&world).map(nodes::claim).collect::<Result<_, _>>()?;
    let pools = pools::pools(objects, options, None, notes, &mut Err)?;
    market::places(objects, options, &pools, notes)?;
    market::unknown(objects, options, &pools, notes);
    let made = objects.pods.iter().map(|pod| &pod.object).filter(|pod| !finished(pod)).map(made);
    let daemons = daemons(&world, &Newest::of(&world, made), &mut Err)?;

    let deleting: BTreeMap<Str, bool> = nodes.iter().map(|node| (node.name.clone(), node.deleting)).collect();
    let mut gathered = Gathered::default();
    let mut twins = Twins::default();
    for pod in &objects.pods {
        gathered.take(pod, &deleting, &mut twins, &world)?;
    }
    for workload in missing(objects)? {
        gathered.expand(&workload, &world)?;
    }
    gathered.keep_free(&world, options, notes)?;
    if pools.is_empty() && !objects.pods.is_empty() {
        notes.push("no NodePool in the input: nothing can be bought".into());
    }
    Ok(gathered.compose(Scenery { nodes, claims, pools, daemons }, options))
}

fn made(pod: &Pod) -> Made<'_> {
    let meta = &pod.metadata;
    let created = time::epoch(meta.creation_timestamp.as_deref());
    Made { name: &meta.name, created, meta, spec: &pod.spec, status: &pod.status }
}

fn ignored(((code, message), mut pods): ((Code, String), Vec<Str>)) -> Ignored {
    pods.sort();
    Ignored { code, message, pods }
}

impl Gathered {
    /// A shape that pods will be told to have, by its index.
    pub(super) fn shape(&mut self, shape: Arc<PodShape>) -> usize {
        self.shapes.push(shape);
        self.shapes.len() - 1
    }

    /// Pods of one shape that need a place.
    pub(super) fn place_all(&mut self, shape: usize, keys: Vec<Str>) {
        self.to_place.push(Batch { shape, keys, stand_in: false });
    }

    /// A pod that stays on its node.
    pub(super) fn lies(&mut self, pod: Lying) {
        self.lying.push(pod);
    }

    /// A pod that is not to be placed, and why.
    pub(super) fn ignore(&mut self, code: Code, message: &str, key: Str) {
        self.ignored.entry((code, message.to_owned())).or_default().push(key);
    }

    /// The pods that hold room free for `CapacityBuffers`.
    pub(super) fn keep_free(
        &mut self,
        world: &World<'_>,
        options: &Options,
        notes: &mut Vec<String>,
    ) -> Result<(), InputError> {
        if options.feature_gates.capacity_buffer {
            for stand_ins in buffers::stand_ins(world, notes)? {
                let namespace = stand_ins.first.shape.namespace.clone();
                let keys = (0..stand_ins.count).map(|n| format!("{namespace}/{}-{n}", stand_ins.stem).into()).collect();
                let shape = self.shape(Arc::new(stand_ins.first.shape));
                self.to_place.push(Batch { shape, keys, stand_in: true });
            }
        } else if !world.objects.buffers.is_empty() {
            notes.push("CapacityBuffers keep nothing free: the feature gate CapacityBuffer is off".into());
        }
        Ok(())
    }

    /// Everything together.
    pub(super) fn compose(self, scenery: Scenery, options: &Options) -> Snapshot {
        let Scenery { mut nodes, claims, pools, daemons } = scenery;
        let keys = looked_at(&self.shapes, &daemons);
        let shapes: Vec<Arc<PodShape>> = self.shapes.iter().map(|shape| projected(shape, &keys)).collect();
        lay_down(&mut nodes, self.lying, &shapes);
        let mut groups = Groups::default();
        for batch in self.to_place {
            groups.add((*shapes[batch.shape]).clone(), batch.keys, batch.stand_in, &keys);
        }
        Snapshot {
            taken_at: options.now,
            groups: groups.finish(&keys),
            nodes,
            claims,
            pools,
            daemons: daemons.into_iter().map(|d| Daemon { shape: projected(&d.shape, &keys), ..d }).collect(),
            ignored: self.ignored.into_iter().map(ignored).collect(),
            policies: Policies {
                ignore_preferences: options.preference_policy == PreferencePolicy::Ignore,
                relax_min_values: options.min_values_policy == MinValuesPolicy::BestEffort,
                effort: options.effort,
            },
        }
    }

    /// Sorts one pod of the input into its place.
    fn take<'a>(
        &mut self,
        source: &'a Sourced<Pod>,
        deleting: &BTreeMap<Str, bool>,
        twins: &mut Twins<'a>,
        world: &World<'_>,
    ) -> Result<(), InputError> {
        let Sourced { origin, object } = source;
        if finished(object) {
            return Ok(());
        }
        let mut from = Source::of(At::new(origin, "Pod", &object.metadata, "spec"), object);
        from.owner_selector = defaults::owner_selector(world, &object.metadata);
        let key: Str = format!("{}/{}", from.namespace, object.metadata.name).into();
        let node = &object.spec.node_name;
        let stationary = is_stationary(from.owner);
        let terminating = object.metadata.deleting();
        if node.is_empty() {
            // A pod that is being deleted and never ran is gone in a moment; a DaemonSet's buys nothing.
            if stationary || terminating {
                return Ok(());
            }
            if let Some((code, message)) =
                left_out(&object.spec).or_else(|| nominated(&object.status.nominated_node_name))
            {
                self.ignored.entry((code, message)).or_default().push(key);
                return Ok(());
            }
            let known = twins.find(object);
            if let Known::Twin(batch) = known {
                self.to_place[batch].keys.push(key);
                return Ok(());
            }
            self.place(&from, key, world)?;
            if let Known::New(number) = known {
                twins.remember(number, object, self.to_place.len() - 1);
            }
            return Ok(());
        }
        let Some(node_deleting) = deleting.get(node) else { return Ok(()) };
        let mut shape = from.shape(world)?;
        let moves = *node_deleting
            && is_movable(from.owner, terminating)
            && !shape.do_not_disrupt
            && !world.held_by_budget(&object.metadata, super::super::k8s::pod::is_unready(&object.status));
        from.finish(&mut shape, moves, world)?;
        let shape = self.shape(Arc::new(shape));
        if moves {
            self.place_all(shape, vec![key]);
        } else {
            self.lies(Lying { shape, key, node: node.clone(), terminating, promised: false });
        }
        Ok(())
    }

    fn place(&mut self, from: &Source<'_>, key: Str, world: &World<'_>) -> Result<(), InputError> {
        let mut shape = from.shape(world)?;
        from.finish(&mut shape, true, world)?;
        let shape = self.shape(Arc::new(shape));
        self.place_all(shape, vec![key]);
        Ok(())
    }

    /// The missing pods of a workload: one shape for all, unless each has volumes or labels of its own.
    fn expand(&mut self, workload: &Missing<'_>, world: &World<'_>) -> Result<(), InputError> {
        let template = workload.template;
        let namespace = workload.meta.namespace();
        let key = |name: &Str| -> Str { format!("{namespace}/{name}").into() };
        if let Some((code, message)) = left_out(&template.spec) {
            self.ignored.entry((code, message)).or_default().extend(workload.names.iter().map(key));
            return Ok(());
        }
        let path = if workload.kind == "PodTemplate" { "template.spec" } else { "spec.template.spec" };
        let at = At::new(workload.origin, workload.kind, workload.meta, path);
        let own = workload.kind == "StatefulSet" || Mounts::any(&template.spec, workload.claims);
        let single = workload.names.get(..1).filter(|_| !own);
        let mut base: Option<PodShape> = None;
        for name in single.unwrap_or(&workload.names) {
            let labels = workload.labels(name);
            let from = Source {
                at,
                namespace,
                name,
                labels: &labels,
                annotations: &template.metadata.annotations,
                spec: &template.spec,
                status: None,
                owner: workload.owner,
                templates: workload.claims,
                owner_selector: workload.selector,
            };
            // Selectors may fold in labels of the pod itself, and a StatefulSet's pods differ in two of them.
            let folds = !template.spec.topology_spread_constraints.iter().all(|c| c.match_label_keys.is_empty());
            let mut shape = match &base {
                Some(shape) if !folds => PodShape { labels: labels.clone(), ..shape.clone() },
                _ => from.shape(world)?,
            };
            if base.is_none() {
                base = Some(shape.clone());
            }
            from.finish(&mut shape, true, world)?;
            let names = if own { std::slice::from_ref(name) } else { &workload.names };
            let shape = self.shape(Arc::new(shape));
            self.place_all(shape, names.iter().map(key).collect());
        }
        Ok(())
    }
}

/// Comes with its node and goes with it.
pub(super) fn is_stationary(owner: Owner) -> bool {
    matches!(owner, Owner::DaemonSet | Owner::Node)
}

/// Needs a place elsewhere when its node goes: a `StatefulSet` makes its pod anew only once the old one is gone.
pub(super) fn is_movable(owner: Owner, terminating: bool) -> bool {
    !is_stationary(owner) && (!terminating || owner == Owner::StatefulSet)
}

/// Why pods of this spec are not to be placed.
pub(super) fn left_out(spec: &PodSpec) -> Option<(Code, String)> {
    if !spec.scheduling_gates.is_empty() {
        let gates: Vec<&str> = spec.scheduling_gates.iter().map(|gate| &*gate.name).collect();
        return Some((
            Code::SchedulingGated,
            format!("waits for its scheduling gates to be lifted: {}", gates.join(", ")),
        ));
    }
    if opted_out(spec) {
        let message = "asks for nodes of no NodePool (karpenter.sh/nodepool DoesNotExist)";
        return Some((Code::OptedOut, message.into()));
    }
    None
}

/// Why a pod for which the scheduler keeps a node is not to be placed.
pub(super) fn nominated(node: &str) -> Option<(Code, String)> {
    (!node.is_empty()).then(|| (Code::NotPending, format!("the scheduler is making room for it on node {node}")))
}

/// What becomes of a fault in one object: an error for all, or a note while the others go on.
pub(super) type OnFault<'a> = dyn FnMut(InputError) -> Result<(), InputError> + 'a;

/// Label keys that some selector looks at; no other label can matter.
fn looked_at(shapes: &[Arc<PodShape>], daemons: &[Daemon]) -> BTreeSet<Str> {
    let mut keys = BTreeSet::new();
    for key in shapes.iter().chain(daemons.iter().map(|d| &d.shape)).flat_map(|shape| shape.selector_keys()) {
        if !keys.contains(key) {
            keys.insert(key.clone());
        }
    }
    keys
}

/// The shape with only the labels that some selector looks at.
fn projected(shape: &Arc<PodShape>, keys: &BTreeSet<Str>) -> Arc<PodShape> {
    if shape.labels.keys().all(|key| keys.contains(key)) {
        return shape.clone();
    }
    Arc::new(project((**shape).clone(), keys))
}

/// Pods of one node by the rank of their shape, whether they are being deleted, and whether they are only promised a place.
type OnNode = BTreeMap<(usize, bool, bool), Vec<Str>>;

/// Puts pods on their nodes, equal ones together; equal shapes are shared among nodes.
fn lay_down(nodes: &mut [Node], lying: Vec<Lying>, shapes: &[Arc<PodShape>]) {
    // Deep comparisons once per shape, not once per pod.
    let used: BTreeSet<usize> = lying.iter().map(|pod| pod.shape).collect();
    let distinct: BTreeSet<&Arc<PodShape>> = used.iter().map(|shape| &shapes[*shape]).collect();
    let distinct: Vec<&Arc<PodShape>> = distinct.into_iter().collect();
    let mut rank = vec![0; shapes.len()];
    for shape in used {
        rank[shape] = distinct.binary_search(&&shapes[shape]).unwrap_or_default();
    }
    let mut by_node: HashMap<Str, OnNode> = HashMap::new();
    for pod in lying {
        let alike = (rank[pod.shape], pod.terminating, pod.promised);
        by_node.entry(pod.node).or_default().entry(alike).or_default().push(pod.key);
    }
    for node in nodes {
        let pods = by_node.remove(&node.name).unwrap_or_default();
        node.pods = pods
            .into_iter()
            .map(|((rank, terminating, promised), mut pods)| {
                pods.sort();
                BoundPods { shape: distinct[rank].clone(), pods, terminating, promised }
            })
            .collect();
    }
}
