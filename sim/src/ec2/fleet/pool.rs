//! One way to fill a fleet: an override, the pool it draws on, and why nothing may come of it.

use cloud::OfferingKey;
use planner::model::CapacityType;

use super::super::filter::Tags;
use super::super::holdings::{Reservation, Template};
use super::super::instance::Instance;
use super::super::land::Zone;
use super::super::news::What;
use super::super::params::Params;
use super::super::placement::Wanted;
use super::super::refusal::Refusal;
use super::super::state::State;
use super::super::xml::Xml;

/// In which order pools are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    LowestPrice,
    Prioritized,
    CapacityOptimized,
    CapacityOptimizedPrioritized,
    PriceCapacityOptimized,
}

/// A pool with fewer machines left than one in so many is too shallow for the strategies that go by capacity.
const SHALLOW: u32 = 10;

impl Strategy {
    pub fn parse(name: &str, capacity_type: CapacityType) -> Option<Self> {
        let is_spot = capacity_type == CapacityType::Spot;
        Some(match name {
            "lowest-price" => Self::LowestPrice,
            "prioritized" if !is_spot => Self::Prioritized,
            "capacity-optimized" if is_spot => Self::CapacityOptimized,
            "capacity-optimized-prioritized" if is_spot => Self::CapacityOptimizedPrioritized,
            "price-capacity-optimized" if is_spot => Self::PriceCapacityOptimized,
            _ => return None,
        })
    }

    /// The pools in the order in which they are tried.
    pub fn order<'a>(self, state: &State, pools: &'a [Pool]) -> Vec<&'a Pool> {
        let now = state.now();
        let price = |pool: &Pool| state.market.price(&pool.key, now).map_or(u64::MAX, |price| price.0.unsigned_abs());
        let depth = |pool: &Pool| state.available(&pool.key);
        let is_shallow = |pool: &Pool| u8::from(depth(pool) < SHALLOW);
        let is_empty = |pool: &Pool| u8::from(depth(pool) == 0);
        let mut order: Vec<&Pool> = pools.iter().collect();
        // Sorts are stable: what is equal stays in the order of the request.
        match self {
            Self::LowestPrice => order.sort_by_cached_key(|pool| price(pool)),
            Self::Prioritized => order.sort_by(|a, b| a.priority.total_cmp(&b.priority)),
            Self::CapacityOptimized => order.sort_by_cached_key(|pool| std::cmp::Reverse(depth(pool))),
            Self::CapacityOptimizedPrioritized => {
                order.sort_by(|a, b| a.priority.total_cmp(&b.priority));
                order.sort_by_cached_key(|pool| (is_empty(pool), is_shallow(pool)));
            }
            Self::PriceCapacityOptimized => {
                order.sort_by_cached_key(|pool| (is_empty(pool), is_shallow(pool), price(pool)));
            }
        }
        order
    }
}

/// How a pool that names no capacity reservation stands to those that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Never,
    First,
    Only,
}

/// What is bought together: by which fleet, under which token, with which tags.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    pub fleet: &'a str,
    pub token: &'a str,
    pub context: Option<&'a str>,
    pub tags: &'a Tags,
}

/// An override of a launch template.
#[derive(Clone, Debug)]
pub struct Pool {
    pub key: OfferingKey,
    template: Template,
    zone: Zone,
    subnet: String,
    image: String,
    /// Lower is better; what names none comes last.
    priority: f64,
    /// As asked.
    asked: Vec<(&'static str, String)>,
    /// Whether it may, or has to, draw on an open capacity reservation.
    open: Open,
    /// Known to be wrong before anything is tried.
    fault: Option<(&'static str, String)>,
}

impl Pool {
    /// # Errors
    /// When the override names no instance type or no place.
    pub fn of(state: &State, template: &Template, one: &Params, capacity_type: CapacityType) -> Result<Self, Refusal> {
        let instance_type = one.required("InstanceType")?;
        let data = &template.data;
        let nowhere = Zone { name: String::new(), id: String::new() };
        let mut fault = None;
        let subnet = one.text("SubnetId").unwrap_or_default();
        let zone = match state.land.subnets.get(subnet) {
            Some(found) => found.zone.clone(),
            None if subnet.is_empty() => return Err(Refusal::missing("SubnetId")),
            None => {
                fault = Some(("InvalidSubnetID.NotFound", format!("The subnet ID '{subnet}' does not exist")));
                nowhere
            }
        };
        if let Some(asked) = one.text("AvailabilityZone").filter(|asked| fault.is_none() && *asked != zone.name) {
            let message = format!("The availability zone {asked} is not that of subnet {subnet}");
            fault = Some(("InvalidParameterCombination", message));
        }
        let specification = data.get("CapacityReservationSpecification");
        let target = specification
            .and_then(|s| s.get("CapacityReservationTarget"))
            .and_then(|t| t.text("CapacityReservationId"));
        let mut key = key(instance_type, &zone.name, capacity_type);
        if let Some(reservation) = target {
            key.capacity_type = CapacityType::Reserved;
            key.reservation = Some(reservation.into());
        }
        let preference = specification.and_then(|specification| specification.text("CapacityReservationPreference"));
        let open = match (key.capacity_type, preference) {
            (CapacityType::OnDemand, None | Some("open")) => Open::First,
            (CapacityType::OnDemand, Some("capacity-reservations-only")) => Open::Only,
            _ => Open::Never,
        };
        let priority = match one.text("Priority") {
            None => f64::INFINITY,
            Some(text) => {
                text.parse().map_err(|_| Refusal::invalid_value(&format!("Invalid value '{text}' for Priority")))?
            }
        };
        let image = one.text("ImageId").or_else(|| data.text("ImageId")).unwrap_or_default().to_owned();
        let named = [
            ("instanceType", "InstanceType"),
            ("subnetId", "SubnetId"),
            ("availabilityZone", "AvailabilityZone"),
            ("priority", "Priority"),
            ("imageId", "ImageId"),
        ];
        let asked = named.into_iter().filter_map(|(element, name)| Some((element, one.text(name)?.to_owned())));
        let asked = asked.collect();
        Ok(Self {
            key,
            template: template.clone(),
            zone,
            subnet: subnet.to_owned(),
            image,
            priority,
            asked,
            open,
            fault,
        })
    }

    /// Why nothing can be bought from the pool, whatever its stock.
    pub fn refusal(&self, state: &State) -> Option<(&'static str, String)> {
        if self.fault.is_some() {
            return self.fault.clone();
        }
        let (instance_type, zone) = (&*self.key.instance_type, self.zone.name.as_str());
        let Some(row) = state.instance_type(instance_type) else {
            return Some(("InvalidParameterValue", format!("Invalid value '{instance_type}' for InstanceType.")));
        };
        if !state.is_sold(instance_type, zone) {
            let message = format!(
                "Your requested instance type ({instance_type}) is not supported in your requested Availability Zone ({zone}). Please \
                 retry your request by not specifying an Availability Zone or choosing another."
            );
            return Some(("Unsupported", message));
        }
        let Some(image) = state.land.images.get(&self.image) else {
            return Some(("InvalidAMIID.NotFound", format!("The image id '[{}]' does not exist", self.image)));
        };
        if !row.arch.contains(&image.arch) {
            let message = format!(
                "The architecture '{}' of the specified instance type does not match the architecture '{}' of the specified AMI. \
                 Specify an instance type and an AMI that have matching architectures, and try again.",
                row.arch.join(","),
                image.arch
            );
            return Some(("InvalidParameterValue", message));
        }
        if self.key.capacity_type == CapacityType::Spot && !state.options.has_spot_role {
            let message = "The provided credentials do not have permission to create the service-linked role for EC2 Spot Instances.";
            return Some(("AuthFailure.ServiceLinkedRoleCreationNotPermitted", message.to_owned()));
        }
        self.things_that_are_not(state)
    }

    fn things_that_are_not(&self, state: &State) -> Option<(&'static str, String)> {
        let data = &self.template.data;
        let profile = data.get("IamInstanceProfile").and_then(|profile| profile.text("Name"));
        let knows = |profile: &&str| state.land.profiles.get(*profile).is_some_and(|one| one.visible_at <= state.now());
        if let Some(profile) = profile.filter(|profile| !knows(profile)) {
            let message = format!(
                "Value ({profile}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
            );
            return Some(("InvalidParameterValue", message));
        }
        let interfaces = data.list("NetworkInterface");
        let groups = interfaces.iter().flat_map(|interface| interface.texts("SecurityGroupId"));
        if let Some(group) = groups.into_iter().find(|group| !state.land.groups.contains_key(*group)) {
            return Some(("InvalidGroup.NotFound", format!("The security group '{group}' does not exist")));
        }
        self.not_reserved(state)
    }

    /// Why the reservation that is named does not take the machine, were it empty.
    fn not_reserved(&self, state: &State) -> Option<(&'static str, String)> {
        let id = self.key.reservation.as_deref()?;
        let fits = |one: &&Reservation| one.instance_type == *self.key.instance_type && one.zone == self.zone;
        let Some(known) = state.reservations.get(id).filter(fits) else {
            let (kind, zone) = (&self.key.instance_type, &self.zone.name);
            let message = format!("The capacity reservation {id} does not exist for {kind} in {zone}");
            return Some(("InvalidCapacityReservationId.NotFound", message));
        };
        let is = known.state(state.seconds());
        if is != "active" {
            return Some(("InvalidCapacityReservationState", format!("The capacity reservation {id} is {is}")));
        }
        let (asked, wanted) = (self.market(), known.market());
        if asked != wanted {
            let [asked, wanted] = [asked, wanted].map(|market| market.unwrap_or("none"));
            let message =
                format!("The capacity reservation {id} takes machines of the market type {wanted}, not {asked}");
            return Some(("InvalidParameterCombination", message));
        }
        None
    }

    /// The market that the template asks for, but for spot.
    pub fn market(&self) -> Option<&str> {
        let options = self.template.data.get("InstanceMarketOptions")?;
        options.text("MarketType").filter(|market| *market != "spot")
    }

    /// The group that the template asks for.
    fn group(&self) -> Option<Wanted> {
        let placement = self.template.data.get("Placement")?;
        let partition = placement.text("PartitionNumber").and_then(|number| number.parse().ok());
        Some(Wanted { group: placement.text("GroupId")?.to_owned(), partition })
    }

    /// The pool that the next machine comes from, if there is one.
    fn source(&self, state: &State) -> Option<OfferingKey> {
        let open = || state.open_reservation(&self.key.instance_type, &self.zone.name);
        let own = || Some(self.key.clone()).filter(|key| state.available(key) > 0);
        match self.open {
            Open::Never => own(),
            Open::First => open().or_else(own),
            Open::Only => open(),
        }
    }

    /// Buys one machine.
    pub fn buy(&self, state: &mut State, order: Order<'_>) -> Result<String, (&'static str, String)> {
        let now = state.now();
        let Some(source) = self.source(state) else { return Err(self.no_stock()) };
        if let Some(error) = self.over_quota(state) {
            return Err(error);
        }
        let row = state.instance_type(&self.key.instance_type);
        let placement = match (self.group(), row) {
            (Some(wanted), Some(row)) => {
                let partition = state.place(&wanted, row, &self.zone.name)?;
                Some((wanted.group, partition))
            }
            _ => None,
        };
        let data = &self.template.data;
        let kinds: Vec<String> = data
            .list("NetworkInterface")
            .iter()
            .map(|interface| interface.text("InterfaceType").unwrap_or("interface").to_owned())
            .collect();
        // An interface for RDMA alone has no address.
        let n_addresses = kinds.iter().filter(|kind| *kind != "efa-only").count().max(1);
        let Some(addresses) = state.land.subnets.get_mut(&self.subnet).and_then(|subnet| subnet.take(n_addresses))
        else {
            let message = format!(
                "There are not enough free addresses in subnet '{}' to satisfy the requested number of instances.",
                self.subnet
            );
            return Err(("InsufficientFreeAddressesInSubnet", message));
        };
        let purchase = state.id("purchase");
        let bought = state.market.buy(now, &purchase, std::slice::from_ref(&source)).map_err(|_| self.no_stock())?;
        let mut instance = self.instance(state, order, (&bought.id, bought.runs_at, addresses, kinds));
        (instance.key, instance.placement) = (source, placement);
        state.tell(&bought.id, now, What::State("pending"));
        state.instances.insert(bought.id.clone(), instance);
        Ok(bought.id)
    }

    fn instance(
        &self,
        state: &State,
        Order { fleet, token, context, tags }: Order<'_>,
        (id, runs_at, addresses, kinds): (&str, i64, Vec<String>, Vec<String>),
    ) -> Instance {
        let now = state.now();
        let data = &self.template.data;
        let row = state.instance_type(&self.key.instance_type);
        let mut group_ids: Vec<&str> =
            data.list("NetworkInterface").iter().flat_map(|one| one.texts("SecurityGroupId")).collect();
        group_ids.sort_unstable();
        group_ids.dedup();
        let name_of = |id: &str| state.land.groups.get(id).map(|group| group.name.clone()).unwrap_or_default();
        let groups = group_ids.into_iter().map(|id| (id.to_owned(), name_of(id))).collect();
        let placement = data.get("Placement");
        let specification = data.get("CapacityReservationSpecification");
        let mut tags = tags.clone();
        tags.insert("aws:ec2launchtemplate:id".to_owned(), self.template.id.clone());
        tags.insert("aws:ec2launchtemplate:version".to_owned(), "1".to_owned());
        tags.insert("aws:ec2:fleet-id".to_owned(), fleet.to_owned());
        let spot_request =
            (self.key.capacity_type == CapacityType::Spot).then(|| format!("sir-{}", &id[id.len() - 8..]));
        let visible_at = now + state.options.visible_after;
        Instance {
            id: id.to_owned(),
            key: self.key.clone(),
            arch: state.land.images.get(&self.image).map(|image| image.arch.clone()).unwrap_or_default(),
            hypervisor: row.map(|row| row.hypervisor.clone()).unwrap_or_default(),
            image: self.image.clone(),
            subnet: self.subnet.clone(),
            zone: self.zone.clone(),
            address: addresses.first().cloned().unwrap_or_default(),
            addresses,
            groups,
            interfaces: kinds,
            profile: data.get("IamInstanceProfile").and_then(|profile| profile.text("Name")).map(str::to_owned),
            user_data: data.text("UserData").unwrap_or_default().to_owned(),
            spot_request,
            reservation_preference: specification
                .and_then(|specification| specification.text("CapacityReservationPreference"))
                .map(str::to_owned),
            tenancy: placement.and_then(|placement| placement.text("Tenancy")).unwrap_or("default").to_owned(),
            placement: None,
            market: self.market().map(str::to_owned),
            context: context.map(str::to_owned),
            client_token: token.to_owned(),
            launched_at: now,
            runs_at,
            visible_at,
            ends_at: None,
            gone_at: None,
            reason: "",
            impaired: (None, None),
            event: None,
            tags,
        }
    }

    fn no_stock(&self) -> (&'static str, String) {
        let (kind, zone) = (&*self.key.instance_type, self.zone.name.as_str());
        match self.key.capacity_type {
            _ if self.open == Open::Only => (
                "ReservationCapacityExceeded",
                format!("No open capacity reservation has room for {kind} in {zone}."),
            ),
            CapacityType::Reserved => (
                "ReservationCapacityExceeded",
                "The requested reservation does not have sufficient compatible and available capacity for this request.".to_owned(),
            ),
            CapacityType::Spot => (
                "InsufficientInstanceCapacity",
                "There is no Spot capacity available that matches your request.".to_owned(),
            ),
            CapacityType::OnDemand => {
                let message = format!(
                    "We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone}). Our system will be \
                     working on provisioning additional capacity."
                );
                ("InsufficientInstanceCapacity", message)
            }
        }
    }

    /// The account may run so many vCPUs, on demand and on spot apart.
    fn over_quota(&self, state: &State) -> Option<(&'static str, String)> {
        let vcpus = |key: &OfferingKey| state.instance_type(&key.instance_type).map_or(0, |row| row.vcpus);
        let quota = match self.key.capacity_type {
            CapacityType::Spot => state.options.spot_vcpus?,
            CapacityType::OnDemand => state.options.on_demand_vcpus?,
            CapacityType::Reserved => return None,
        };
        let of_kind = state
            .instances
            .values()
            .filter(|one| one.gone_at.is_none() && one.key.capacity_type == self.key.capacity_type);
        let used: i64 = of_kind.map(|one| vcpus(&one.key)).sum();
        if used + vcpus(&self.key) <= i64::from(quota) {
            return None;
        }
        if self.key.capacity_type == CapacityType::Spot {
            return Some(("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded".to_owned()));
        }
        let message = format!(
            "You have requested more vCPU capacity than your current vCPU limit of {quota} allows for the instance bucket that the \
             specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to \
             this limit."
        );
        Some(("VcpuLimitExceeded", message))
    }

    /// `launchTemplateAndOverrides`.
    pub fn write(&self, xml: &mut Xml) {
        xml.node("launchTemplateAndOverrides", |xml| {
            xml.node("launchTemplateSpecification", |xml| {
                xml.leaf("launchTemplateId", &self.template.id);
                xml.leaf("version", 1);
            });
            xml.node("overrides", |xml| self.asked.iter().for_each(|(element, value)| xml.leaf(element, value)));
        });
    }
}

/// The pool of a plain offering.
fn key(instance_type: &str, zone: &str, capacity_type: CapacityType) -> OfferingKey {
    OfferingKey { instance_type: instance_type.into(), zone: zone.into(), capacity_type, reservation: None }
}
