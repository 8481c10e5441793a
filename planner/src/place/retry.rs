//! First-fit, and a second try where the first left somebody out.

use super::dims::fits;
use super::fill::{buy, fill, open_from};
use super::state::{Placed, State};
use super::topology::{Constraint, Demand};
use super::turns::{Reach, in_turn};
use super::world::World;

/// With more groups left out than this it is room or money that is missing, and no order brings that.
const MOST_LEFT_OUT: usize = 64;

/// First-fit-decreasing; where it leaves out pods that could go somewhere, once more with these in front. Gives the better
/// of both, and how many of each group it leaves out.
pub(crate) fn first_fit<'w, 'a>(world: &'w World<'a>) -> (State<'w, 'a>, Vec<u32>) {
    let all = || world.groups.iter().map(|group| group.count).collect::<Vec<u32>>();
    let (mut first, mut left) = (State::new(world), all());
    fill(&mut first, &[], &mut left);
    let out: Vec<usize> = (0..world.groups.len()).filter(|group| left[*group] > 0).collect();
    if out.is_empty() || out.len() > MOST_LEFT_OUT {
        return (first, left);
    }
    let (mut second, mut rest) = (State::new(world), all());
    let out: Vec<usize> = out.into_iter().filter(|group| has_somewhere(&second, *group)).collect();
    if out.is_empty() {
        return (first, left);
    }
    lead(&mut second, &out, &mut rest);
    fill(&mut second, &out, &mut rest);
    let [pods, _] = in_turn(world);
    let count = |left: &[u32]| (pods.iter().map(|group| left[*group]).sum::<u32>(), left.iter().sum::<u32>());
    let is_better = count(&rest) < count(&left) && second.rules_hold() && second.breaches() <= first.breaches();
    if is_better { (second, rest) } else { (first, left) }
}

/// Is there room for one of the group anywhere, while nothing is placed and rules about other pods aside?
fn has_somewhere(state: &State, group: usize) -> bool {
    let g = &state.world.groups[group];
    let last = g.levels.len() - 1;
    let on_shelf = g.levels[last].compat.iter().any(|compat| !compat.ways.is_empty() && fits(&g.need, &compat.top));
    g.shape.refused.is_none()
        && (on_shelf || (0..state.world.hosts.len()).any(|host| state.host_takes(host, group, last, 1).1))
}

/// Gives pods that have to be near others one of these where they can go, before the others choose for themselves.
fn lead(state: &mut State, out: &[usize], left: &mut [u32]) {
    let world = state.world;
    for follower in out {
        let rules = world.groups[*follower].levels.last().into_iter().flat_map(|level| &level.constraints);
        for rule in rules.filter(|c| matches!(c.demand, Demand::Affinity) && !c.counts_itself) {
            // A stand-in is nobody to be near to.
            let is_pod = |group: usize| !world.snapshot.groups[group].is_stand_in();
            let counts = |group: &usize| {
                left[*group] > 0 && is_pod(*group) && world.groups[*group].counted.contains(&rule.counter)
            };
            let leaders: Vec<usize> = (0..world.groups.len()).filter(counts).collect();
            let led = if world.topology.is_host(rule.key) {
                leaders.into_iter().find(|leader| open_for(state, *leader, *follower))
            } else {
                lead_to_domain(state, *follower, rule, &leaders)
            };
            if let Some(leader) = led {
                left[leader] -= 1;
            }
        }
    }
}

/// Puts a pod of one of these groups into a domain that the follower can go to, unless one is there. Says of which.
fn lead_to_domain(state: &mut State, follower: usize, rule: &Constraint, leaders: &[usize]) -> Option<usize> {
    let domains = Reach::default().of(state, follower, rule.key)?;
    if domains.iter().any(|domain| state.counted(rule.counter, *domain) > 0) {
        return None;
    }
    let mut places = domains.iter().flat_map(|domain| leaders.iter().map(move |leader| (*domain, *leader)));
    places.find(|(domain, leader)| put_one(state, *leader, (rule.key, *domain))).map(|(_, leader)| leader)
}

/// Opens a machine for one pod of a group, of a pool that the follower may use too.
fn open_for(state: &mut State, group: usize, follower: usize) -> bool {
    let world = state.world;
    let of_follower = &world.groups[follower].levels[world.groups[follower].levels.len() - 1].compat;
    let usable: Vec<usize> = (0..world.shelves.len()).filter(|shelf| !of_follower[*shelf].ways.is_empty()).collect();
    world.groups[group].shape.refused.is_none()
        && (0..world.groups[group].levels.len())
            .any(|level| usable.iter().any(|shelf| open_from(state, *shelf, group, level, 1).is_some()))
}

/// Puts one pod of a group into a domain, all wishes respected first.
fn put_one(state: &mut State, group: usize, (key, domain): (usize, u32)) -> bool {
    let world = state.world;
    if world.groups[group].shape.refused.is_some() {
        return false;
    }
    for level in 0..world.groups[group].levels.len() {
        let is_there = |host: &usize| world.hosts[*host].domains[key] == Some(domain);
        let takes = |host: &usize| state.host_takes(*host, group, level, 1).0 > 0;
        if let Some(host) = (0..world.hosts.len()).filter(is_there).find(takes) {
            state.put_on_host(host, Placed { group, level, count: 1 });
            return true;
        }
        state.forced = vec![(key, domain)];
        let rest = buy(state, group, level, 1);
        state.forced.clear();
        if rest == 0 {
            return true;
        }
    }
    false
}
