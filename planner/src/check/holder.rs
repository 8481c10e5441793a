//! Can the other offerings of a launch hold what it holds? What the answers have in common is worked out once per list.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::labels::HOSTNAME;
use crate::model::{InstanceType, Labels, Offering, PodShape, Pool, Requirement, Resources, Str};

use super::after::{After, Bought, Cell, Stand};
use super::topology::View;
use super::{Fault, Misfit, fit};

/// Launches that pick from one list, with the same labels of their own, and the same open keys; and what they ask of keys that
/// types leave open other than theirs.
type LineKey<'b> = (usize, &'b Labels, Option<*const InstanceType>, Vec<&'b Requirement>);

/// What was found out about the lists so far.
#[derive(Default)]
pub(super) struct Lines<'b> {
    lines: BTreeMap<LineKey<'b>, Line<'b>>,
    /// By pool, the keys that some of its types leave open.
    open_keys: BTreeMap<*const Pool, BTreeSet<&'b Str>>,
}

/// What is the same for all those launches, by place in the list.
struct Line<'b> {
    verdicts: Vec<Option<Verdict<'b>>>,
    /// Distinct sets of `DaemonSet`s that run on an offering.
    runs: Vec<Vec<bool>>,
    /// Numbers of the types.
    kinds: BTreeMap<*const InstanceType, usize>,
    /// By number of some topology keys: what an offering says about them.
    domains: Vec<Domains<'b>>,
    numbers: BTreeMap<Vec<&'b Str>, usize>,
}

#[derive(Clone, Copy)]
struct Verdict<'b> {
    /// The first key on which it leaves the pool's terms.
    outside: Option<&'b str>,
    /// Number of the set of `DaemonSet`s.
    runs: usize,
    /// Number of the type.
    kind: usize,
}

/// What was found out about a question that many offerings ask.
#[derive(Clone, Default)]
enum Answer {
    #[default]
    Unasked,
    Sound,
    Wrong(Misfit),
}

impl Answer {
    fn of(misfit: Option<Misfit>) -> Self {
        misfit.map_or(Self::Sound, Self::Wrong)
    }

    fn misfit(&self) -> Option<Misfit> {
        match self {
            Self::Wrong(misfit) => Some(misfit.clone()),
            Self::Unasked | Self::Sound => None,
        }
    }
}

/// The answer of this number, asked for when it is not there yet.
fn answer(known: &mut Vec<Answer>, number: usize, ask: impl FnOnce() -> Option<Misfit>) -> Option<Misfit> {
    if known.len() <= number {
        known.resize(number + 1, Answer::Unasked);
    }
    if matches!(known[number], Answer::Unasked) {
        known[number] = Answer::of(ask());
    }
    known[number].misfit()
}

/// Distinct values of some keys.
struct Domains<'b> {
    values: Vec<Vec<Option<&'b str>>>,
    /// By place in the list, the number of the values.
    of: Vec<Option<usize>>,
}

/// One launch and what was found out about it.
pub(super) struct Holder<'a, 'b, 'c> {
    after: &'b After<'a>,
    view: &'c mut View<'a, 'b>,
    line: &'c mut Line<'b>,
    host: usize,
    bought: &'b Bought<'a>,
    /// Keys of topology that the contents, or those who keep away from them, look at; but the hostname, which stays.
    keys: Vec<&'b Str>,
    /// Contents that look at labels, volumes or ports of the machine itself.
    picky: bool,
    /// Number of those keys.
    number: usize,
    /// What is wrong when those keys have these values, by the number of the values.
    moved: Vec<Answer>,
    /// What is asked for where these `DaemonSet`s run, and what is wrong with the room of each type there.
    rooms: BTreeMap<usize, (Resources, Vec<Answer>)>,
}

impl<'a, 'b, 'c> Holder<'a, 'b, 'c> {
    pub fn new(
        after: &'b After<'a>,
        view: &'c mut View<'a, 'b>,
        lines: &'c mut Lines<'b>,
        host: usize,
        bought: &'b Bought<'a>,
    ) -> Self {
        let cells = || after.cells_of(host);
        let own = cells().flat_map(|cell| {
            let spreads = cell.shape.spreads.iter().filter(|spread| spread.hard).map(|spread| &spread.key);
            spreads.chain(cell.shape.affinity.iter().chain(&cell.shape.anti_affinity).map(|term| &term.key))
        });
        let away = after.anti_terms.iter().filter(|term| cells().any(|cell| term.picks(cell.shape)));
        let keys: BTreeSet<&Str> = own.chain(away.map(|term| &term.key)).filter(|key| ***key != *HOSTNAME).collect();
        let looks = |shape: &PodShape| {
            !shape.node_selector.is_empty()
                || shape.node_terms.is_some()
                || !shape.volumes.is_empty()
                || !shape.host_ports.is_empty()
        };
        let open = (!bought.kind.open_labels.is_empty()).then_some(std::ptr::from_ref(bought.kind));
        let open_keys = lines.open_keys.entry(std::ptr::from_ref(bought.pool)).or_insert_with(|| {
            bought.pool.types.iter().flat_map(|kind| kind.open_labels.iter().map(|(key, _)| key)).collect()
        });
        let of_others = open_keys.iter().filter(|key| !after.hosts[host].labels.contains_key(&***key));
        let asked = of_others.filter_map(|key| bought.launch.requirements.get(key)).collect();
        let line = lines.lines.entry((bought.list, &after.hosts[host].labels, open, asked)).or_insert_with(|| Line {
            verdicts: vec![None; bought.sold.len()],
            runs: Vec::new(),
            kinds: BTreeMap::new(),
            domains: Vec::new(),
            numbers: BTreeMap::new(),
        });
        let keys: Vec<&Str> = keys.into_iter().collect();
        let number = line.number(&keys, bought.sold.len());
        Self {
            after,
            view,
            line,
            host,
            bought,
            keys,
            picky: cells().any(|cell| looks(cell.shape)),
            number,
            moved: Vec::new(),
            rooms: BTreeMap::new(),
        }
    }

    /// The listed ones must, and a cheaper one that is not listed must not.
    pub fn check(mut self, faults: &mut Vec<Fault>) {
        for (at, (place, ranked, sold)) in self.bought.listed().enumerate() {
            let Some((kind, offering)) = sold else { continue };
            let launch = &self.bought.launch.name;
            let verdict = self.verdict(place, kind, offering);
            if let Some(key) = verdict.outside {
                let launch = launch.clone();
                faults.push(Fault::OutsideRequirements { launch, offering: ranked.clone(), key: key.into() });
            } else if let Some(misfit) = if at == 0 { None } else { self.misfit(place, verdict, (kind, offering)) } {
                let launch = launch.clone();
                faults.push(Fault::CannotHold { launch, offering: ranked.clone(), misfit });
            }
        }
        if self.settled() {
            self.cheaper(faults);
        }
    }

    fn shapes(&self) -> impl Iterator<Item = &'b PodShape> + use<'a, 'b> {
        let after = self.after;
        after.hosts[self.host].cells.iter().map(|cell| after.cells[*cell].shape)
    }

    /// Nothing but the machine decides what may stand in: no wishes, no ties to other pods, no joint limits.
    fn settled(&self) -> bool {
        let pool = self.bought.pool;
        let counted = |shape: &PodShape| {
            let spreads = &self.after.spread_over;
            spreads
                .iter()
                .any(|(namespace, selector)| **namespace == shape.namespace && selector.matches(&shape.labels))
        };
        if self.shapes().any(counted) {
            return false;
        }
        pool.limits.0.is_empty()
            && !self.after.anti_terms.iter().any(|term| self.shapes().any(|shape| term.picks(shape)))
            && !self.bought.launch.pods.is_empty()
            && pool.requirements.iter().all(|r| r.min_values.is_none())
            && self.shapes().all(|s| {
                s.spreads.is_empty()
                    && s.affinity.is_empty()
                    && s.anti_affinity.is_empty()
                    && s.preferred_node_terms.is_empty()
                    && s.preferred_affinity.is_empty()
                    && s.preferred_anti_affinity.is_empty()
                    && s.node_terms.as_ref().is_none_or(|terms| terms.len() < 2)
            })
    }

    fn cheaper(&mut self, faults: &mut Vec<Fault>) {
        let Bought { launch, pool, kind: chosen, .. } = self.bought;
        let pods = fit::asked_with(self.after, self.host, &[]);
        for kind in pool.types.iter().filter(|kind| chosen.exotic || !kind.exotic) {
            let cheap = |o: &&Offering| o.available && o.price < launch.price() && o.reservation.is_none();
            let mut offerings = kind.offerings.iter().filter(cheap).peekable();
            if offerings.peek().is_none() || !pods.fits(&kind.allocatable) {
                continue;
            }
            for offering in offerings {
                let stand = self.stand(kind, offering);
                if self.outside(&stand).is_none() && self.unlisted_misfit((kind, offering), &stand).is_none() {
                    faults.push(Fault::CheaperExists {
                        launch: launch.name.clone(),
                        instance_type: kind.name.clone(),
                        zone: offering.zone.clone(),
                        price: offering.price,
                    });
                }
            }
        }
    }

    fn stand(&self, kind: &'b InstanceType, offering: &'b Offering) -> Stand<'b> {
        let host = &self.after.hosts[self.host];
        let settled_for = Some(self.bought.kind);
        let asked = Some(&*self.bought.launch.requirements);
        Stand { name: host.name, labels: &host.labels, sold: Some((kind, offering)), settled_for, asked }
    }

    /// The first key on which an offering leaves the pool's terms or the launch's own.
    fn outside(&self, stand: &Stand<'b>) -> Option<&'b str> {
        let pool = self.bought.pool;
        let unequal =
            pool.labels.iter().find(|(key, value)| stand.label(key) != Some(&***value)).map(|(key, _)| &**key);
        let unmet = || pool.requirements.iter().find(|r| !r.allows(stand.label(&r.key))).map(|r| &*r.key);
        unequal.or_else(unmet)
    }

    fn runs(&self, stand: &Stand<'b>) -> Vec<bool> {
        let taints = self.after.hosts[self.host].taints;
        self.after.snapshot.daemons.iter().map(|daemon| stand.runs(&daemon.shape, taints)).collect()
    }

    fn verdict(&mut self, place: usize, kind: &'b InstanceType, offering: &'b Offering) -> Verdict<'b> {
        if let Some(verdict) = self.line.verdicts[place] {
            return verdict;
        }
        let stand = self.stand(kind, offering);
        let runs = self.runs(&stand);
        let known = self.line.runs.iter().position(|known| *known == runs);
        let runs = known.unwrap_or_else(|| {
            self.line.runs.push(runs);
            self.line.runs.len() - 1
        });
        let next = self.line.kinds.len();
        let number = *self.line.kinds.entry(std::ptr::from_ref(kind)).or_insert(next);
        let verdict = Verdict { outside: self.outside(&stand), runs, kind: number };
        self.line.verdicts[place] = Some(verdict);
        verdict
    }

    /// What is wrong if a listed offering stands in.
    fn misfit(
        &mut self,
        place: usize,
        verdict: Verdict<'b>,
        (kind, offering): (&'b InstanceType, &'b Offering),
    ) -> Option<Misfit> {
        let (after, host, line) = (self.after, self.host, &self.line);
        let (asked, rooms) = self.rooms.entry(verdict.runs).or_insert_with(|| {
            let asked = fit::asked_with(after, host, &line.runs[verdict.runs]);
            (asked, Vec::new())
        });
        let room = answer(rooms, verdict.kind, || {
            let mut misfits = Vec::new();
            fit::room(asked, &kind.allocatable, &mut misfits);
            misfits.into_iter().next()
        });
        if room.is_some() {
            return room;
        }
        if self.picky {
            let misfit = self.picky_misfit(&self.stand(kind, offering));
            if misfit.is_some() {
                return misfit;
            }
        }
        self.moved(place, kind, offering)
    }

    /// The same for one that is not listed; its topology is not asked about, and every `DaemonSet` that may come has its room
    /// and its ports, as what others settle is not known when a machine is chosen.
    fn unlisted_misfit(
        &mut self,
        (kind, offering): (&'b InstanceType, &'b Offering),
        stand: &Stand<'b>,
    ) -> Option<Misfit> {
        let market = &self.after.market;
        let mut runs = self.runs(stand);
        runs.iter_mut().zip(market.may_run(self.bought.pool, kind, offering)).for_each(|(runs, may)| *runs |= may);
        let mut misfits = Vec::new();
        fit::room(&fit::asked_with(self.after, self.host, &runs), &kind.allocatable, &mut misfits);
        fit::daemon_ports(self.after, self.host, &runs, &mut misfits);
        misfits.into_iter().next().or_else(|| self.picky_misfit(stand))
    }

    /// Ports, selectors, volumes.
    fn picky_misfit(&self, stand: &Stand<'b>) -> Option<Misfit> {
        let mut misfits = Vec::new();
        fit::ports(self.after, self.host, stand, &mut misfits);
        let pod = |cell: &Cell| cell.pods[0].clone();
        for cell in self.after.cells_of(self.host) {
            if !stand.wanted_by(cell.shape) {
                misfits.push(Misfit::Selector { pod: pod(cell) });
            }
            if !stand.reached_by(cell.shape) {
                misfits.push(Misfit::VolumeZone { pod: pod(cell) });
            }
        }
        misfits.into_iter().next()
    }

    /// Spread and (anti-)affinity of the contents when the machine's topology labels change.
    fn moved(&mut self, place: usize, kind: &'b InstanceType, offering: &'b Offering) -> Option<Misfit> {
        if self.keys.is_empty() {
            return None;
        }
        let stand = self.stand(kind, offering);
        let domains = &mut self.line.domains[self.number];
        let values = *domains.of[place].get_or_insert_with(|| {
            let values: Vec<Option<&str>> = self.keys.iter().map(|key| stand.label(key)).collect();
            let known = domains.values.iter().position(|known| *known == values);
            known.unwrap_or_else(|| {
                domains.values.push(values);
                domains.values.len() - 1
            })
        });
        let here = self.after.hosts[self.host].stand();
        let (view, host) = (&mut *self.view, self.host);
        let stays = self.keys.iter().zip(&self.line.domains[self.number].values[values]);
        answer(&mut self.moved, values, || {
            let stays = stays.into_iter().all(|(key, value)| here.label(key) == *value);
            if stays { None } else { view.first_misfit(host, &stand) }
        })
    }
}

impl<'b> Line<'b> {
    /// The number of these keys, with a place for what each offering says about them.
    fn number(&mut self, keys: &[&'b Str], n_places: usize) -> usize {
        if let Some(number) = self.numbers.get(keys) {
            return *number;
        }
        self.domains.push(Domains { values: Vec::new(), of: vec![None; n_places] });
        self.numbers.insert(keys.to_vec(), self.domains.len() - 1);
        self.domains.len() - 1
    }
}
