//! `millwright plan --diff BEFORE AFTER`: what a change of the files changes in the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use planner::model::{CapacityType, MicroUsdPerHour, Snapshot, Str};
use planner::plan::Plan;
use serde::Serialize;

use super::args::{Output, PlanArgs};
use super::exit::{DONE, UNPLACED};
use super::input;
use super::json::{Summary, summary};
use super::phases::Phases;
use super::plan::{print, say, to_json, to_yaml};
use super::text::{columns, count, signed};

/// Pods listed by name in the table.
const MOST_PODS: usize = 10;

/// The comparison, fields in the order they are printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Difference {
    before: Summary,
    after: Summary,
    nodes: Nodes,
    /// Signed decimal US dollars per hour.
    hourly_cost: String,
    /// Without a place in AFTER and not so in BEFORE, where they need not have been.
    newly_unplaced: Vec<Str>,
    /// Given a place in AFTER and not in BEFORE, where they need not have been.
    newly_placed: Vec<Str>,
    /// The launches that come and go, by what is bought.
    launches: Vec<Change>,
}

/// Launches of AFTER without a like one in BEFORE, and the reverse.
#[derive(Serialize)]
struct Nodes {
    added: usize,
    removed: usize,
}

/// One kind of machine of which a different number is bought.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    node_pool: Str,
    instance_type: Str,
    zone: Str,
    capacity_type: &'static str,
    hourly_price: String,
    before: usize,
    after: usize,
}

/// Plans both, prints the difference; the exit code is that of AFTER's plan.
pub fn run(args: &PlanArgs, before: &Path, after: &Path, phases: &mut Phases) -> Result<u8> {
    if [before, after].iter().all(|path| path.as_os_str() == "-") {
        bail!("--diff - -: standard input can be read once\n  remedy: name a file for one of the two");
    }
    let mut side = |path: &Path| -> Result<(Snapshot, Plan)> {
        let paths: [PathBuf; 1] = [path.to_path_buf()];
        if path.as_os_str() != "-" && !path.exists() {
            bail!("{}: there is no such file or folder\n  remedy: check the paths given with --diff", path.display());
        }
        let snapshot = input::observe_paths(&args.input, &paths, &args.validate, phases)?.snapshot;
        let plan = phases.run("plan", || planner::plan(&snapshot));
        Ok((snapshot, plan))
    };
    let (before, after) = (side(before)?, side(after)?);
    let faults = phases.run("check", || planner::check(&after.0, &after.1));
    say(&after.0, &after.1, &faults);
    print(&of_plans((&before.0, &before.1), (&after.0, &after.1), args.output)?)?;
    phases.report();
    Ok(if after.1.unplaced.is_empty() { DONE } else { UNPLACED })
}

/// The difference of two plans in the form that is asked for.
pub fn of_plans(before: (&Snapshot, &Plan), after: (&Snapshot, &Plan), output: Output) -> Result<String> {
    let difference = difference(before, after);
    match output {
        Output::Json => to_json(&difference),
        Output::Yaml => to_yaml(&difference),
        Output::Table => Ok(table(&difference)),
        Output::Html => bail!("--diff has no HTML form\n  remedy: take -o table, json or yaml"),
    }
}

fn difference(before: (&Snapshot, &Plan), after: (&Snapshot, &Plan)) -> Difference {
    let (was, is) = (unplaced(before.1), unplaced(after.1));
    let (had_place, has_place) = (placed(before.1), placed(after.1));
    let launches = changes(before.1, after.1);
    let sum = |part: fn(&Change) -> usize| launches.iter().map(part).sum();
    Difference {
        before: summary(before.0, before.1),
        after: summary(after.0, after.1),
        nodes: Nodes {
            added: sum(|change| change.after.saturating_sub(change.before)),
            removed: sum(|change| change.before.saturating_sub(change.after)),
        },
        hourly_cost: plus(after.1.cost - before.1.cost),
        newly_unplaced: is.difference(&was).map(|pod| (*pod).clone()).collect(),
        newly_placed: has_place.difference(&had_place).map(|pod| (*pod).clone()).collect(),
        launches,
    }
}

/// With a sign always, so that a script can tell a difference from an amount.
fn plus(difference: MicroUsdPerHour) -> String {
    if difference.0 == 0 { format!("+{difference}") } else { signed(difference) }
}

fn unplaced(plan: &Plan) -> BTreeSet<&Str> {
    plan.unplaced.iter().flat_map(|unplaced| &unplaced.pods).collect()
}

fn placed(plan: &Plan) -> BTreeSet<&Str> {
    plan.nominations.iter().map(|n| &n.pod).chain(plan.launches.iter().flat_map(|l| &l.pods)).collect()
}

/// Kinds of machines of which another number is bought, by pool, type, zone and capacity type.
fn changes(before: &Plan, after: &Plan) -> Vec<Change> {
    type Key<'a> = (&'a Str, &'a Str, &'a Str, CapacityType, MicroUsdPerHour);
    let mut numbers: BTreeMap<Key<'_>, (usize, usize)> = BTreeMap::new();
    for (plan, is_after) in [(before, false), (after, true)] {
        for launch in &plan.launches {
            let Some(o) = launch.chosen() else { continue };
            let number =
                numbers.entry((&launch.pool, &o.instance_type, &o.zone, o.capacity_type, o.price)).or_default();
            *(if is_after { &mut number.1 } else { &mut number.0 }) += 1;
        }
    }
    numbers
        .into_iter()
        .filter(|(_, (before, after))| before != after)
        .map(|((pool, instance_type, zone, capacity_type, price), (before, after))| Change {
            node_pool: pool.clone(),
            instance_type: instance_type.clone(),
            zone: zone.clone(),
            capacity_type: capacity_type.as_str(),
            hourly_price: price.to_string(),
            before,
            after,
        })
        .collect()
}

fn table(d: &Difference) -> String {
    let number = |name: &str, before: usize, after: usize| {
        let (sign, size) = if after >= before { ("+", after - before) } else { ("-", before - after) };
        let change = if size == 0 { "-".to_string() } else { format!("{sign}{size}") };
        vec![name.to_string(), before.to_string(), after.to_string(), change]
    };
    let (b, a) = (&d.before, &d.after);
    let mut rows = vec![
        number("pods", b.pods, a.pods),
        number("on existing nodes", b.placed_on_existing_nodes, a.placed_on_existing_nodes),
        number("on new nodes", b.placed_on_new_nodes, a.placed_on_new_nodes),
        number("without a place", b.unplaced, a.unplaced),
        number("left out", b.ignored, a.ignored),
        number("new nodes", b.new_nodes, a.new_nodes),
    ];
    rows.push(vec!["$ an hour".into(), b.hourly_cost.clone(), a.hourly_cost.clone(), d.hourly_cost.clone()]);
    let bounds = (b.hourly_cost_lower_bound.clone(), a.hourly_cost_lower_bound.clone());
    rows.push(vec!["proven bound".into(), bounds.0, bounds.1, "-".into()]);
    let mut out = columns(&["", "BEFORE", "AFTER", "CHANGE"], &rows);
    if !d.launches.is_empty() {
        let row = |c: &Change| {
            let first = number(&c.node_pool, c.before, c.after);
            let [pool, before, after, change] = first.try_into().unwrap_or_default();
            let zone = c.zone.to_string();
            let kind = [pool, c.instance_type.to_string(), zone, c.capacity_type.into(), c.hourly_price.clone()];
            kind.into_iter().chain([before, after, change]).collect()
        };
        let rows: Vec<Vec<String>> = d.launches.iter().map(row).collect();
        out.push('\n');
        out += &columns(&["POOL", "TYPE", "ZONE", "CAPACITY", "$/H EACH", "BEFORE", "AFTER", "CHANGE"], &rows);
        let _ = writeln!(out, "{} added, {} removed", count(d.nodes.added, "node"), d.nodes.removed);
    }
    for (what, pods) in [("without a place now", &d.newly_unplaced), ("placed now", &d.newly_placed)] {
        if !pods.is_empty() {
            let _ = writeln!(out, "\n{what}: {}", super::text::some(pods, MOST_PODS));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use planner::model::Reason;
    use planner::model::reason::Code;
    use planner::plan::{Launch, RankedOffering, Unplaced};

    use super::*;

    fn launch(name: &str, kind: &str, price: i64, pods: &[&str]) -> Launch {
        let offering = RankedOffering {
            price: MicroUsdPerHour(price),
            capacity_type: CapacityType::OnDemand,
            instance_type: kind.into(),
            zone: "z-a".into(),
            reservation: None,
        };
        Launch {
            name: name.into(),
            pool: "mill".into(),
            offerings: vec![offering].into(),
            offerings_total: 1,
            requests: planner::model::Resources::default(),
            allocatable: planner::model::Resources::default(),
            capacity: planner::model::Resources::default(),
            labels: planner::model::Labels::default().into(),
            taints: Vec::new(),
            startup_taints: Vec::new(),
            requirements: planner::model::Requirements::default().into(),
            relaxed_min_values: BTreeMap::default(),
            pods: pods.iter().map(|pod| (*pod).into()).collect(),
        }
    }

    fn plan(launches: Vec<Launch>, left: &[&str]) -> Plan {
        let reasons = vec![Reason::everywhere(Code::NoNodePool, "none", None)];
        let pods: Vec<Str> = left.iter().map(|pod| (*pod).into()).collect();
        Plan {
            cost: launches.iter().map(Launch::price).sum(),
            unplaced: if pods.is_empty() { vec![] } else { vec![Unplaced { pods, reasons }] },
            launches,
            ..Plan::default()
        }
    }

    fn snapshot() -> Snapshot {
        crate::observe::snapshot(crate::observe::Objects::default(), &crate::observe::Options::default())
            .unwrap()
            .snapshot
    }

    #[test]
    fn nodes_are_told_apart_by_what_is_bought_not_by_their_name() {
        let s = snapshot();
        let before = plan(vec![launch("mill-1", "big", 400_000, &["a/x"])], &["a/y"]);
        let after =
            plan(vec![launch("mill-1", "small", 100_000, &["a/y"]), launch("mill-2", "big", 400_000, &[])], &["a/x"]);
        let d = difference((&s, &before), (&s, &after));
        assert_eq!((d.nodes.added, d.nodes.removed), (1, 0));
        assert_eq!(d.hourly_cost, "+0.1000");
        assert_eq!(d.newly_placed, ["a/y".into()]);
        assert_eq!(d.newly_unplaced, ["a/x".into()]);
        assert_eq!(d.launches.len(), 1);
        assert!(table(&d).contains("placed now: a/y"), "{}", table(&d));
    }

    #[test]
    fn pods_that_came_with_the_change_are_newly_placed_or_newly_unplaced() {
        let s = snapshot();
        let before = plan(vec![launch("mill-1", "big", 400_000, &["a/x"])], &["a/waits"]);
        let after = plan(vec![launch("mill-1", "big", 400_000, &["a/x", "a/new"])], &["a/waits", "a/large"]);
        let d = difference((&s, &before), (&s, &after));
        assert_eq!(d.newly_placed, ["a/new".into()]);
        assert_eq!(d.newly_unplaced, ["a/large".into()]);
    }

    #[test]
    fn a_pod_that_left_the_files_is_not_newly_placed() {
        let s = snapshot();
        let d = difference((&s, &plan(vec![], &["a/gone"])), (&s, &plan(vec![], &[])));
        assert!(d.newly_placed.is_empty() && d.newly_unplaced.is_empty());
        assert_eq!(d.hourly_cost, "+0.0000");
        let json = to_json(&d).unwrap();
        let order = ["before", "after", "nodes", "hourlyCost", "newlyUnplaced", "newlyPlaced"];
        let at: Vec<usize> = order.iter().map(|key| json.find(&format!("\n  \"{key}\"")).unwrap()).collect();
        assert!(at.is_sorted(), "{json}");
    }
}
