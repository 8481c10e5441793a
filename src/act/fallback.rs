//! What the machines of a plan may become when the ones planned cannot be had. Where their pool has limits, several that fall
//! back at once must not overshoot them together.

use std::collections::{BTreeMap, BTreeSet};

use planner::model::resources::NODES;
use planner::model::{InstanceType, Pool, Resources, Snapshot, Str};
use planner::plan::{Launch, Offerings, RankedOffering};

/// The pools with limits, and what those leave when everything is as planned.
pub(crate) struct Room<'a> {
    pools: BTreeMap<&'a str, Limited<'a>>,
    /// `minValues` that there is no room for are lowered.
    lowers: bool,
}

/// A claim waits: there is no room for all of a plan to have the choice that `minValues` ask for.
#[derive(Debug, thiserror::Error)]
#[error(
    "limits of NodePool {pool} leave no room for all its new machines to become any of {least} values of {key}, as \
        minValues asks: this one follows when the others are bought"
)]
pub struct LittleRoom {
    pool: Str,
    key: Str,
    least: usize,
}

struct Limited<'a> {
    pool: &'a Pool,
    /// By name; overlays can make several of one.
    kinds: BTreeMap<&'a str, Vec<&'a InstanceType>>,
    left: Resources,
}

impl<'a> Room<'a> {
    /// What the limits leave beside the nodes, the claims and the launches of a plan.
    pub fn new(snapshot: &'a Snapshot, launches: &[Launch]) -> Self {
        let with_limits = snapshot.pools.iter().filter(|pool| !pool.limits.0.is_empty());
        let one = |pool: &'a Pool| {
            let mut left = pool.limits.clone();
            left.add_times(&snapshot.in_use(&pool.name), -1);
            for launch in launches.iter().filter(|launch| launch.pool == pool.name) {
                left.add_times(&launch.capacity, -1);
            }
            left.0.retain(|resource, _| pool.limits.0.contains_key(resource) && **resource != *NODES);
            let mut kinds: BTreeMap<&str, Vec<&InstanceType>> = BTreeMap::new();
            pool.types.iter().for_each(|kind| kinds.entry(&kind.name).or_default().push(kind));
            (&*pool.name, Limited { pool, kinds, left })
        };
        Self { pools: with_limits.map(one).collect(), lowers: snapshot.policies.relax_min_values }
    }

    /// The launch with the types that its claim may become: none that takes more of what is limited than the one planned,
    /// but for those without which `minValues` are not met, the cheapest first. There may be no room for these while others
    /// can still become larger.
    pub fn narrow(&mut self, launch: &Launch) -> Result<Launch, LittleRoom> {
        let mut narrowed = launch.clone();
        let Some(limited) = self.pools.get_mut(&*launch.pool).filter(|limited| !limited.left.0.is_empty()) else {
            return Ok(narrowed);
        };
        let choice = Choice { limited, launch };
        let mut names: BTreeSet<&Str> = launch.offerings.iter().map(|offering| &offering.instance_type).collect();
        names.retain(|name| choice.growth(name).0.is_empty());
        let mut growth = Resources::default();
        for (key, least) in choice.wanted() {
            let mut have = choice.values(&key, &names);
            for offering in launch.offerings.iter() {
                let name = &offering.instance_type;
                if have.len() >= least {
                    break;
                }
                if names.contains(name) || choice.values_of(offering, &key).all(|value| have.contains(value)) {
                    continue;
                }
                let mut more = growth.clone();
                more.raise_to(&choice.growth(name));
                if more.fits(&limited.left) {
                    growth = more;
                    names.insert(name);
                    have = choice.values(&key, &names);
                }
            }
            if have.len() < least && !self.lowers {
                return Err(LittleRoom { pool: launch.pool.clone(), key, least });
            }
            if have.len() < least {
                let have = u32::try_from(have.len()).unwrap_or(u32::MAX);
                narrowed.relaxed_min_values.insert(key, have);
            }
        }
        let list = launch.offerings.list();
        let stays = |pick: &u32| list.get(*pick as usize).is_some_and(|ranked| names.contains(&ranked.instance_type));
        narrowed.offerings = Offerings::new(list.clone(), launch.offerings.picks().iter().copied().filter(stays));
        limited.left.add_times(&growth, -1);
        Ok(narrowed)
    }
}

/// A launch and what it can be chosen from.
struct Choice<'b, 'a> {
    limited: &'b Limited<'a>,
    launch: &'b Launch,
}

impl<'b> Choice<'b, '_> {
    fn kinds(&self, name: &Str) -> impl Iterator<Item = &'b InstanceType> + use<'b> {
        self.limited.kinds.get(&**name).into_iter().flatten().copied()
    }

    /// What a type has more than the planned one of what is limited.
    fn growth(&self, name: &Str) -> Resources {
        let mut growth = Resources::default();
        for kind in self.kinds(name) {
            for resource in self.limited.left.0.keys() {
                let more = kind.capacity.get(resource) - self.launch.capacity.get(resource);
                if more > growth.get(resource) {
                    growth.set(resource, more);
                }
            }
        }
        growth
    }

    /// Keys of which the claim asks for so many values.
    fn wanted(&self) -> Vec<(Str, usize)> {
        let least = |key: &Str, asked: u32| self.launch.relaxed_min_values.get(key).copied().unwrap_or(asked);
        let asked = self.limited.pool.requirements.iter().filter_map(|r| Some((r.key.clone(), r.min_values?)));
        asked.map(|(key, asked)| (key.clone(), least(&key, asked) as usize)).collect()
    }

    fn values(&self, key: &str, names: &BTreeSet<&Str>) -> BTreeSet<&'b str> {
        let named = self.launch.offerings.iter().filter(|offering| names.contains(&offering.instance_type));
        named.flat_map(|offering| self.values_of(offering, key)).collect()
    }

    /// What an offering can say about a key: those that differ in labels alone are listed as one.
    fn values_of(&self, ranked: &RankedOffering, key: &str) -> impl Iterator<Item = &'b str> {
        let sold = self.kinds(&ranked.instance_type).flat_map(|kind| kind.offerings.iter().map(move |o| (kind, o)));
        let same = sold.filter(|(_, offering)| {
            offering.zone == ranked.zone
                && offering.capacity_type == ranked.capacity_type
                && offering.reservation.as_ref().map(|r| &r.id) == ranked.reservation.as_ref()
        });
        let own = self.launch.labels.get(key).map(AsRef::as_ref);
        same.filter_map(move |(kind, offering)| kind.label(offering, key).or(own))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cloud::catalog::{KwokSettings, kwok};
    use planner::model::{CapacityType, Labels, MicroUsdPerHour, Operator, Policies, Requirement, Requirements};

    use super::*;

    const FAMILY: &str = "karpenter.kwok.sh/instance-family";

    fn snapshot(limits: &[(&str, i64)], min_values: Option<u32>, lowers: bool) -> Snapshot {
        let mut requirements = Requirements::new();
        let mut families = Requirement::new(FAMILY, Operator::Exists, [""; 0]);
        families.min_values = min_values;
        requirements.add(families);
        let pool = Pool {
            name: "general".into(),
            weight: 0,
            labels: Labels::default(),
            requirements,
            taints: Vec::new(),
            startup_taints: Vec::new(),
            limits: Resources::of(limits.iter().copied()),
            replicas: None,
            not_ready: None,
            types: Arc::new(kwok(&KwokSettings::default()).unwrap()),
        };
        Snapshot {
            pools: vec![pool],
            policies: Policies { relax_min_values: lowers, ..Policies::default() },
            ..Snapshot::default()
        }
    }

    /// Two vCPUs with 4 GiB, or more of both.
    fn launch() -> Launch {
        let types =
            ["c-2x-amd64-linux", "s-2x-amd64-linux", "c-4x-amd64-linux", "m-4x-amd64-linux", "m-8x-amd64-linux"];
        let offering = |(price, instance_type): (i64, &&str)| RankedOffering {
            price: MicroUsdPerHour(price),
            capacity_type: CapacityType::Spot,
            instance_type: (*instance_type).into(),
            zone: "test-zone-a".into(),
            reservation: None,
        };
        Launch {
            name: "general-1".into(),
            pool: "general".into(),
            offerings: (1..).zip(&types).map(offering).collect(),
            offerings_total: types.len(),
            requests: Resources::default(),
            allocatable: Resources::default(),
            capacity: Resources::of([("cpu", 2000), ("memory", 4 << 30)]),
            labels: Arc::default(),
            taints: Vec::new(),
            startup_taints: Vec::new(),
            requirements: Arc::default(),
            relaxed_min_values: BTreeMap::new(),
            pods: vec!["shop/web-0".into()],
        }
    }

    fn names(launch: &Launch) -> Vec<&str> {
        launch.offerings.iter().map(|offering| &*offering.instance_type).collect()
    }

    #[test]
    fn machines_of_a_pool_with_limits_become_nothing_larger_in_what_is_limited() {
        let narrowed = |limits: &[(&str, i64)]| {
            let snapshot = snapshot(limits, None, false);
            Room::new(&snapshot, &[launch()]).narrow(&launch()).unwrap()
        };
        assert_eq!(names(&narrowed(&[("cpu", 10_000)])), ["c-2x-amd64-linux", "s-2x-amd64-linux"]);
        assert_eq!(names(&narrowed(&[("memory", 64 << 30)])), ["c-2x-amd64-linux"]);
        assert_eq!(names(&narrowed(&[("nodes", 3)])).len(), 5);
        assert_eq!(names(&narrowed(&[])).len(), 5);
    }

    #[test]
    fn larger_machines_stay_where_min_values_need_them_the_cheapest_first_while_the_limits_leave_room_for_all() {
        let cpu = |limit| snapshot(&[("cpu", limit)], Some(3), false);
        let plan = [launch(), launch()];
        // Two machines of two vCPUs, and room for one of them to become one of four.
        let tight = cpu(6000);
        let mut room = Room::new(&tight, &plan);
        let first = room.narrow(&plan[0]).unwrap();
        assert_eq!(names(&first), ["c-2x-amd64-linux", "s-2x-amd64-linux", "m-4x-amd64-linux"]);
        let error = room.narrow(&plan[1]).unwrap_err();
        assert_eq!((&*error.key, error.least), (FAMILY, 3), "{error}");
        let error = crate::act::LaunchError::from(error);
        assert!(error.is_wait() && error.told().is_some());
        let wide = cpu(8000);
        let mut room = Room::new(&wide, &plan);
        assert!(plan.iter().all(|launch| names(&room.narrow(launch).unwrap()).len() == 3));
    }

    #[test]
    fn min_values_that_there_is_no_room_for_are_lowered_where_that_is_allowed() {
        let snapshot = snapshot(&[("cpu", 2000)], Some(3), true);
        let narrowed = Room::new(&snapshot, &[launch()]).narrow(&launch()).unwrap();
        assert_eq!(names(&narrowed), ["c-2x-amd64-linux", "s-2x-amd64-linux"]);
        assert_eq!(narrowed.relaxed_min_values[FAMILY], 2);
    }
}
