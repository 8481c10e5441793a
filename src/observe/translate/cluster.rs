//! A whole cluster: which pods are to be placed, which lie where, which are left out and why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use planner::model::group::project;
use planner::model::node::BoundPods;
use planner::model::pod::Owner;
use planner::model::snapshot::{Daemon, Ignored};
use planner::model::{Code, Node, PodShape, Policies, Snapshot, Str};

use super::super::error::InputError;
use super::super::k8s::Pod;
use super::super::objects::{Objects, Sourced};
use super::super::options::{MinValuesPolicy, Options, PreferencePolicy};
use super::at::At;
use super::expand::{Missing, finished, missing};
use super::groups::Groups;
use super::pods::{Source, opted_out, uses_dynamic_resources};
use super::volumes::Mounts;
use super::world::World;
use super::{buffers, defaults, nodes, pools, taints};

/// Pods of one shape on their way into the snapshot.
struct Batch {
    shape: PodShape,
    keys: Vec<Str>,
    stand_in: bool,
}

/// A pod that lies on a node and stays there.
struct Lying {
    shape: PodShape,
    key: Str,
    node: Str,
    terminating: bool,
}

/// What is being gathered.
#[derive(Default)]
struct Gathered {
    to_place: Vec<Batch>,
    lying: Vec<Lying>,
    ignored: BTreeMap<(Code, String), Vec<Str>>,
}

/// The snapshot of everything in `objects`; adds what was passed over to `notes`.
pub(crate) fn translate(objects: &Objects, options: &Options, notes: &mut Vec<String>) -> Result<Snapshot, InputError> {
    let world = World::new(objects, options)?;
    let mut nodes: Vec<Node> = objects.nodes.iter().map(|node| nodes::node(node, &world)).collect::<Result<_, _>>()?;
    let claims = nodes::claims(&world)?;
    let pools = pools::pools(objects, options, notes)?;
    let daemons = daemons(&world)?;

    let deleting: BTreeMap<Str, bool> = nodes.iter().map(|node| (node.name.clone(), node.deleting)).collect();
    let mut gathered = Gathered::default();
    for pod in &objects.pods {
        gathered.take(pod, &deleting, &world)?;
    }
    for workload in missing(objects)? {
        gathered.expand(&workload, &world)?;
    }
    if options.feature_gates.capacity_buffer {
        for stand_ins in buffers::stand_ins(&world, notes)? {
            let namespace = stand_ins.first.shape.namespace.clone();
            let keys = (0..stand_ins.count).map(|n| format!("{namespace}/{}-{n}", stand_ins.stem).into()).collect();
            gathered.to_place.push(Batch { shape: stand_ins.first.shape, keys, stand_in: true });
        }
    } else if !objects.buffers.is_empty() {
        notes.push("CapacityBuffers keep nothing free: the feature gate CapacityBuffer is off".into());
    }
    if pools.is_empty() && !objects.pods.is_empty() {
        notes.push("no NodePool in the input: nothing can be bought".into());
    }

    let keys = looked_at(&gathered, &daemons);
    lay_down(&mut nodes, gathered.lying, &keys);
    let mut groups = Groups::default();
    for batch in gathered.to_place {
        groups.add(batch.shape, batch.keys, batch.stand_in, &keys);
    }
    Ok(Snapshot {
        taken_at: options.now,
        groups: groups.finish(&keys),
        nodes,
        claims,
        pools,
        daemons: daemons
            .into_iter()
            .map(|d| Daemon { shape: Arc::new(project((*d.shape).clone(), &keys)), ..d })
            .collect(),
        ignored: gathered.ignored.into_iter().map(ignored).collect(),
        policies: Policies {
            ignore_preferences: options.preference_policy == PreferencePolicy::Ignore,
            relax_min_values: options.min_values_policy == MinValuesPolicy::BestEffort,
            effort: options.effort,
        },
    })
}

fn ignored(((code, message), mut pods): ((Code, String), Vec<Str>)) -> Ignored {
    pods.sort();
    Ignored { code, message, pods }
}

impl Gathered {
    /// Sorts one pod of the input into its place.
    fn take(
        &mut self,
        source: &Sourced<Pod>,
        deleting: &BTreeMap<Str, bool>,
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
        let stationary = matches!(from.owner, Owner::DaemonSet | Owner::Node);
        let terminating = object.metadata.deleting();
        if node.is_empty() {
            // A pod that is being deleted and never ran is gone in a moment; a DaemonSet's buys nothing.
            if stationary || terminating {
                return Ok(());
            }
            if let Some((code, message)) = left_out(object) {
                self.ignored.entry((code, message)).or_default().push(key);
                return Ok(());
            }
            return self.place(&from, key, world);
        }
        let Some(node_deleting) = deleting.get(node) else { return Ok(()) };
        let mut shape = from.shape(world)?;
        let movable = !stationary && (!terminating || from.owner == Owner::StatefulSet);
        let moves = *node_deleting && movable && !shape.do_not_disrupt && !world.held_by_budget(object);
        from.finish(&mut shape, moves, world)?;
        if moves {
            self.to_place.push(Batch { shape, keys: vec![key], stand_in: false });
        } else {
            self.lying.push(Lying { shape, key, node: node.clone(), terminating });
        }
        Ok(())
    }

    fn place(&mut self, from: &Source<'_>, key: Str, world: &World<'_>) -> Result<(), InputError> {
        let mut shape = from.shape(world)?;
        from.finish(&mut shape, true, world)?;
        self.to_place.push(Batch { shape, keys: vec![key], stand_in: false });
        Ok(())
    }

    /// The missing pods of a workload: one shape for all, unless each has volumes or labels of its own.
    fn expand(&mut self, workload: &Missing<'_>, world: &World<'_>) -> Result<(), InputError> {
        let template = workload.template;
        let namespace = workload.meta.namespace();
        let key = |name: &Str| -> Str { format!("{namespace}/{name}").into() };
        let probe = Pod { spec: template.spec.clone(), ..Pod::default() };
        if let Some((code, message)) = left_out(&probe) {
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
            self.to_place.push(Batch { shape, keys: names.iter().map(key).collect(), stand_in: false });
        }
        Ok(())
    }
}

/// Why a pod without a node is not to be placed.
fn left_out(pod: &Pod) -> Option<(Code, String)> {
    let spec = &pod.spec;
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
    let nominated = &pod.status.nominated_node_name;
    (!nominated.is_empty())
        .then(|| (Code::NotPending, format!("the scheduler is making room for it on node {nominated}")))
}

/// One shape per `DaemonSet`, from its template.
fn daemons(world: &World<'_>) -> Result<Vec<Daemon>, InputError> {
    let mut out = Vec::new();
    for source in &world.objects.daemon_sets {
        let Sourced { origin, object } = &**source;
        let template = &object.spec.template;
        if object.metadata.deleting() || uses_dynamic_resources(&template.spec) {
            continue;
        }
        let from = Source {
            at: At::new(origin, "DaemonSet", &object.metadata, "spec.template.spec"),
            namespace: object.metadata.namespace(),
            name: &object.metadata.name,
            labels: &template.metadata.labels,
            annotations: &template.metadata.annotations,
            spec: &template.spec,
            status: None,
            owner: Owner::DaemonSet,
            templates: &[],
            owner_selector: None,
        };
        let mut shape = from.shape(world)?;
        shape.tolerations.extend(taints::of_daemons(template.spec.host_network));
        shape.tolerations.sort();
        shape.tolerations.dedup();
        out.push(Daemon {
            namespace: from.namespace.into(),
            name: object.metadata.name.clone(),
            shape: Arc::new(shape),
        });
    }
    out.sort_by(|a, b| (&a.name, &a.namespace).cmp(&(&b.name, &b.namespace)));
    Ok(out)
}

/// Label keys that some selector looks at; no other label can matter.
fn looked_at(gathered: &Gathered, daemons: &[Daemon]) -> BTreeSet<Str> {
    let mut keys = BTreeSet::new();
    let to_place = gathered.to_place.iter().map(|batch| &batch.shape);
    let lying = gathered.lying.iter().map(|pod| &pod.shape);
    for key in to_place.chain(lying).chain(daemons.iter().map(|d| d.shape.as_ref())).flat_map(PodShape::selector_keys) {
        if !keys.contains(key) {
            keys.insert(key.clone());
        }
    }
    keys
}

/// Pods of one node by shape and whether they are being deleted.
type OnNode = BTreeMap<(Arc<PodShape>, bool), Vec<Str>>;

/// Puts pods on their nodes, equal ones together; equal shapes are shared among nodes.
fn lay_down(nodes: &mut [Node], lying: Vec<Lying>, keys: &BTreeSet<Str>) {
    let mut shared: BTreeSet<Arc<PodShape>> = BTreeSet::new();
    let mut by_node: BTreeMap<Str, OnNode> = BTreeMap::new();
    for pod in lying {
        let shape = Arc::new(project(pod.shape, keys));
        let known = shared.get(&shape).cloned();
        let shape = known.unwrap_or_else(|| {
            shared.insert(shape.clone());
            shape
        });
        by_node.entry(pod.node).or_default().entry((shape, pod.terminating)).or_default().push(pod.key);
    }
    for node in nodes {
        let pods = by_node.remove(&node.name).unwrap_or_default();
        node.pods = pods
            .into_iter()
            .map(|((shape, terminating), mut pods)| {
                pods.sort();
                BoundPods { shape, pods, terminating }
            })
            .collect();
    }
}
