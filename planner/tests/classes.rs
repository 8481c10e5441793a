//! Which `DaemonSets` run on a machine, and what room they leave, follows from the labels that its launch settles.

mod support;

use std::sync::Arc;

use planner::model::snapshot::Daemon;
use planner::model::{Code, Operator, Pod, Pool, Requirement, Resources, Snapshot};
use planner::plan::Plan;
use support::{pod, pool, snapshot};

/// A pool that leaves the team of its nodes open.
fn open(operator: Operator, teams: &[&str]) -> Pool {
    let mut pool = pool("general");
    pool.requirements.add(Requirement::new("team", operator, teams.iter().copied()));
    pool
}

/// A `DaemonSet` of so many thousandths of a core on the nodes of a team.
fn daemon(cpu: i64, team: &str) -> Daemon {
    let mut shape = pod("agent", cpu).shape;
    shape.node_selector.add(Requirement::equal("team", team));
    Daemon { namespace: "kube-system".into(), name: format!("agent-{team}").into(), shape: Arc::new(shape) }
}

fn of_team(mut pod: Pod, team: &str) -> Pod {
    pod.shape.node_selector.add(Requirement::equal("team", team));
    pod
}

fn plan(pool: Pool, daemons: Vec<Daemon>, pods: Vec<Pod>) -> Plan {
    let snapshot = Snapshot { daemons, ..snapshot(vec![pool], pods) };
    let plan = planner::plan(&snapshot);
    assert_eq!(planner::check(&snapshot, &plan), []);
    plan
}

/// Type and team of each launch.
fn bought(plan: &Plan) -> Vec<(&str, &str)> {
    assert!(plan.unplaced.is_empty(), "{:?}", plan.unplaced);
    plan.launches.iter().map(|l| (&*l.offerings[0].instance_type, &*l.labels["team"])).collect()
}

#[test]
fn a_daemon_set_of_another_team_takes_no_room() {
    let pool = || open(Operator::In, &["x", "y"]);
    let of = |team: &str| plan(pool(), vec![daemon(1_000, "x")], vec![of_team(pod("p", 1_800), team)]);
    let (mine, other) = (of("x"), of("y"));
    assert_eq!(bought(&mine), [("t-4x", "x")]);
    assert_eq!(bought(&other), [("t-2x", "y")]);
    assert_eq!(mine.launches[0].requests.get("cpu") - other.launches[0].requests.get("cpu"), 1_000);
}

#[test]
fn a_pod_that_does_not_care_gets_the_team_with_the_most_room() {
    for (operator, teams) in [(Operator::In, &["x", "y"][..]), (Operator::Exists, &[])] {
        let plan = plan(open(operator, teams), vec![daemon(1_000, "x")], vec![pod("p", 1_800)]);
        let [(kind, team)] = bought(&plan)[..] else { panic!("{plan:?}") };
        assert_eq!(kind, "t-2x");
        assert_ne!(team, "x");
    }
}

#[test]
fn a_pod_without_room_beside_the_daemon_sets_of_its_team_is_told_so_by_that_team() {
    let pool = open(Operator::In, &["x", "y"]);
    let most = pool.types.iter().map(|kind| kind.allocatable.get("cpu")).max().unwrap_or_default();
    let pods = vec![of_team(pod("p", most - 500), "x"), of_team(pod("q", 100), "z")];
    let plan = plan(pool, vec![daemon(1_000, "x")], pods);
    let reasons: Vec<_> = plan.unplaced.iter().map(|u| (&*u.pods[0], u.reasons.len(), u.reasons[0].code)).collect();
    assert_eq!(reasons, [("shop/p", 1, Code::NoInstanceTypeFits), ("shop/q", 1, Code::RequirementConflict)]);
    let said = &plan.unplaced[1].reasons[0].message;
    assert!(said.contains("team In [x y]"), "{said}");
}

#[test]
fn limits_hold_for_all_teams_together() {
    let mut pool = open(Operator::In, &["x", "y"]);
    pool.limits = Resources::of([("cpu", 4_000)]);
    let pods = ["x", "y", "y", "x"].into_iter().enumerate();
    let pods = pods.map(|(at, team)| of_team(pod(&format!("p{at}"), 1_500), team)).collect();
    let plan = plan(pool, vec![daemon(100, "x")], pods);
    let cpu: i64 = plan.launches.iter().map(|launch| launch.capacity.get("cpu")).sum();
    let left: usize = plan.unplaced.iter().map(|unplaced| unplaced.pods.len()).sum();
    assert_eq!((cpu, left), (4_000, 2));
}
