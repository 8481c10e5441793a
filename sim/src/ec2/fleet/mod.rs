//! `CreateFleet` of type `instant`: buys from the first pools that have stock, and says in the same answer which had not.
//!
//! What EC2 does not document is chosen here and said: a pool is told of in `Errors` if it was tried before the fleet was
//! full, in the order of the strategy; the strategies that go by capacity try pools without stock last.

mod pool;
mod run;

use planner::model::CapacityType;

use super::filter::Tags;
use super::params::Params;
use super::refusal::Refusal;
use super::state::{Answer, State};
use super::tags;
use super::template;
use super::xml::Xml;

use pool::{Order, Pool, Strategy};
pub use run::{DRY_RUN, dry_run};

pub const CREATE: &[&str] = &[
    "ClientToken",
    "Context",
    "DryRun",
    "LaunchTemplateConfigs.#.LaunchTemplateSpecification.LaunchTemplateId",
    "LaunchTemplateConfigs.#.LaunchTemplateSpecification.LaunchTemplateName",
    "LaunchTemplateConfigs.#.LaunchTemplateSpecification.Version",
    "LaunchTemplateConfigs.#.Overrides.#.AvailabilityZone",
    "LaunchTemplateConfigs.#.Overrides.#.ImageId",
    "LaunchTemplateConfigs.#.Overrides.#.InstanceType",
    "LaunchTemplateConfigs.#.Overrides.#.Priority",
    "LaunchTemplateConfigs.#.Overrides.#.SubnetId",
    "OnDemandOptions.AllocationStrategy",
    "ReservedCapacityOptions.ReservationType.#",
    "SpotOptions.AllocationStrategy",
    "TagSpecification.#.ResourceType",
    "TagSpecification.#.Tag.#.Key",
    "TagSpecification.#.Tag.#.Value",
    "TargetCapacitySpecification.DefaultTargetCapacityType",
    "TargetCapacitySpecification.TotalTargetCapacity",
    "Type",
];

/// The most overrides of one fleet, all configurations together.
const MOST_OVERRIDES: usize = 300;
/// The most machines of one instant fleet.
const MOST_CAPACITY: i64 = 10_000;

/// What a fleet did with one pool.
struct Outcome<'a> {
    pool: &'a Pool,
    /// Ids of what was bought.
    bought: Vec<String>,
    /// Code and message of what was not.
    error: Option<(&'static str, String)>,
}

/// `CreateFleet`.
pub fn create(state: &mut State, params: &Params) -> Result<Answer, Refusal> {
    if params.required("Type")? != "instant" {
        return Err(Refusal::unimplemented("CreateFleet of another type than instant"));
    }
    let target =
        params.get("TargetCapacitySpecification").ok_or_else(|| Refusal::missing("TargetCapacitySpecification"))?;
    let wanted = target.number("TotalTargetCapacity")?.ok_or_else(|| Refusal::missing("TotalTargetCapacity"))?;
    if !(1..=MOST_CAPACITY).contains(&wanted) {
        return Err(Refusal::invalid_value(&format!(
            "TotalTargetCapacity {wanted} is not between 1 and {MOST_CAPACITY}"
        )));
    }
    let lifecycle = target.text("DefaultTargetCapacityType").unwrap_or("on-demand");
    let capacity_type = match lifecycle {
        "spot" => CapacityType::Spot,
        "on-demand" | "capacity-block" | "reserved-capacity" => CapacityType::OnDemand,
        other => return Err(Refusal::invalid_value(&format!("Invalid value '{other}' for DefaultTargetCapacityType"))),
    };
    let strategy = strategy(params, capacity_type)?;
    let reservations = params.get("ReservedCapacityOptions").map(|options| options.texts("ReservationType"));
    let is_interruptible = reservations.as_deref() == Some(&["interruptible-capacity-reservation"]);
    if (lifecycle == "reserved-capacity") != is_interruptible {
        let message = "ReservedCapacityOptions.ReservationType interruptible-capacity-reservation goes with reserved-capacity, \
                       and with nothing else";
        return Err(Refusal::new("InvalidFleetConfig", message));
    }
    authorize(state, "CreateFleet", params)?;
    let pools = pools(state, params, capacity_type)?;
    let market = Some(lifecycle).filter(|lifecycle| matches!(*lifecycle, "capacity-block" | "reserved-capacity"));
    let market = market.map(|of| if of == "capacity-block" { of } else { "interruptible-capacity-reservation" });
    if pools.iter().any(|pool| pool.market() != market) {
        let message = format!("The market type of the launch templates does not go with the capacity type {lifecycle}");
        return Err(Refusal::new("InvalidFleetConfig", message));
    }
    let tags = tags::of_kind(params, "instance")?;
    let context = params.text("Context");
    if params.is_true("DryRun") {
        return Err(Refusal::dry_run());
    }
    let fleet = state.id("fleet");
    let token = params.text("ClientToken").unwrap_or_default();
    let wanted = u32::try_from(wanted).unwrap_or(0);
    let order = Order { fleet: &fleet, token, context, tags: &tags };
    let outcomes = fill(state, strategy.order(state, &pools), wanted, order);
    Ok(Answer(write(&fleet, lifecycle, &outcomes)))
}

fn strategy(params: &Params, capacity_type: CapacityType) -> Result<Strategy, Refusal> {
    // Both are looked at, whichever counts.
    let read = |options: &str, of: CapacityType| {
        let name = params.get(options).and_then(|options| options.text("AllocationStrategy"));
        let name = name.unwrap_or("lowest-price");
        Strategy::parse(name, of)
            .ok_or_else(|| Refusal::invalid_value(&format!("Invalid value '{name}' for {options}.AllocationStrategy")))
    };
    let (spot, other) = (read("SpotOptions", CapacityType::Spot)?, read("OnDemandOptions", CapacityType::OnDemand)?);
    Ok(if capacity_type == CapacityType::Spot { spot } else { other })
}

/// Everything that making a fleet (or running machines) touches has to be allowed.
fn authorize(state: &State, action: &str, params: &Params) -> Result<(), Refusal> {
    for thing in ["image/*", "snapshot/*", "security-group/*", "subnet/*"] {
        state.authorize_on(action, thing, &Tags::new())?;
    }
    let mut made = tags::by_kind(params)?;
    let specifications: Vec<&Params> = match action {
        "CreateFleet" => {
            let configs = params.list("LaunchTemplateConfigs").into_iter();
            configs.filter_map(|config| config.get("LaunchTemplateSpecification")).collect()
        }
        _ => params.get("LaunchTemplate").into_iter().collect(),
    };
    for specification in specifications {
        let template = template::named(state, specification)?;
        state.authorize_on(action, &format!("launch-template/{}", template.id), &template.tags)?;
        authorize_named(state, action, &template.data)?;
        made.extend(tags::by_kind(&template.data)?);
    }
    let of = |kind: &str| made.iter().find(|(of, _)| of == kind).map(|(_, tags)| tags.clone()).unwrap_or_default();
    let mut kinds = vec!["instance", "volume", "network-interface"];
    if action == "CreateFleet" {
        kinds.push("fleet");
        let target = params.get("TargetCapacitySpecification");
        if target.and_then(|target| target.text("DefaultTargetCapacityType")) == Some("spot") {
            kinds.push("spot-instances-request");
        }
    }
    kinds.into_iter().try_for_each(|kind| state.authorize_create(action, kind, &of(kind)))
}

/// What a template names has to be allowed too: the role of the profile, the reservation, the placement group.
fn authorize_named(state: &State, action: &str, data: &Params) -> Result<(), Refusal> {
    let profile = data.get("IamInstanceProfile").and_then(|profile| profile.text("Name"));
    if let Some(role) = profile.and_then(|profile| state.land.profiles.get(profile)?.role.as_deref()) {
        state.authorize_passing(role)?;
    }
    let target = data.get("CapacityReservationSpecification").and_then(|of| of.get("CapacityReservationTarget"));
    if let Some(id) = target.and_then(|target| target.text("CapacityReservationId")) {
        let tags = state.reservations.get(id).map(|one| one.tags.clone()).unwrap_or_default();
        state.authorize_on(action, &format!("capacity-reservation/{id}"), &tags)?;
    }
    if let Some(id) = data.get("Placement").and_then(|placement| placement.text("GroupId")) {
        let group = state.placement_groups.values().find(|group| group.id == id);
        let (name, tags) = group.map(|group| (group.name.as_str(), group.tags.clone())).unwrap_or((id, Tags::new()));
        state.authorize_on(action, &format!("placement-group/{name}"), &tags)?;
    }
    Ok(())
}

/// A pool for each override.
fn pools(state: &State, params: &Params, capacity_type: CapacityType) -> Result<Vec<Pool>, Refusal> {
    let configs = params.list("LaunchTemplateConfigs");
    if configs.is_empty() {
        return Err(Refusal::missing("LaunchTemplateConfigs"));
    }
    let mut pools = Vec::new();
    for config in configs {
        let specification = config.get("LaunchTemplateSpecification");
        let specification = specification.ok_or_else(|| Refusal::missing("LaunchTemplateSpecification"))?;
        let template = template::named(state, specification)?;
        let overrides = config.list("Overrides");
        if overrides.is_empty() {
            let message = "The fleet has no instance type: neither template nor overrides name one";
            return Err(Refusal::new("InvalidFleetConfig", message));
        }
        for one in overrides {
            pools.push(Pool::of(state, template, one, capacity_type)?);
        }
    }
    if pools.len() > MOST_OVERRIDES {
        let message = format!("The fleet has {} overrides; at most {MOST_OVERRIDES} are allowed", pools.len());
        return Err(Refusal::new("InvalidFleetConfig", message));
    }
    Ok(pools)
}

/// Goes through the pools until nothing is wanted any more.
fn fill<'a>(state: &mut State, pools: Vec<&'a Pool>, wanted: u32, order: Order<'_>) -> Vec<Outcome<'a>> {
    let mut outcomes = Vec::new();
    let mut n_left = wanted;
    for pool in pools {
        if n_left == 0 {
            break;
        }
        let mut outcome = Outcome { pool, bought: Vec::new(), error: pool.refusal(state) };
        while n_left > 0 && outcome.error.is_none() {
            match pool.buy(state, order) {
                Ok(id) => {
                    n_left -= 1;
                    outcome.bought.push(id);
                }
                Err(error) => outcome.error = Some(error),
            }
        }
        outcomes.push(outcome);
    }
    outcomes
}

fn write(fleet: &str, lifecycle: &str, outcomes: &[Outcome<'_>]) -> Xml {
    let mut xml = Xml::default();
    xml.leaf("fleetId", fleet);
    let failed = outcomes.iter().filter_map(|outcome| Some((outcome.pool, outcome.error.as_ref()?)));
    xml.list("errorSet", failed, |xml, (pool, (code, message))| {
        pool.write(xml);
        xml.leaf("lifecycle", lifecycle);
        xml.leaf("errorCode", code);
        xml.leaf("errorMessage", message);
    });
    let bought = outcomes.iter().filter(|outcome| !outcome.bought.is_empty());
    xml.list("fleetInstanceSet", bought, |xml, outcome| {
        outcome.pool.write(xml);
        xml.leaf("lifecycle", lifecycle);
        xml.texts("instanceIds", &outcome.bought);
        xml.leaf("instanceType", &outcome.pool.key.instance_type);
    });
    xml
}
