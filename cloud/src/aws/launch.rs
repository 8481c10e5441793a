//! Buying a machine for a claim: once, whatever is lost on the way.
//!
//! The claim's uid is the token of the fleet, so that asking again gives the same machine. Where an earlier answer said
//! for certain that nothing was bought, the next attempt has a token of its own (`uid-1`, `uid-2`, …); tokens are tried in
//! this order from the first after a restart too, and each tells again what it came to. A token that was used to ask for
//! something else says so: then the machine is found by its tag.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use planner::model::{CapacityType, Labels, Resources, Str};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::Seller;
use super::call::again;
use super::choice::{RELAXED, choose, lacks_values};
use super::class::{Cluster, Device, Image, NodeClass, Subnet};
use super::fault::{Fault, Kind};
use super::fleet::{Fleet, Outcome, Way};
use super::instances::{CLAIM_TAG, CLASS_TAG, POOL_TAG, TOKEN_TAG, is_alive, of_token, provider_id};
use super::telling::Told;
use super::template::{CLUSTER_TAG, Reservation, Template};
use super::userdata::UserData;
use crate::catalog::AmiFamily;
use crate::labels::{INTERRUPTIBLE, PARTITION, RESERVATION_TYPE, ZONE_ID};
use crate::{Instance, InstanceState, LaunchError, LaunchOrder, Offer, Refused};

const TENANCY: &str = "karpenter.k8s.aws/instance-tenancy";
const EFA: &str = "vpc.amazonaws.com/efa";
const ENCLAVE: &str = "eks.amazonaws.com/nitro-sandbox";
const BY_OVERLAY: &str = "karpenter.sh/price-overlay-applied";

/// How often a machine is looked for that was bought under a token whose answer was lost.
const LOOKS: u32 = 8;
/// How long between two looks; EC2 shows a new machine within seconds.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// The most tokens of which it is remembered how often they were answered with nothing.
const MOST_ATTEMPTS: usize = 20_000;

/// How often each claim was told for certain that nothing was bought.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<(BTreeMap<Str, u32>, VecDeque<Str>)>);

impl Attempts {
    fn of(&self, token: &str) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.get(token).copied().unwrap_or(0)
    }

    fn failed(&self, token: &Str) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (counts, order) = &mut *inner;
        if !counts.contains_key(token) {
            order.push_back(token.clone());
        }
        *counts.entry(token.clone()).or_default() += 1;
        if order.len() > MOST_ATTEMPTS
            && let Some(oldest) = order.pop_front()
        {
            counts.remove(&oldest);
        }
    }
}

impl Seller {
    /// Buys one machine under a class.
    ///
    /// # Errors
    /// What became of it, as [`LaunchError`] tells.
    pub async fn launch(&self, class: &NodeClass, order: &LaunchOrder) -> Result<Instance, LaunchError> {
        let offers = choose(order);
        if offers.is_empty() {
            let message = "no offering in stock meets the claim's requirements".to_owned();
            return Err(LaunchError::InsufficientCapacity { refused: Vec::new(), message });
        }
        if let Some((key, n_values)) = lacks_values(order) {
            let message =
                format!("what is in stock has {n_values} values of {key}, fewer than the claim wants to choose from");
            return Err(LaunchError::InsufficientCapacity { refused: Vec::new(), message });
        }
        // Templates first: whoever waits for one would else use up the turns of those that make it.
        let mut fleet = self.fleet(class, order, &offers).await?;
        let start = Instant::now();
        self.fleet_pace.turn().await;
        // Each claim has a fleet of its own, so that a batch is one.
        self.telling.tell(Told::Batch { name: "create_fleet", size: 1, waited: start.elapsed() });
        self.choose_subnets(class, order, &mut fleet);
        if fleet.ways.is_empty() {
            // Nothing is said against the offerings: another class may have room for them. This one says so by itself, see
            // `has_room`.
            let refused = Vec::new();
            let message = "every subnet of the class in the zones of the offerings is out of addresses".to_owned();
            return Err(LaunchError::InsufficientCapacity { refused, message });
        }
        self.buy(class, order, &fleet, &offers).await
    }

    /// How many addresses of its subnet a machine takes: its own, and one for each pod it is bought for. Where pods have
    /// addresses of IPv6, of which no subnet runs out, its own.
    pub fn n_addresses(&self, order: &LaunchOrder) -> i64 {
        let of_pods = if self.cluster.is_ipv6() { 0 } else { order.requests.get(planner::model::resources::PODS) };
        of_pods.max(0) + 1
    }

    /// Whether one of these subnets that is in the zone has so many addresses left.
    pub fn has_room(&self, subnets: &[Subnet], zone: &str, n_addresses: i64) -> bool {
        self.addresses.best(subnets, zone, n_addresses).is_some()
    }

    /// Chooses subnets anew: others may have been bought in them while this order waited for its turn.
    fn choose_subnets(&self, class: &NodeClass, order: &LaunchOrder, fleet: &mut Fleet<'_>) {
        fleet.ways.retain_mut(|way| {
            match self.addresses.best(&class.subnets, &way.offer.key.zone, self.n_addresses(order)) {
                Some(subnet) => way.subnet = subnet.id.clone(),
                None => return false,
            }
            true
        });
    }

    async fn buy(
        &self,
        class: &NodeClass,
        order: &LaunchOrder,
        fleet: &Fleet<'_>,
        offers: &[&Offer],
    ) -> Result<Instance, LaunchError> {
        let held = self.addresses.hold(fleet.ways.iter().map(|way| &*way.subnet), self.n_addresses(order));
        let answer = again(&self.clients, "ec2:CreateFleet", || fleet.call(&self.clients).send()).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(fault) if fault.kind == Kind::TokenMismatch => {
                return self.bought_before(class, order, offers, fault).await;
            }
            Err(fault) => {
                if fault.kind == Kind::TemplateNotFound {
                    fleet.ways.iter().for_each(|way| self.templates.forget(&way.template));
                }
                return Err(fault.into());
            }
        };
        let outcome = Outcome::read(fleet, &answer);
        for (at, reason) in &outcome.failed {
            let (key, labels) = (&fleet.ways[*at].offer.key, &fleet.ways[*at].offer.labels);
            let zone_id = labels.get(ZONE_ID).map_or("", |id| &**id);
            let capacity_type = key.capacity_type;
            self.telling.tell(Told::LaunchFailed { zone: &key.zone, zone_id, capacity_type, reason });
        }
        outcome.full.iter().for_each(|subnet| self.addresses.mark_full(subnet));
        let Some((id, at)) = outcome.bought.clone() else {
            self.attempts.failed(&order.token);
            return Err(outcome.into_error());
        };
        self.recent.note(&id);
        let Some(at) = at else {
            return self.bought_otherwise((class, order), offers, &id, outcome.refused).await;
        };
        let way = &fleet.ways[at];
        held.keep(&way.subnet);
        Ok(Instance {
            provider_id: provider_id(&way.offer.key.zone, &id).into(),
            image: Some(way.image.clone()),
            subnet: Some(way.subnet.clone()),
            refused: outcome.refused,
            ..instance_of(class, order, way.offer)
        })
    }

    /// The token was used before, to ask for something else: whatever was bought then is the claim's.
    async fn bought_before(
        &self,
        class: &NodeClass,
        order: &LaunchOrder,
        offers: &[&Offer],
        fault: Fault,
    ) -> Result<Instance, LaunchError> {
        if let Some(found) = self.look_for(order).await? {
            return known(class, order, offers, found);
        }
        self.attempts.failed(&order.token);
        let waited = (BETWEEN_LOOKS * LOOKS).as_secs();
        let message = format!("{fault}; no machine of that order was seen in {waited} s");
        Err(LaunchError::Unreachable { reason: LaunchError::FAILED.to_owned(), message })
    }

    /// A machine was bought, and the answer does not say by which of the ways that were asked for: its tag tells what it
    /// is. Until EC2 shows it, the same token is asked again; there is no other, for something was bought.
    async fn bought_otherwise(
        &self,
        (class, order): (&NodeClass, &LaunchOrder),
        offers: &[&Offer],
        id: &str,
        refused: Vec<Refused>,
    ) -> Result<Instance, LaunchError> {
        let Some(found) = self.look_for(order).await? else {
            let message = format!("{id} was bought, and EC2 does not show yet what it is");
            return Err(LaunchError::Unreachable { reason: LaunchError::FAILED.to_owned(), message });
        };
        known(class, order, offers, found).map(|found| Instance { refused, ..found })
    }

    /// Looks several times for the machine that was bought under the order's token.
    async fn look_for(&self, order: &LaunchOrder) -> Result<Option<Instance>, LaunchError> {
        for at in 0..LOOKS {
            if at > 0 {
                sleep(BETWEEN_LOOKS).await;
            }
            if let Some(found) = of_token(&self.clients, &order.token).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// What is asked: for each offer a subnet, an image and a template.
    pub(super) async fn fleet<'a>(
        &self,
        class: &NodeClass,
        order: &LaunchOrder,
        offers: &[&'a Offer],
    ) -> Result<Fleet<'a>, LaunchError> {
        let capacity_type = offers[0].key.capacity_type;
        let reservation = reservation(offers[0]);
        let mut template_tags = class.tags.clone();
        template_tags.extend(self.tags(class, order));
        let mut tags = template_tags.clone();
        tags.insert(TOKEN_TAG.into(), order.token.to_string());
        tags.insert(CLAIM_TAG.into(), order.claim.to_string());
        let mut ways = Vec::new();
        let mut made: BTreeMap<Group<'_>, String> = BTreeMap::new();
        for offer in offers {
            let image = class.images.iter().find(|image| image.requirements.allow(&offer.labels));
            let subnet = self.addresses.best(&class.subnets, &offer.key.zone, self.n_addresses(order));
            let (Some(image), Some(subnet)) = (image, subnet) else { continue };
            let group = group(class, order, offer, image);
            let name = if let Some(name) = made.get(&group) {
                name.clone()
            } else {
                let template = self.template(class, order, offer, image, &template_tags)?;
                let name = self.templates.ensure(&self.clients, &self.fleet_pace, &template).await?;
                made.insert(group, name.clone());
                name
            };
            ways.push(Way { offer, subnet: subnet.id.clone(), image: image.id.clone(), template: name });
        }
        if ways.is_empty()
            && !offers.iter().any(|offer| class.images.iter().any(|image| image.requirements.allow(&offer.labels)))
        {
            let message = format!("no image of the class {} runs on the types asked for", class.name);
            return Err(LaunchError::Rejected { reason: "AMINotFound".to_owned(), message, refused: Vec::new() });
        }
        let attempt = self.attempts.of(&order.token);
        let token = if attempt == 0 { order.token.to_string() } else { format!("{}-{attempt}", order.token) };
        let is_relaxed = order.annotations.get(RELAXED).is_some_and(|value| &**value == "true");
        Ok(Fleet {
            token,
            capacity_type,
            reservation,
            ways,
            by_priority: order.annotations.contains_key(BY_OVERLAY),
            context: class.context.clone().filter(|_| !is_relaxed),
            tags,
        })
    }

    /// Tags of everything that is made: whose it is.
    fn tags(&self, class: &NodeClass, order: &LaunchOrder) -> BTreeMap<String, String> {
        let cluster = self.cluster.name.clone();
        [
            (POOL_TAG.to_owned(), order.pool.as_deref().unwrap_or_default().to_owned()),
            (CLASS_TAG.to_owned(), class.name.clone()),
            (format!("kubernetes.io/cluster/{cluster}"), "owned".to_owned()),
            (CLUSTER_TAG.to_owned(), cluster),
        ]
        .into()
    }

    fn template<'a>(
        &self,
        class: &'a NodeClass,
        order: &LaunchOrder,
        offer: &Offer,
        image: &'a Image,
        tags: &BTreeMap<String, String>,
    ) -> Result<Template<'a>, LaunchError> {
        let mut labels: Labels = order.labels.clone();
        labels.insert("karpenter.sh/capacity-type".into(), offer.key.capacity_type.as_str().into());
        let cluster = Cluster { service_cidr: self.service_cidr().map(str::to_owned), ..self.cluster.clone() };
        let user_data = UserData {
            family: class.family.unwrap_or(AmiFamily::Al2023),
            cluster: &cluster,
            custom: class.user_data.as_deref(),
            labels: &labels,
            taints: order.taints.iter().chain(&order.startup_taints).cloned().collect(),
            kubelet: class.kubelet_of(offer),
            max_pods: max_pods(offer),
            raid0: class.raid0,
            image_name: &image.name,
        };
        let text = user_data.text().map_err(|error| LaunchError::Rejected {
            reason: error.reason().to_owned(),
            message: error.to_string(),
            refused: Vec::new(),
        })?;
        self.telling.tell(Told::UserData { class: &class.name, bytes: text.len() });
        Ok(Template {
            class,
            is_ipv6: self.cluster.is_ipv6(),
            image: &image.id,
            user_data: aws_smithy_types::base64::encode(text.as_bytes()),
            n_efa: i32::try_from(n_efa(order, offer)).unwrap_or(i32::MAX),
            is_spot: offer.key.capacity_type == CapacityType::Spot,
            tenancy: offer.labels.get(TENANCY).map_or_else(|| "default".to_owned(), ToString::to_string),
            reservation: reservation(offer),
            enclave: order.requests.get(ENCLAVE) > 0,
            partition: offer.labels.get(PARTITION).and_then(|partition| partition.parse().ok()),
            tags: tags.clone(),
        })
    }
}

impl NodeClass {
    /// What the kubelet of such a machine is told.
    fn kubelet_of(&self, offer: &Offer) -> &Map<String, Value> {
        self.kubelets.get(&offer.key.instance_type).unwrap_or(&self.kubelet)
    }

    /// The class with the volumes of its family where it names none.
    #[must_use = "the class itself is unchanged"]
    pub fn with_devices_of_family(mut self) -> Self {
        if self.devices.is_empty() {
            self.devices = self.family.map(Device::of_family).unwrap_or_default();
        }
        self
    }
}

/// What machines have to have in common to be made from one template.
type Group<'a> = (&'a str, i64, Option<&'a str>, i64, &'a str, &'a str, String);

fn group<'a>(class: &NodeClass, order: &LaunchOrder, offer: &'a Offer, image: &'a Image) -> Group<'a> {
    let label = |key: &str| offer.labels.get(key).map_or("", |value| &**value);
    let reservation = offer.key.reservation.as_deref();
    let kubelet = class.kubelets.get(&offer.key.instance_type).map(|own| json!(own).to_string()).unwrap_or_default();
    (&image.id, max_pods(offer), reservation, n_efa(order, offer), label(TENANCY), label(PARTITION), kubelet)
}

/// Interfaces for RDMA, for orders that ask for some: as many as the type has.
fn n_efa(order: &LaunchOrder, offer: &Offer) -> i64 {
    if order.requests.get(EFA) > 0 { offer.capacity.get(EFA) } else { 0 }
}

fn max_pods(offer: &Offer) -> i64 {
    offer.capacity.get(planner::model::resources::PODS)
}

fn reservation(offer: &Offer) -> Option<Reservation> {
    let id = offer.key.reservation.as_ref()?.to_string();
    let says = |key: &str, value: &str| offer.labels.get(key).is_some_and(|label| &**label == value);
    Some(Reservation {
        id,
        is_block: says(RESERVATION_TYPE, "capacity-block"),
        is_interruptible: says(INTERRUPTIBLE, "true"),
    })
}

/// A machine that was found by its tag, as the claim's.
fn known(class: &NodeClass, order: &LaunchOrder, offers: &[&Offer], found: Instance) -> Result<Instance, LaunchError> {
    if !is_alive(found.state) {
        let message = format!("the machine {} that was bought for it has ended", found.provider_id);
        return Err(LaunchError::InsufficientCapacity { refused: Vec::new(), message });
    }
    let is_it = |offer: &&&Offer| {
        let key = &offer.key;
        (&key.instance_type, &key.zone, key.capacity_type) == (&found.instance_type, &found.zone, found.capacity_type)
            && key.reservation == found.reservation
    };
    // Offers as they are now, in stock or not: what it is does not change.
    let all = order.offers.iter().collect::<Vec<_>>();
    Ok(match offers.iter().find(is_it).or_else(|| all.iter().find(is_it)) {
        None => found,
        Some(offer) => Instance {
            labels: offer.labels.clone(),
            capacity: with_interfaces(class, order, offer, &offer.capacity),
            allocatable: with_interfaces(class, order, offer, &offer.allocatable),
            ..found
        },
    })
}

/// What the machine has: interfaces for RDMA only if it was bought with some.
fn with_interfaces(class: &NodeClass, order: &LaunchOrder, offer: &Offer, amounts: &Resources) -> Resources {
    let mut amounts = amounts.clone();
    if n_efa(order, offer) == 0 && !class.interfaces.iter().any(|interface| interface.efa_only) {
        amounts.0.remove(EFA);
    }
    amounts
}

/// What is known of a machine before EC2 tells more.
fn instance_of(class: &NodeClass, order: &LaunchOrder, offer: &Offer) -> Instance {
    Instance {
        provider_id: "".into(),
        token: Some(order.token.clone()),
        claim: Some(order.claim.clone()),
        state: InstanceState::Pending,
        instance_type: offer.key.instance_type.clone(),
        zone: offer.key.zone.clone(),
        capacity_type: offer.key.capacity_type,
        reservation: offer.key.reservation.clone(),
        image: None,
        subnet: None,
        security_groups: Vec::new(),
        labels: offer.labels.clone(),
        tags: Labels::new(),
        annotations: Labels::new(),
        capacity: with_interfaces(class, order, offer, &offer.capacity),
        allocatable: with_interfaces(class, order, offer, &offer.allocatable),
        launched_at: 0,
        refused: Vec::new(),
    }
}
