//! Nodes of one plan that open together: who waits for whom, and when a wave may open. No clock and no server in here.
//!
//! ```text
//! gathering ──every claim is ready or gone, or patience ends──▶ nominating ──written──▶ open ──let go──▶ forgotten
//!     └───── nothing can stray: each claim opens alone, when it is ready ───────────────────────────────────▲
//! ```
//!
//! A pod *strays* when it takes room on a node that opened early which the plan has given to a pod that nothing holds
//! there yet. If all pods are alike it does no harm: the place it leaves free does for the other. So a wave is held only
//! if a pod of one kind could take the room of another.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use planner::model::resources::{CPU, MEMORY};
use planner::model::{PodShape, Resources, Str};
use tokio::time::Instant;

/// How long a node that could open waits for the others of its wave. Nodes of a cloud join some seconds after each other;
/// one that takes much longer, or never comes, must not keep the pods of all others waiting.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A wave of more pods than these holds none to their nodes. For each pod that it tries on a node the scheduler counts in all that
/// are nominated there, and those that find no room beside them wait longer each time: of five thousand pods the last ran
/// after twice the time, on nodes that were 3 % cheaper.
const MOST_HELD: usize = 1500;

/// A pod and what it looks like to the planner.
#[derive(Clone, Debug)]
pub(super) struct Meant {
    /// `namespace/name`.
    pub(super) key: Str,
    pub(super) shape: Arc<PodShape>,
}

/// A claim on which a plan puts pods.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) claim: Str,
    /// What its node has for these pods and later ones.
    pub(super) room: Resources,
    pub(super) pods: Vec<Meant>,
}

/// May a node be opened?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    /// Others of its wave are still to come.
    Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Gathering,
    Nominating,
    Open,
}

#[derive(Clone, Debug)]
struct Member {
    room: Resources,
    pods: Vec<Meant>,
    /// The node, once nothing but us keeps it shut.
    node: Option<Str>,
}

#[derive(Clone, Debug)]
struct Wave {
    members: BTreeMap<Str, Member>,
    stage: Stage,
    /// The kind of pod that is held to no node.
    spared: Option<Arc<PodShape>>,
    /// It has too many pods to hold any.
    is_loose: bool,
    /// Pods of one kind could take the room of another.
    strays: bool,
    /// When the first of it was ready.
    since: Option<Instant>,
}

/// All waves that are coming.
#[derive(Debug, Default)]
pub(super) struct Waves {
    /// Plans that are being carried out: a claim that no wave knows may be one of theirs.
    n_launching: usize,
    /// Such claims, which are to ask again.
    early: Vec<Str>,
    of_claim: HashMap<Str, u64>,
    by_id: BTreeMap<u64, Wave>,
    made: u64,
    /// Nodes whose claim came to nothing when their pods were nominated to them already.
    lost: Vec<(Str, Vec<Str>)>,
}

/// A wave that is to be nominated for and then opened.
#[derive(Clone, Debug)]
pub(super) struct Due {
    pub(super) wave: u64,
    /// How long its first node was held.
    pub(super) held: Duration,
    /// Node by node.
    pub(super) nodes: Vec<(Str, Pods)>,
    /// Its claims.
    pub(super) claims: BTreeSet<Str>,
}

/// A claim whose node opens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) pods: Pods,
    /// Those of its wave that had not opened, itself included.
    pub(super) claims: BTreeSet<Str>,
    /// Its wave was held, and the others of it open now as well.
    pub(super) was_held: bool,
}

/// Pods meant for one node, `namespace/name`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pods {
    /// To be held to it, largest first.
    pub(super) held: Vec<Str>,
    /// Of the kind that finds its room by itself, as long as no pods of other kinds wait beside the wave.
    pub(super) spared: Vec<Str>,
}

impl Waves {
    /// Claims are about to be made.
    pub(super) fn launching(&mut self) {
        self.n_launching += 1;
    }

    /// All of those are made and known. Gives the claims that are to ask again.
    pub(super) fn launched(&mut self) -> Vec<Str> {
        self.n_launching = self.n_launching.saturating_sub(1);
        if self.n_launching == 0 { std::mem::take(&mut self.early) } else { Vec::new() }
    }

    /// Takes in a plan. Pods on a claim of an earlier plan join the wave of that claim; all other claims are a new wave.
    pub(super) fn add(&mut self, hosts: Vec<Host>) {
        let mut fresh = BTreeMap::new();
        let mut changed = BTreeSet::new();
        for Host { claim, room, pods } in hosts {
            let of = self.of_claim.get(&claim).copied();
            match of.and_then(|id| Some((id, self.by_id.get_mut(&id)?.members.get_mut(&claim)?))) {
                Some((id, member)) => {
                    // A plan that puts the same pods there again says nothing new.
                    let known: HashSet<Str> = member.pods.iter().map(|pod| pod.key.clone()).collect();
                    member.pods.extend(pods.into_iter().filter(|pod| !known.contains(&pod.key)));
                    changed.insert(id);
                }
                None => drop(fresh.insert(claim, Member { room, pods, node: None })),
            }
        }
        if !fresh.is_empty() {
            self.made += 1;
            self.of_claim.extend(fresh.keys().map(|claim| (claim.clone(), self.made)));
            let wave = Wave {
                members: fresh,
                stage: Stage::Gathering,
                spared: None,
                is_loose: false,
                strays: false,
                since: None,
            };
            self.by_id.insert(self.made, wave);
            changed.insert(self.made);
        }
        for id in changed {
            if let Some(wave) = self.by_id.get_mut(&id) {
                wave.spared = wave.most_pods();
                wave.is_loose = wave.members.values().map(|member| member.pods.len()).sum::<usize>() > MOST_HELD;
                wave.strays = wave.could_stray();
            }
        }
    }

    /// Nothing but us keeps the claim's node shut.
    pub(super) fn ready(&mut self, claim: &str, node: &str, now: Instant) -> Turn {
        let Some(wave) = self.of_claim.get(claim).and_then(|id| self.by_id.get_mut(id)) else {
            if self.n_launching > 0 {
                self.early.push(claim.into());
                return Turn::Held;
            }
            return Turn::Now;
        };
        if wave.stage == Stage::Open || !wave.strays {
            return Turn::Now;
        }
        wave.since.get_or_insert(now);
        if let Some(member) = wave.members.get_mut(claim) {
            member.node.get_or_insert_with(|| node.into());
        }
        Turn::Held
    }

    /// Waves whose time has come; they are being nominated for from now on. `is_coming`: is the claim still there and
    /// not on its way out?
    pub(super) fn due(&mut self, now: Instant, is_coming: impl Fn(&str) -> bool) -> Vec<Due> {
        self.forget(is_coming);
        let mut out = Vec::new();
        for (id, wave) in &mut self.by_id {
            let (Stage::Gathering, Some(since)) = (wave.stage, wave.since) else { continue };
            let held = now.saturating_duration_since(since);
            if held >= PATIENCE || !wave.strays || wave.members.values().all(|member| member.node.is_some()) {
                wave.stage = Stage::Nominating;
                let claims = wave.members.keys().cloned().collect();
                out.push(Due { wave: *id, held, nodes: wave.nodes(), claims });
            }
        }
        out
    }

    /// When the next patience ends.
    pub(super) fn next(&self) -> Option<Instant> {
        let waiting = self.by_id.values().filter(|wave| wave.stage == Stage::Gathering);
        waiting.filter_map(|wave| Some(wave.since? + PATIENCE)).min()
    }

    /// The nominations of a wave are written: gives the claims whose nodes may open. Those that come later need not wait.
    pub(super) fn open(&mut self, wave: u64) -> Vec<Str> {
        let Some(wave) = self.by_id.get_mut(&wave) else { return Vec::new() };
        wave.stage = Stage::Open;
        let ready = wave.members.iter().filter(|(_, member)| member.node.is_some());
        ready.map(|(claim, _)| claim.clone()).collect()
    }

    /// The claim's node opens now.
    pub(super) fn take(&mut self, claim: &str) -> Taken {
        let Some(id) = self.of_claim.remove(claim) else { return Taken::default() };
        let Some(wave) = self.by_id.get_mut(&id) else { return Taken::default() };
        let claims = wave.members.keys().cloned().collect();
        let Some(member) = wave.members.remove(claim) else { return Taken::default() };
        let pods = wave.pods(&member);
        let was_held = wave.strays;
        if wave.members.is_empty() {
            self.by_id.remove(&id);
        }
        Taken { pods, claims, was_held }
    }

    /// Nodes that will not open although pods were nominated to them, each once.
    pub(super) fn take_lost(&mut self) -> Vec<(Str, Vec<Str>)> {
        std::mem::take(&mut self.lost)
    }

    /// Claims that came to nothing are waited for no longer.
    fn forget(&mut self, is_coming: impl Fn(&str) -> bool) {
        let (by_id, lost) = (&mut self.by_id, &mut self.lost);
        self.of_claim.retain(|claim, id| {
            let stays = is_coming(claim);
            if !stays
                && let Some(wave) = by_id.get_mut(id)
                && let Some(member) = wave.members.remove(claim)
                && wave.stage != Stage::Gathering
                && let Some(node) = &member.node
            {
                let Pods { held, spared } = wave.pods(&member);
                lost.push((node.clone(), [held, spared].concat()));
            }
            stays
        });
        self.by_id.retain(|_, wave| !wave.members.is_empty());
    }
}

impl Wave {
    /// The kind with the most pods; of equals the smallest, which finds room most easily.
    ///
    /// Its pods need not be held: with all others held to their nodes, the room that is left takes as many of them as were
    /// planned, wherever each of them goes.
    fn most_pods(&self) -> Option<Arc<PodShape>> {
        let mut counts: BTreeMap<&Arc<PodShape>, usize> = BTreeMap::new();
        for pod in self.members.values().flat_map(|member| &member.pods) {
            *counts.entry(&pod.shape).or_default() += 1;
        }
        let size = |shape: &PodShape| (shape.requests.get(CPU), shape.requests.get(MEMORY));
        counts.into_iter().max_by_key(|(shape, n)| (*n, Reverse(size(shape)))).map(|(shape, _)| shape.clone())
    }

    /// Pods that are held to their node, largest first: if not all can be, small ones find room more easily.
    fn held<'a>(&'a self, member: &'a Member) -> impl Iterator<Item = &'a Meant> {
        let is_spared = |pod: &&Meant| self.spared.as_ref().is_some_and(|spared| *spared == pod.shape);
        let mut held: Vec<_> = member.pods.iter().filter(move |pod| !self.is_loose && !is_spared(pod)).collect();
        held.sort_by_key(|pod| Reverse((pod.shape.requests.get(CPU), pod.shape.requests.get(MEMORY))));
        held.into_iter()
    }

    /// Is there a node on which a pod that is held to another one would find room that was meant for those that are not held? Room
    /// that was meant for nobody may be taken: the pod's own place is free for it. Only amounts are looked at: whatever
    /// else keeps the pod from there makes waiting needless, not wrong.
    fn could_stray(&self) -> bool {
        let mut hosts: BTreeMap<&Arc<PodShape>, BTreeSet<&Str>> = BTreeMap::new();
        for (claim, member) in &self.members {
            for pod in self.held(member) {
                hosts.entry(&pod.shape).or_default().insert(claim);
            }
        }
        let has_spared = |member: &Member| self.held(member).count() < member.pods.len();
        self.members.iter().filter(|(_, member)| has_spared(member)).any(|(claim, member)| {
            let mut left = member.room.clone();
            for pod in self.held(member) {
                left.subtract(&pod.shape.requests);
            }
            let is_from_elsewhere = |hosts: &BTreeSet<&Str>| hosts.len() > 1 || !hosts.contains(claim);
            hosts.iter().any(|(shape, hosts)| is_from_elsewhere(hosts) && shape.requests.fits(&left))
        })
    }

    fn nodes(&self) -> Vec<(Str, Pods)> {
        let ready = self.members.values().filter_map(|member| Some((member.node.clone()?, member)));
        ready.map(|(node, member)| (node, self.pods(member))).collect()
    }

    fn pods(&self, member: &Member) -> Pods {
        if self.strays {
            // Gates do not open at one instant, and those of another kind that are tried meanwhile would take the room of
            // the spared.
            let all = self.held(member).chain(self.of_spared(member));
            return Pods { held: all.map(|pod| pod.key.clone()).collect(), spared: Vec::new() };
        }
        let keys = |pods: &mut dyn Iterator<Item = &Meant>| pods.map(|pod| pod.key.clone()).collect();
        Pods { held: keys(&mut self.held(member)), spared: keys(&mut self.of_spared(member)) }
    }

    fn of_spared<'a>(&'a self, member: &'a Member) -> impl Iterator<Item = &'a Meant> {
        member.pods.iter().filter(|pod| !self.is_loose && self.spared.as_ref() == Some(&pod.shape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(name: &str, cpu: i64) -> Arc<PodShape> {
        Arc::new(PodShape { namespace: name.into(), requests: Resources::of([(CPU, cpu)]), ..PodShape::default() })
    }

    fn host(claim: &str, cpu: i64, pods: &[(&Arc<PodShape>, usize)]) -> Host {
        let meant = |(shape, n): &(&Arc<PodShape>, usize)| {
            let of = |nth| Meant { key: format!("{}/{claim}-{nth}", shape.namespace).into(), shape: (*shape).clone() };
            (0..*n).map(of).collect::<Vec<_>>()
        };
        Host { claim: claim.into(), room: Resources::of([(CPU, cpu)]), pods: pods.iter().flat_map(meant).collect() }
    }

    /// Two nodes, each with room for a large pod, and small pods that could stand in its place.
    fn roomy() -> Waves {
        let (large, small) = (shape("large", 3000), shape("small", 1000));
        let mut waves = Waves::default();
        waves.add(vec![host("a", 7000, &[(&large, 1), (&small, 4)]), host("b", 7000, &[(&large, 1), (&small, 4)])]);
        waves
    }

    fn all(_: &str) -> bool {
        true
    }

    fn due(waves: &mut Waves, at: Instant, is_coming: impl Fn(&str) -> bool) -> Vec<Vec<(String, usize)>> {
        let due = waves.due(at, is_coming).into_iter();
        due.map(|due| due.nodes.into_iter().map(|(node, pods)| (node.to_string(), pods.held.len())).collect()).collect()
    }

    #[test]
    fn a_wave_opens_once_the_last_of_it_is_ready_and_its_pods_are_nominated() {
        let (mut waves, now) = (roomy(), Instant::now());
        assert_eq!(waves.ready("a", "node-a", now), Turn::Held);
        assert!(due(&mut waves, now, all).is_empty());
        assert_eq!(waves.next(), Some(now + PATIENCE));
        assert_eq!(waves.ready("b", "node-b", now), Turn::Held);
        assert_eq!(due(&mut waves, now, all), [[("node-a".to_owned(), 5), ("node-b".to_owned(), 5)]]);
        assert_eq!(waves.ready("a", "node-a", now), Turn::Held, "not before they are written");
        assert!(due(&mut waves, now, all).is_empty() && waves.next().is_none(), "and not twice");
        assert_eq!(waves.open(1), ["a".into(), "b".into()]);
        assert_eq!(waves.ready("a", "node-a", now), Turn::Now);
        let taken = waves.take("a");
        assert_eq!(
            (&*taken.pods.held[0], taken.pods.held.len(), taken.claims.len()),
            ("large/a-0", 5, 2),
            "largest first"
        );
        assert_eq!(waves.take("b").pods.held.len(), 5);
        assert!(waves.by_id.is_empty() && waves.of_claim.is_empty());
    }

    #[test]
    fn a_claim_that_comes_to_nothing_is_not_waited_for() {
        let (mut waves, now) = (roomy(), Instant::now());
        waves.ready("a", "node-a", now);
        assert_eq!(due(&mut waves, now, |claim| claim != "b"), [[("node-a".to_owned(), 5)]]);
        assert_eq!(waves.open(1), ["a".into()]);
    }

    #[test]
    fn pods_that_were_nominated_to_a_node_whose_claim_ends_before_it_opens_are_given_back() {
        let (mut waves, now) = (roomy(), Instant::now());
        waves.ready("a", "node-a", now);
        waves.ready("b", "node-b", now);
        assert!(due(&mut waves, now, |claim| claim != "b").len() == 1 && waves.take_lost().is_empty(), "not nominated");
        due(&mut waves, now, |claim| claim != "a");
        let lost: Vec<(String, usize)> =
            waves.take_lost().iter().map(|(node, pods)| (node.to_string(), pods.len())).collect();
        assert_eq!(lost, [("node-a".to_owned(), 5)]);
        assert!(waves.take_lost().is_empty());
    }

    #[test]
    fn patience_ends_and_who_comes_later_opens_at_once() {
        let (mut waves, now) = (roomy(), Instant::now());
        waves.ready("a", "node-a", now);
        assert!(due(&mut waves, now + PATIENCE - Duration::from_millis(1), all).is_empty());
        assert_eq!(due(&mut waves, now + PATIENCE, all), [[("node-a".to_owned(), 5)]]);
        waves.open(1);
        assert_eq!(waves.ready("b", "node-b", now + PATIENCE), Turn::Now);
        assert_eq!(waves.take("b").pods.held.len(), 5);
    }

    #[test]
    fn pods_of_a_later_plan_join_the_wave_of_the_claim_they_are_put_on() {
        let (mut waves, now) = (roomy(), Instant::now());
        let other = shape("other", 500);
        waves.add(vec![host("a", 0, &[(&other, 2)]), host("c", 7000, &[(&other, 2)])]);
        waves.ready("a", "node-a", now);
        waves.ready("b", "node-b", now);
        let due = due(&mut waves, now, all);
        assert_eq!(due, [[("node-a".to_owned(), 7), ("node-b".to_owned(), 5)]], "and c belongs to another");
        assert_eq!(waves.ready("c", "node-c", now), Turn::Now, "on which nothing but its own can lie");
    }

    #[test]
    fn nodes_on_which_nothing_can_stray_open_one_by_one() {
        let (large, small) = (shape("large", 3000), shape("small", 1000));
        let alike = vec![host("a", 9000, &[(&small, 4)]), host("b", 9000, &[(&small, 4)])];
        let full = vec![host("a", 5000, &[(&large, 1), (&small, 2)]), host("b", 5000, &[(&large, 1), (&small, 2)])];
        let one = vec![host("a", 9000, &[(&large, 1), (&small, 4)])];
        let apart = vec![host("a", 9000, &[(&large, 2)]), host("b", 4000, &[(&small, 3)])];
        for (why, hosts, is_held) in [
            ("pods that are all alike", alike, false),
            ("no room for another large one", full, false),
            ("a single node", one, false),
            ("a large one would take the room of the small ones", apart, true),
        ] {
            let mut waves = Waves::default();
            let claims: Vec<Str> = hosts.iter().map(|host| host.claim.clone()).collect();
            waves.add(hosts);
            for claim in claims {
                let expected = if is_held { Turn::Held } else { Turn::Now };
                assert_eq!(waves.ready(&claim, "n", Instant::now()), expected, "{why}: {claim}");
                assert_eq!(waves.take(&claim).pods.spared.is_empty(), is_held, "{why}: {claim}");
            }
        }
    }

    #[test]
    fn a_wave_of_very_many_pods_holds_none_of_them() {
        let (large, small) = (shape("large", 3000), shape("small", 1000));
        let n_large = MOST_HELD;
        let mut waves = Waves::default();
        waves.add(vec![host("a", 9000, &[(&large, n_large), (&small, 1)]), host("b", 9000, &[(&small, 4)])]);
        assert_eq!(waves.ready("a", "node-a", Instant::now()), Turn::Now);
        assert_eq!(waves.take("a").pods, Pods::default());
    }

    #[test]
    fn a_claim_that_is_ready_before_its_plan_is_known_asks_again() {
        let (mut waves, now) = (Waves::default(), Instant::now());
        waves.launching();
        assert_eq!(waves.ready("a", "node-a", now), Turn::Held);
        let (large, small) = (shape("large", 3000), shape("small", 1000));
        waves.add(vec![host("a", 7000, &[(&large, 1), (&small, 4)]), host("b", 7000, &[(&large, 1), (&small, 4)])]);
        assert_eq!(waves.launched(), ["a".into()]);
        assert_eq!(waves.ready("a", "node-a", now), Turn::Held, "for b");
        assert_eq!(waves.ready("z", "node-z", now), Turn::Now);
    }

    #[test]
    fn a_claim_that_no_plan_of_ours_knows_opens_at_once() {
        let mut waves = roomy();
        assert_eq!(waves.ready("z", "node-z", Instant::now()), Turn::Now);
        assert_eq!(waves.take("z"), Taken::default());
    }
}
