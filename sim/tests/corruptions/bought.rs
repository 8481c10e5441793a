//! Broken: what is bought, and what is said of it.

use std::sync::Arc;

use planner::Fault;
use planner::check::Misfit;
use planner::model::labels::{INSTANCE_TYPE, ZONE};
use planner::model::resources::NODES;
use planner::model::{Code, InstanceType, MicroUsdPerHour, Operator, Reason, Requirement, Snapshot, Str, Taint};
use planner::plan::{Launch, RankedOffering};

use super::{Corruption, corruptions, launch, pool};

fn offerings(launch: &mut Launch, change: impl FnOnce(&mut Vec<RankedOffering>)) {
    let mut all = launch.offerings.to_vec();
    change(&mut all);
    launch.offerings = all.into();
}

/// The catalogue of a launch's pool, to be changed for this pool alone.
fn types<'a>(snapshot: &'a mut Snapshot, launch: &Launch) -> Option<&'a mut Vec<InstanceType>> {
    Some(Arc::make_mut(&mut pool(snapshot, launch)?.types))
}

fn ranked(kind: &InstanceType, at: usize) -> RankedOffering {
    let offering = &kind.offerings[at];
    RankedOffering {
        price: offering.price,
        capacity_type: offering.capacity_type,
        instance_type: kind.name.clone(),
        zone: offering.zone.clone(),
        reservation: offering.reservation.as_ref().map(|r| r.id.clone()),
    }
}

pub fn all() -> Vec<Corruption> {
    let mut out = corruptions! {
        "two launches of one name" => Fault::NameTaken { .. }, |_, plan| {
            let name = plan.launches.first()?.name.clone();
            plan.launches.get_mut(1)?.name = name;
            Some(())
        };
        "a launch named as a node" => Fault::NameTaken { .. }, |snapshot, plan| {
            launch(plan)?.name = snapshot.nodes.first()?.name.clone();
            Some(())
        };
        "a pool that is none" => Fault::UnknownPool { .. }, |_, plan| {
            launch(plan)?.pool = "ghost".into();
            Some(())
        };
        "a pool that is not ready" => Fault::PoolNotReady { .. }, |snapshot, plan| {
            let found = pool(snapshot, launch(plan)?)?;
            found.not_ready = Some(Reason::everywhere(Code::NodePoolNotReady, "not ready", None));
            Some(())
        };
        "a machine for nobody" => Fault::NoPods { .. }, |_, plan| {
            launch(plan)?.pods.clear();
            Some(())
        };
        "pods on a static pool's purchase" => Fault::StaticWithPods { .. }, |snapshot, plan| {
            pool(snapshot, launch(plan)?)?.replicas = Some(1_000);
            Some(())
        };
        "more replicas than are missing" => Fault::StaticReplicas { .. }, |snapshot, plan| {
            pool(snapshot, launch(plan)?)?.replicas = Some(0);
            Some(())
        };
        "no offerings" => Fault::NoOfferings { .. }, |_, plan| {
            offerings(launch(plan)?, Vec::clear);
            Some(())
        };
        "an offering that nobody sells" => Fault::NotSold { .. }, |_, plan| {
            offerings(launch(plan)?, |all| all[0].zone = "nowhere".into());
            Some(())
        };
        "an alternative that nobody sells" => Fault::NotSold { .. }, |_, plan| {
            let launch = launch(plan)?;
            let mut ghost = launch.offerings.last()?.clone();
            ghost.instance_type = "ghost-1x".into();
            offerings(launch, |all| all.push(ghost));
            Some(())
        };
        "an offering out of capacity" => Fault::Unavailable { .. }, |snapshot, plan| {
            let launch = launch(plan)?;
            let last = launch.offerings.last()?.clone();
            let kind = types(snapshot, launch)?.iter_mut().find(|kind| kind.name == last.instance_type)?;
            let same = |o: &&mut planner::model::Offering| {
                o.zone == last.zone
                    && o.capacity_type == last.capacity_type
                    && o.reservation.as_ref().map(|r| &r.id) == last.reservation.as_ref()
            };
            kind.offerings.iter_mut().find(same)?.available = false;
            Some(())
        };
        "an offering outside its pool" => Fault::OutsideRequirements { .. }, |snapshot, plan| {
            let launch = launch(plan)?;
            let first = launch.offerings[0].zone.clone();
            let other = launch.offerings.iter().find(|o| o.zone != first)?.zone.clone();
            pool(snapshot, launch)?.requirements.add(Requirement::new(ZONE, Operator::NotIn, [other]));
            Some(())
        };
        "a wrong price" => Fault::WrongPrice { .. }, |_, plan| {
            offerings(launch(plan)?, |all| all[0].price = all[0].price + MicroUsdPerHour(1));
            Some(())
        };
        "a cheaper offering behind a dearer one" => Fault::NotRanked { .. }, |_, plan| {
            let launch = plan.launches.iter_mut().find(|l| l.offerings[0].price < l.offerings[l.offerings.len() - 1].price)?;
            offerings(launch, |all| all.reverse());
            Some(())
        };
        "an offering twice" => Fault::OfferingTwice { .. }, |_, plan| {
            offerings(launch(plan)?, |all| all.insert(0, all[0].clone()));
            Some(())
        };
        "an alternative that is too small" => Fault::CannotHold { misfit: Misfit::Room { .. }, .. }, |snapshot, plan| {
            let free = |name: &str| snapshot.pools.iter().any(|p| *p.name == *name && p.requirements.is_empty());
            let launch = plan.launches.iter_mut().find(|l| !l.pods.is_empty() && free(&l.pool))?;
            let (cpu, edge) = (launch.requests.get("cpu"), launch.offerings.last()?.price);
            let small = types(snapshot, launch)?.iter_mut().find(|kind| kind.allocatable.get("cpu") < cpu)?;
            let last = small.offerings.iter().position(|o| o.available && o.reservation.is_none())?;
            small.offerings[last].price = edge;
            let small = ranked(small, last);
            offerings(launch, |all| all.push(small));
            Some(())
        };
        "the cheapest offering is left out" => Fault::CheaperExists { .. }, |snapshot, plan| {
            let bound = snapshot.nodes.iter().flat_map(|n| &n.pods).map(|p| &p.shape);
            let mut shapes = snapshot.groups.iter().map(|g| &g.shape).chain(bound);
            let quiet = shapes.all(|s| s.anti_affinity.is_empty());
            let group_of = |pod: &Str| snapshot.groups.iter().find(|g| g.pods.iter().any(|p| p.key == *pod));
            let plain = |l: &Launch| l.pods.iter().filter_map(group_of).all(|group| {
                let s = &group.shape;
                s.affinity.is_empty() && s.spreads.is_empty() && s.node_terms.is_none() && s.preferred_node_terms.is_empty()
                    && s.preferred_affinity.is_empty() && s.preferred_anti_affinity.is_empty()
            });
            let free = |name: &str| snapshot.pools.iter().any(|p| {
                *p.name == *name && p.limits.0.is_empty() && p.requirements.iter().all(|r| r.min_values.is_none())
            });
            let launch = plan.launches.iter_mut().filter(|_| quiet).find(|l| {
                free(&l.pool) && plain(l) && !l.pods.is_empty() && l.offerings.len() > 1
                    && l.offerings[0].reservation.is_none() && !l.offerings[0].instance_type.starts_with('p')
                    && l.offerings[0].price < l.offerings[1].price
            })?;
            offerings(launch, |all| drop(all.remove(0)));
            Some(())
        };
        "a reservation drawn on too often" => Fault::ReservationOversold { .. }, |snapshot, plan| {
            let launch = plan.launches.iter().find(|l| l.offerings[0].reservation.is_some())?;
            for kind in types(snapshot, launch)? {
                kind.offerings.iter_mut().filter_map(|o| o.reservation.as_mut()).for_each(|r| r.count = 0);
            }
            Some(())
        };
        "fewer types than minValues" => Fault::MinValues { .. }, |snapshot, plan| {
            let mut flexible = Requirement::new(INSTANCE_TYPE, Operator::Exists, [""; 0]);
            flexible.min_values = Some(40);
            pool(snapshot, launch(plan)?)?.requirements.add(flexible);
            Some(())
        };
        "minValues lowered without leave" => Fault::MinValuesLowered { .. }, |_, plan| {
            launch(plan)?.relaxed_min_values.insert(INSTANCE_TYPE.into(), 1);
            Some(())
        };
        "a heavier pool passed over" => Fault::LighterPool { .. }, |snapshot, plan| {
            let bound = snapshot.nodes.iter().flat_map(|n| &n.pods).map(|p| &p.shape);
            let mut shapes = snapshot.groups.iter().map(|g| &g.shape).chain(bound);
            let plain = shapes.all(|s| {
                s.anti_affinity.is_empty() && s.affinity.is_empty() && s.spreads.is_empty()
                    && s.preferred_node_terms.is_empty() && s.preferred_affinity.is_empty()
                    && s.preferred_anti_affinity.is_empty() && s.node_terms.is_none()
            });
            let soft = snapshot.pools.iter().flat_map(|p| &p.taints).any(|t| t.effect == planner::model::Effect::PreferNoSchedule);
            let launch = plan.launches.iter().find(|l| plain && !soft && !l.pods.is_empty() && l.offerings.iter().all(|o| o.reservation.is_none()))?;
            let mut heavier = pool(snapshot, launch)?.clone();
            (heavier.name, heavier.weight) = ("heavier".into(), 90);
            heavier.labels.insert(planner::model::labels::NODEPOOL.into(), "heavier".into());
            heavier.limits.0.clear();
            let usual = heavier.requirements.iter().all(|r| r.min_values.is_none());
            snapshot.pools.insert(0, heavier);
            usual.then_some(())
        };
        "limits broken" => Fault::OverLimit { .. }, |snapshot, plan| {
            let launch = launch(plan)?;
            pool(snapshot, launch)?.limits.set("cpu", launch.capacity.get("cpu") - 1);
            Some(())
        };
        "too many nodes" => Fault::OverLimit { .. }, |snapshot, plan| {
            let launch = launch(plan)?;
            pool(snapshot, launch)?.limits.set(NODES, 0);
            Some(())
        };
        "an alternative that breaks limits" => Fault::OfferingOverLimit { .. }, |snapshot, plan| {
            let (mut used, name) = (0, launch(plan)?.pool.clone());
            for launch in plan.launches.iter().filter(|l| l.pool == name) {
                used += launch.capacity.get("cpu");
            }
            let there = snapshot.nodes.iter().any(|n| n.pool.as_ref() == Some(&name))
                || snapshot.claims.iter().any(|c| c.pool.as_ref() == Some(&name));
            let launch = launch(plan)?;
            let mine = launch.capacity.get("cpu");
            let kinds = types(snapshot, launch)?;
            let larger = |o: &RankedOffering| kinds.iter().any(|k| k.name == o.instance_type && k.capacity.get("cpu") > mine);
            let found = launch.offerings.iter().any(larger) && !there;
            pool(snapshot, launch)?.limits.set("cpu", used);
            found.then_some(())
        };
    };
    out.extend(said());
    out
}

fn said() -> Vec<Corruption> {
    corruptions! {
        "a label that is not so" => Fault::WrongLabel { .. }, |_, plan| {
            Arc::make_mut(&mut launch(plan)?.labels).insert(ZONE.into(), "nowhere".into());
            Some(())
        };
        "a label too many" => Fault::WrongLabel { .. }, |_, plan| {
            Arc::make_mut(&mut launch(plan)?.labels).insert("example.com/ghost".into(), "yes".into());
            Some(())
        };
        "a label too few" => Fault::WrongLabel { .. }, |_, plan| {
            Arc::make_mut(&mut launch(plan)?.labels).remove(INSTANCE_TYPE).map(drop)
        };
        "a taint kept quiet" => Fault::WrongTaints { .. }, |_, plan| {
            plan.launches.iter_mut().find(|l| !l.taints.is_empty())?.taints.clear();
            Some(())
        };
        "a startup taint made up" => Fault::WrongTaints { .. }, |_, plan| {
            let effect = planner::model::Effect::NoSchedule;
            launch(plan)?.startup_taints.push(Taint { key: "ghost".into(), value: "".into(), effect });
            Some(())
        };
        "requests without the DaemonSets" => Fault::WrongRequests { .. }, |_, plan| {
            let launch = launch(plan)?;
            let less = launch.requests.get("memory") - 1;
            launch.requests.set("memory", less);
            Some(())
        };
        "more allocatable than there is" => Fault::WrongAllocatable { .. }, |_, plan| {
            let launch = launch(plan)?;
            launch.allocatable = launch.capacity.clone();
            launch.allocatable.set("cpu", launch.capacity.get("cpu") + 1);
            Some(())
        };
        "another capacity" => Fault::WrongCapacity { .. }, |_, plan| {
            launch(plan)?.capacity.set("pods", 1_000);
            Some(())
        };
    }
}
