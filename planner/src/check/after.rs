//! The cluster as it stands after a plan: every machine that stays or comes, and the pods on it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::model::labels::{HOSTNAME, INITIALIZED, REGISTERED};
use crate::model::pod::PodTerm;
use crate::model::selector::LabelSelector;
use crate::model::taint::untolerated;
use crate::model::{
    CapacityType, InstanceType, Labels, Offering, PodShape, Pool, Requirements, Resources, Snapshot, Str, Taint,
};
use crate::plan::{Launch, Plan, RankedOffering};

use super::Fault;
use super::market::Market;

/// The labels of a machine. For one to be bought, what the offering says covers the rest.
#[derive(Clone, Copy)]
pub(super) struct Stand<'a> {
    pub name: &'a str,
    pub labels: &'a Labels,
    pub sold: Option<(&'a InstanceType, &'a Offering)>,
    /// The type that `labels` were settled for; keys that it leaves open hold for another type only if that has them too.
    pub settled_for: Option<&'a InstanceType>,
    /// What the launch asks for, where there is one.
    pub asked: Option<&'a Requirements>,
}

/// The values a type may be given for a key that it leaves open, default first.
fn open_values<'a>(kind: &'a InstanceType, key: &str) -> Option<&'a [Str]> {
    kind.open_labels.iter().find(|(open, _)| **open == *key).map(|(_, values)| &**values)
}

impl<'a> Stand<'a> {
    /// Value of a label key.
    pub fn label(&self, key: &str) -> Option<&'a str> {
        let sold = self.sold.and_then(|(kind, offering)| kind.label(offering, key));
        let name = || (key == HOSTNAME).then_some(self.name);
        sold.or_else(|| self.settled(key)).or_else(name)
    }

    /// The label of the machine as settled, as far as the type that is sold can have it.
    fn settled(&self, key: &str) -> Option<&'a str> {
        let label = self.labels.get(key);
        let (Some((kind, _)), Some(settled_for)) = (self.sold, self.settled_for) else {
            return label.map(AsRef::as_ref);
        };
        match (open_values(kind, key), open_values(settled_for, key)) {
            (None, None) => label.map(AsRef::as_ref),
            (None, Some(_)) => None,
            (Some(values), _) => {
                // Where nothing is settled yet, the first that is asked for.
                let asked = self.asked.and_then(|asked| asked.get(key));
                let usual = || values.iter().find(|value| asked.is_none_or(|asked| asked.has(value)));
                label.map_or_else(usual, |label| Some(label).filter(|label| values.contains(label))).map(AsRef::as_ref)
            }
        }
    }

    /// Does it satisfy all of these?
    pub fn meets(&self, requirements: &Requirements) -> bool {
        requirements.iter().all(|r| r.allows(self.label(&r.key)))
    }

    /// Do node selector and required node affinity accept it?
    pub fn wanted_by(&self, shape: &PodShape) -> bool {
        self.meets(&shape.node_selector)
            && shape.node_terms.as_ref().is_none_or(|terms| terms.iter().any(|term| self.meets(term)))
    }

    /// Can the pod's volumes be reached from it?
    pub fn reached_by(&self, shape: &PodShape) -> bool {
        shape.volumes.iter().all(|terms| terms.iter().any(|term| self.meets(term)))
    }

    /// Will the `DaemonSet` put a pod on it once it is up?
    pub fn runs(&self, daemon: &PodShape, taints: &[Taint]) -> bool {
        let up = |key: &str| if key == REGISTERED || key == INITIALIZED { Some("true") } else { self.label(key) };
        let meets = |requirements: &Requirements| requirements.iter().all(|r| r.allows(up(&r.key)));
        untolerated(taints, &daemon.tolerations, false).is_none()
            && meets(&daemon.node_selector)
            && daemon.node_terms.as_ref().is_none_or(|terms| terms.iter().any(meets))
    }
}

/// Equal pods on one machine.
pub(super) struct Cell<'a> {
    pub host: usize,
    pub shape: &'a PodShape,
    /// Index of the group for pods that the plan puts here; `None` for pods that were here before.
    pub group: Option<usize>,
    pub pods: Vec<&'a Str>,
    pub terminating: bool,
}

/// A purchase with what its names stand for.
pub(super) struct Bought<'a> {
    pub launch: &'a Launch,
    pub pool: &'a Pool,
    pub kind: &'a InstanceType,
    pub offering: &'a Offering,
    /// What each offering of the list that its own are picked from stands for; shared by launches that share the list.
    pub sold: Rc<Sold<'a>>,
    /// Number of that list.
    pub list: usize,
}

/// What offerings stand for, in their order; nothing for one that is not sold.
pub(super) type Sold<'a> = Vec<Option<(&'a InstanceType, &'a Offering)>>;

/// The lists that were looked up already, by the pool and the list itself; each with a number of its own.
type Lists<'a> = BTreeMap<(*const Pool, *const RankedOffering), (usize, Rc<Sold<'a>>)>;

/// What an offering is called: type, zone, capacity type and reservation.
type Name<'a> = (&'a Str, &'a Str, CapacityType, Option<&'a Str>);

fn name_of(ranked: &RankedOffering) -> Name<'_> {
    (&ranked.instance_type, &ranked.zone, ranked.capacity_type, ranked.reservation.as_ref())
}

/// A machine.
pub(super) struct Host<'a> {
    pub name: &'a Str,
    /// Without what the offering says, for a purchase; shared by launches that share theirs.
    pub labels: Rc<Labels>,
    pub taints: &'a [Taint],
    pub allocatable: &'a Resources,
    pub attach_limits: Option<&'a BTreeMap<Str, u32>>,
    pub bought: Option<Bought<'a>>,
    /// Indices of its cells.
    pub cells: Vec<usize>,
}

impl<'a> Bought<'a> {
    /// Its offerings: the place in the list, the name, and what it stands for if anything.
    pub fn listed(
        &self,
    ) -> impl Iterator<Item = (usize, &'a RankedOffering, Option<(&'a InstanceType, &'a Offering)>)> {
        let offerings = &self.launch.offerings;
        let picks = offerings.picks().iter().map(|pick| *pick as usize);
        picks.zip(offerings.iter()).map(|(pick, ranked)| (pick, ranked, self.sold[pick]))
    }

    /// Its offerings with what each stands for; those that are not sold are left out.
    pub fn offerings(&self) -> impl Iterator<Item = (&'a RankedOffering, &'a InstanceType, &'a Offering)> {
        self.listed().filter_map(|(_, ranked, sold)| sold.map(|(kind, offering)| (ranked, kind, offering)))
    }
}

impl Host<'_> {
    /// Its labels.
    pub fn stand(&self) -> Stand<'_> {
        let sold = self.bought.as_ref().map(|b| (b.kind, b.offering));
        let asked = self.bought.as_ref().map(|b| &*b.launch.requirements);
        Stand { name: self.name, labels: &self.labels, sold, settled_for: sold.map(|(kind, _)| kind), asked }
    }
}

/// All machines and all pods on them, and where the plan's pods are.
pub(super) struct After<'a> {
    pub snapshot: &'a Snapshot,
    pub plan: &'a Plan,
    pub hosts: Vec<Host<'a>>,
    pub cells: Vec<Cell<'a>>,
    /// Pods to place → group.
    pub group_of: BTreeMap<&'a str, usize>,
    /// Required anti-affinity of any pod, placed or not.
    pub anti_terms: BTreeSet<&'a PodTerm>,
    /// What the plan's pods spread by or wish to, hosts aside: selectors of pods in a namespace.
    pub spread_over: BTreeSet<(&'a Str, &'a LabelSelector)>,
    pub market: Market<'a>,
}

impl<'a> After<'a> {
    /// Puts the plan into effect on paper. Launches and nominations that name nothing real are faults and left out.
    pub fn new(snapshot: &'a Snapshot, plan: &'a Plan, faults: &mut Vec<Fault>) -> Self {
        let mut group_of = BTreeMap::new();
        for (at, group) in snapshot.groups.iter().enumerate() {
            group_of.extend(group.pods.iter().map(|pod| (&*pod.key, at)));
        }
        let anti_terms = snapshot.groups.iter().flat_map(|group| &group.shape.anti_affinity).collect();
        let market = Market::new(snapshot);
        let shapes = snapshot.groups.iter().map(|group| &*group.shape);
        let spreads = shapes.flat_map(|shape| shape.spreads.iter().map(|spread| (&shape.namespace, spread)));
        let beyond = spreads.filter(|(_, spread)| *spread.key != *HOSTNAME);
        let spread_over =
            beyond.filter_map(|(namespace, spread)| Some((namespace, spread.selector.as_ref()?))).collect();
        let mut out =
            Self { snapshot, plan, hosts: Vec::new(), cells: Vec::new(), group_of, anti_terms, spread_over, market };
        let mut host_by_name = out.existing();
        for nomination in &plan.nominations {
            if !host_by_name.contains_key(&*nomination.node) {
                faults.push(Fault::UnknownNode { pod: nomination.pod.clone(), node: nomination.node.clone() });
            }
        }
        let nominated = plan.nominations.iter().filter_map(|n| Some((*host_by_name.get(&*n.node)?, &n.pod)));
        let mut put: Vec<(usize, &'a Str)> = nominated.collect();
        let (mut lists, mut own_labels) = (Lists::new(), OwnLabels::new());
        let taken = snapshot.nodes.iter().map(|n| &*n.name).chain(snapshot.claims.iter().map(|c| &*c.name));
        let mut taken: BTreeSet<&str> = taken.collect();
        for launch in &plan.launches {
            if !taken.insert(&launch.name) {
                faults.push(Fault::NameTaken { launch: launch.name.clone() });
            }
            match out.resolve(launch, &mut lists) {
                Ok(bought) => {
                    put.extend(launch.pods.iter().map(|pod| (out.hosts.len(), pod)));
                    host_by_name.insert(&launch.name, out.hosts.len());
                    out.hosts.push(host_of(bought, &mut own_labels));
                }
                Err(fault) => faults.push(fault),
            }
        }
        out.put(put);
        out.anti_terms.extend(out.cells.iter().flat_map(|cell| &cell.shape.anti_affinity));
        out
    }

    /// What the names in a launch stand for.
    #[expect(clippy::result_large_err, reason = "one fault per launch at most, moved once")]
    fn resolve(&self, launch: &'a Launch, lists: &mut Lists<'a>) -> Result<Bought<'a>, Fault> {
        let name = || launch.name.clone();
        let pool = self.snapshot.pools.iter().find(|pool| pool.name == launch.pool);
        let pool = pool.ok_or_else(|| Fault::UnknownPool { launch: name(), pool: launch.pool.clone() })?;
        let chosen = launch.offerings.first().ok_or_else(|| Fault::NoOfferings { launch: name() })?;
        let all = launch.offerings.list();
        let next = lists.len();
        let find = || (next, Rc::new(self.find_all(pool, all)));
        let (list, sold) = lists.entry((std::ptr::from_ref(pool), all.as_ptr())).or_insert_with(find);
        let Some((kind, offering)) = sold[launch.offerings.picks()[0] as usize] else {
            return Err(Fault::NotSold { launch: name(), offering: chosen.clone() });
        };
        Ok(Bought { launch, pool, kind, offering, sold: sold.clone(), list: *list })
    }

    /// What the names in a list stand for. Offerings of one name, such as the partitions of a placement group, stand there
    /// one after another, cheapest first.
    fn find_all(&self, pool: &'a Pool, list: &[RankedOffering]) -> Sold<'a> {
        let mut n_before: BTreeMap<Name, usize> = BTreeMap::new();
        let find = |ranked| {
            let n = n_before.entry(name_of(ranked)).or_default();
            *n += 1;
            self.find(pool, ranked, *n - 1)
        };
        list.iter().map(find).collect()
    }

    /// Of the offerings that a name stands for, and that the pool's requirements do not rule out, the one after so many.
    fn find(
        &self,
        pool: &'a Pool,
        ranked: &RankedOffering,
        n_before: usize,
    ) -> Option<(&'a InstanceType, &'a Offering)> {
        let kind = self.market.kind(pool, &ranked.instance_type)?;
        let same = |o: &&Offering| {
            o.zone == ranked.zone
                && o.capacity_type == ranked.capacity_type
                && o.reservation.as_ref().map(|r| &r.id) == ranked.reservation.as_ref()
                && o.labels.iter().all(|(key, value)| pool.requirements.get(key).is_none_or(|r| r.allows(Some(value))))
        };
        let mut found: Vec<&Offering> = kind.offerings.iter().filter(same).collect();
        found.sort_by_key(|offering| offering.price);
        // One more than there are is one of them again.
        found.get(n_before).or_else(|| found.last()).map(|offering| (kind, *offering))
    }

    fn existing(&mut self) -> BTreeMap<&'a str, usize> {
        let mut host_by_name: BTreeMap<&str, usize> = BTreeMap::new();
        // Pods that stay on a node on its way out are near others as any are; the plan may put nobody beside them.
        for node in self.snapshot.nodes.iter().filter(|node| !node.deleting || node.is_held()) {
            let host = self.hosts.len();
            if !node.deleting {
                host_by_name.insert(&node.name, host);
            }
            let first = self.cells.len();
            self.cells.extend(node.pods.iter().map(|bound| Cell {
                host,
                shape: &bound.shape,
                group: None,
                pods: bound.pods.iter().collect(),
                terminating: bound.terminating,
            }));
            self.hosts.push(Host {
                name: &node.name,
                labels: Rc::new(node.labels.clone()),
                taints: &node.taints,
                allocatable: &node.allocatable,
                attach_limits: Some(&node.attach_limits),
                bought: None,
                cells: (first..self.cells.len()).collect(),
            });
        }
        for claim in self.snapshot.claims.iter().filter(|claim| !claim.deleting) {
            host_by_name.insert(&claim.name, self.hosts.len());
            self.hosts.push(Host {
                name: &claim.name,
                labels: Rc::new(claim.labels.clone()),
                taints: &claim.taints,
                allocatable: &claim.allocatable,
                attach_limits: None,
                bought: None,
                cells: Vec::new(),
            });
        }
        host_by_name
    }

    /// Pods on their machines, by group; unknown pods are left out.
    fn put(&mut self, pods: Vec<(usize, &'a Str)>) {
        let mut by_cell: BTreeMap<(usize, usize), Vec<&'a Str>> = BTreeMap::new();
        for (host, pod) in pods {
            if let Some(&group) = self.group_of.get(&**pod) {
                by_cell.entry((host, group)).or_default().push(pod);
            }
        }
        for ((host, group), pods) in by_cell {
            self.hosts[host].cells.push(self.cells.len());
            let shape = &*self.snapshot.groups[group].shape;
            self.cells.push(Cell { host, shape, group: Some(group), pods, terminating: false });
        }
    }

    /// The cells of a machine.
    pub fn cells_of(&self, host: usize) -> impl Iterator<Item = &Cell<'a>> {
        self.hosts[host].cells.iter().map(|cell| &self.cells[*cell])
    }

    /// Does the plan put pods there?
    pub fn changed(&self, host: usize) -> bool {
        self.cells_of(host).any(|cell| cell.group.is_some())
    }
}

/// Labels of launches without what the offering says, by the labels themselves and the offering.
type OwnLabels = BTreeMap<(*const Labels, *const Offering), Rc<Labels>>;

fn host_of<'a>(bought: Bought<'a>, known: &mut OwnLabels) -> Host<'a> {
    let all = &bought.launch.labels;
    let own = || {
        let own = all.iter().filter(|(key, _)| bought.kind.label(bought.offering, key).is_none());
        Rc::new(own.map(|(key, value)| (key.clone(), value.clone())).collect())
    };
    let labels = known.entry((Arc::as_ptr(all), std::ptr::from_ref(bought.offering))).or_insert_with(own).clone();
    Host {
        name: &bought.launch.name,
        labels,
        taints: &bought.pool.taints,
        allocatable: &bought.kind.allocatable,
        attach_limits: None,
        bought: Some(bought),
        cells: Vec::new(),
    }
}
