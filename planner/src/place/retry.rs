//! First-fit, and a second try where the first left somebody out.

use super::dims::fits;
use super::fill::{fill, place, put_in_domain};
use super::open::open_from;
use super::state::{Bin, Placed, State};
use super::topology::{Constraint, Demand};
use super::turns::{Reach, in_turn};
use super::world::World;

/// With more groups left out than this it is room or money that is missing, and no order brings that.
const MOST_LEFT_OUT: usize = 64;

/// A way of placing all pods that can be placed.
pub(crate) struct Fitted<'w, 'a> {
    pub(crate) state: State<'w, 'a>,
    /// Per group, how many pods have no place.
    pub(crate) left: Vec<u32>,
    /// Micro-dollars per hour that first-fit-decreasing pays for the same pods.
    pub(crate) first_cost: i64,
}

/// First-fit-decreasing; where it leaves out pods that could go somewhere, once more with these in front. The better of both,
/// or what it comes to for the same pods with the cheapest of equally heavy pools, where that costs less.
pub(crate) fn first_fit<'w, 'a>(world: &'w World<'a>) -> Fitted<'w, 'a> {
    let all = || world.groups.iter().map(|group| group.count).collect::<Vec<u32>>();
    let [pods, _] = in_turn(world);
    let count = |left: &[u32]| (pods.iter().map(|group| left[*group]).sum::<u32>(), left.iter().sum::<u32>());
    let (mut state, mut left) = (State::new(world), all());
    fill(&mut state, &[], &mut left);
    let mut front: Vec<usize> = (0..world.groups.len()).filter(|group| left[*group] > 0).collect();
    if front.len() > MOST_LEFT_OUT {
        front.clear();
    }
    let (mut second, mut rest) = (State::new(world), all());
    front.retain(|group| has_somewhere(&second, *group));
    if !front.is_empty() {
        lead(&mut second, &front, &mut rest);
        fill(&mut second, &front, &mut rest);
        let is_better = count(&rest) < count(&left) && second.rules_hold() && second.breaches() <= state.breaches();
        if is_better {
            (state, left) = (second, rest);
        } else {
            front.clear();
        }
    }
    let mut first_cost = state.cost();
    if offers_a_choice(&state) {
        let breaches = state.breaches();
        // Those who found no place at first may find one by price.
        for front in if front.is_empty() { vec![Vec::new()] } else { vec![Vec::new(), front] } {
            let (mut third, mut rest) = (State::by_price(world), all());
            lead(&mut third, &front, &mut rest);
            fill(&mut third, &front, &mut rest);
            let places_more = count(&rest) < count(&left);
            let is_cheaper = rest == left && third.cost() < state.cost();
            if (places_more || is_cheaper) && third.rules_hold() && third.breaches() <= breaches {
                first_cost = if places_more { third.cost() } else { first_cost };
                (state, left) = (third, rest);
            }
        }
    }
    Fitted { state, left, first_cost }
}

/// Are there machines whose pods look at each other, so that the solver may have to leave them where they were bought, while
/// another pool of the same weight could sell them too?
fn offers_a_choice(state: &State) -> bool {
    let (shelves, groups) = (&state.world.shelves, &state.world.groups);
    let is_another = |at: usize, other: usize| {
        shelves[at].purse != shelves[other].purse && shelves[at].pool.weight == shelves[other].pool.weight
    };
    let level = |placed: &Placed| &groups[placed.group].levels[placed.level];
    let is_bound =
        |bin: &Bin| !bin.pinned.is_empty() || bin.contents.iter().any(|placed| !level(placed).constraints.is_empty());
    let sells =
        |bin: &Bin, other: usize| bin.contents.iter().all(|placed| !level(placed).compat[other].ways.is_empty());
    let has_choice = |bin: &Bin| (0..shelves.len()).any(|other| is_another(bin.shelf, other) && sells(bin, other));
    state.bins.iter().any(|bin| is_bound(bin) && has_choice(bin))
}

/// Is there room for one of the group anywhere, while nothing is placed and rules about other pods aside?
fn has_somewhere(state: &State, group: usize) -> bool {
    let g = &state.world.groups[group];
    let last = g.levels.len() - 1;
    let on_shelf = g.levels[last].compat.iter().any(|compat| !compat.ways.is_empty() && fits(&g.need, &compat.top));
    g.shape.refused.is_none()
        && (on_shelf || (0..state.world.hosts.len()).any(|host| state.host_takes(host, group, last, 1).1))
}

/// How many followers in a row are led: one that has to be near another that has to be near a third.
const MOST_LED: usize = 3;

/// Ways of seating one of those that a group has to be near that are tried.
const MOST_TRIED: usize = 64;

/// Kinds of company that are sought for one group, one after another.
const MOST_KINDS: usize = 8;

/// Where a pod is to be that others have to be near.
#[derive(Clone, Copy)]
enum Seat {
    /// On a new machine of a shelf.
    Machine(usize),
    /// In a domain of a key.
    Domain(usize, u32),
}

/// Gives pods that have to be near others one of these where they can go, before the others choose for themselves. What limits
/// leave there counts: the first of the seats beside which most of them have room.
fn lead(state: &mut State, out: &[usize], left: &mut [u32]) {
    let world = state.world;
    for follower in out {
        let rules = world.groups[*follower].levels.last().into_iter().flat_map(|level| &level.constraints);
        for rule in rules.filter(|c| matches!(c.demand, Demand::Affinity)) {
            // One more of them where the last one helped, as long as that lets others of the followers in.
            for _ in 0..MOST_KINDS {
                let Some((leader, seat)) = best_lead(state, *follower, rule, left) else { break };
                let before = left[*follower];
                while left[*follower] > 0 && lead_to(state, &[leader], rule, seat, left, MOST_LED) {
                    let waiting = left[*follower];
                    place(state, *follower, &mut left[*follower]);
                    if left[*follower] == waiting {
                        break;
                    }
                }
                if left[*follower] == 0 || left[*follower] == before {
                    break;
                }
            }
        }
    }
}

/// The first way of seating one of those that a group has to be near that lets most of the group in.
fn best_lead(state: &State, follower: usize, rule: &Constraint, left: &[u32]) -> Option<(usize, Seat)> {
    let mut best: Option<(u32, usize, Seat)> = None;
    let leaders = leaders(state, follower, rule, left);
    let all = seats(state, follower, rule);
    let each = leaders.into_iter().flat_map(|leader| all.iter().map(move |seat| (leader, *seat)));
    for (leader, seat) in each.take(MOST_TRIED) {
        let (mut trial, mut rest) = (state.copy(), left.to_vec());
        if !lead_to(&mut trial, &[leader], rule, seat, &mut rest, MOST_LED) {
            continue;
        }
        place(&mut trial, follower, &mut rest[follower]);
        let rest = rest[follower];
        if best.is_none_or(|(least, ..)| rest < least) {
            best = Some((rest, leader, seat));
        }
        if rest == 0 {
            break;
        }
    }
    best.map(|(_, leader, seat)| (leader, seat))
}

/// Whom a follower could be near: those of other groups, and its own as long as nobody of the kind is anywhere.
fn leaders(state: &State, follower: usize, rule: &Constraint, left: &[u32]) -> Vec<usize> {
    let world = state.world;
    // A stand-in is nobody to be near to.
    let is_pod = |group: usize| !world.snapshot.groups[group].is_stand_in();
    let counts =
        |group: &usize| left[*group] > 0 && is_pod(*group) && world.groups[*group].counted.contains(&rule.counter);
    let others = (0..world.groups.len()).filter(|group| *group != follower).filter(counts);
    let is_first = rule.counts_itself && state.total(rule.counter) == 0;
    others.chain(is_first.then_some(follower)).collect()
}

/// Where the first of those could be that a follower has to be near; nowhere if there is one already.
fn seats(state: &State, follower: usize, rule: &Constraint) -> Vec<Seat> {
    let world = state.world;
    if world.topology.is_host(rule.key) {
        let compat = &world.groups[follower].levels[world.groups[follower].levels.len() - 1].compat;
        return (0..world.shelves.len()).filter(|at| !compat[*at].ways.is_empty()).map(Seat::Machine).collect();
    }
    let domains = Reach::default().of(state, follower, rule.key).unwrap_or_default();
    let is_there = domains.iter().any(|domain| state.counted(rule.counter, *domain) > 0);
    let seats = domains.into_iter().filter(|_| !is_there);
    seats.map(|domain| Seat::Domain(rule.key, domain)).collect()
}

/// Seats one of these, whom somebody has to be near by this rule, and before it whom that one has to be near.
fn lead_to(state: &mut State, leaders: &[usize], rule: &Constraint, seat: Seat, left: &mut [u32], most: usize) -> bool {
    let world = state.world;
    for leader in leaders.iter().copied() {
        if left[leader] == 0 {
            continue;
        }
        let rules = world.groups[leader].levels.last().into_iter().flat_map(|level| &level.constraints);
        let near = |c: &&Constraint| matches!(c.demand, Demand::Affinity) && c.key == rule.key && !c.counts_itself;
        let own = rules.into_iter().find(near).filter(|_| most > 1);
        let is_seated = put_one(state, leader, seat)
            || own.is_some_and(|own| {
                let before = self::leaders(state, leader, own, left);
                lead_to(state, &before, own, seat, left, most - 1) && left[leader] > 0 && join_one(state, leader, seat)
            });
        if is_seated {
            left[leader] -= 1;
            return true;
        }
    }
    false
}

/// Puts one pod of a group beside whom it was led by.
fn join_one(state: &mut State, group: usize, seat: Seat) -> bool {
    let mut one = 1;
    match seat {
        Seat::Machine(_) => place(state, group, &mut one),
        Seat::Domain(..) => return put_one(state, group, seat),
    }
    one == 0
}

/// Puts one pod of a group where it is to be, all wishes respected first.
fn put_one(state: &mut State, group: usize, seat: Seat) -> bool {
    let n_levels = state.world.groups[group].levels.len();
    state.world.groups[group].shape.refused.is_none()
        && (0..n_levels).any(|level| match seat {
            Seat::Machine(shelf) => open_from(state, shelf, group, level, 1).is_some(),
            Seat::Domain(key, domain) => put_in_domain(state, group, level, (key, domain)),
        })
}
