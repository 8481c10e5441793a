//! A smaller problem whose bound holds for the whole, and whose columns start the whole one's: labels with equal menus
//! (zones, mostly) become one, classes that differ little become one that needs the least of each, and offers that can
//! then no longer be told apart become one.

use std::collections::BTreeMap;

use crate::bits::BitSet;
use crate::bound::Certificate;
use crate::instance::{Class, Instance, Make, Needs, Offer, Pattern, max_fit};
use crate::num::u32_of;

/// See the module.
pub(crate) struct Coarse<const R: usize> {
    pub inst: Instance<R>,
    /// By class of the whole: its class here.
    of: Vec<u32>,
    /// By class here: those of the whole.
    members: Vec<Vec<u32>>,
    /// By offer here: those of the whole that it stands for.
    offers: Vec<Vec<u32>>,
    /// By offer of the whole: the one here, if any.
    offer_of: Vec<Option<u32>>,
}

/// Classes that are being joined.
struct Cluster<const R: usize> {
    need: [i64; R],
    group: u32,
    /// No member has a limit per bin or a foe.
    free: bool,
    /// Largest cost alone of a member, and what the members are worth.
    alone: f64,
    worth: f64,
    members: Vec<u32>,
}

/// Menus count as equal when each has, for everything on the other, something as large that costs at most this much more.
const DEARER: f64 = 1.005;

impl<const R: usize> Coarse<R> {
    /// `values` are first values per class, `price` what a unit of each dimension is worth. Classes of different items are
    /// joined when that gives away at most `similar` of what they are worth.
    pub(crate) fn new(inst: &Instance<R>, values: &[f64], price: &[f64; R], similar: f64) -> Self {
        let group_of = groups(inst);
        let (of, clusters) = clusters(inst, &group_of, values, price, similar);
        let classes: Vec<Class<R>> = clusters.iter().map(|c| join(inst, c)).collect();
        let members = clusters.into_iter().map(|c| c.members).collect();
        let (new, stands_for) = merged_offers(inst, &group_of, &classes, &of);
        let mut offer_of = vec![None; inst.offers.len()];
        for (o, list) in stands_for.iter().enumerate() {
            list.iter().for_each(|&f| offer_of[f as usize] = Some(u32_of(o)));
        }
        let n_new = new.len();
        let mut offers = new;
        for offer in &inst.offers[inst.n_new..] {
            let mut offer = offer.clone();
            let served = BitSet::of(classes.len(), offer.fit.iter().map(|f| of[f.0 as usize] as usize));
            fit_into(&mut offer, &classes, &served);
            offers.push(offer);
        }
        let makes = inst.makes.iter().map(|m| make(m, &of)).collect();
        let n_labels = classes.iter().map(|c| c.label as usize + 1).max().unwrap_or(0);
        let inst = Instance {
            needs: Needs::of(&classes),
            classes,
            offers,
            n_new,
            makes,
            limits: inst.limits.clone(),
            n_labels,
            active: inst.active.clone(),
            has_foes: false,
            guesses: true,
            homeless: Vec::new(),
        };
        Self { inst, of, members, offers: stands_for, offer_of }
    }

    /// How much smaller it is: classes times offers, as a share of the whole's.
    pub(crate) fn size(&self, whole: &Instance<R>) -> f64 {
        (self.inst.classes.len() * self.inst.n_new) as f64 / (whole.classes.len() * whole.n_new).max(1) as f64
    }

    /// Numbers per class of the whole, added up.
    pub(crate) fn sums(&self, whole: &[u32]) -> Vec<u32> {
        let mut sums = vec![0u32; self.members.len()];
        for (&c, &n) in self.of.iter().zip(whole) {
            sums[c as usize] = sums[c as usize].saturating_add(n);
        }
        sums
    }

    /// Whether any member is meant.
    pub(crate) fn any(&self, whole: &[bool]) -> Vec<bool> {
        self.members.iter().map(|m| m.iter().any(|&k| whole[k as usize])).collect()
    }

    /// The least value of the members: a start.
    pub(crate) fn gather(&self, whole: &[f64]) -> Vec<f64> {
        self.members
            .iter()
            .map(|m| m.iter().map(|&k| whole[k as usize]).fold(f64::INFINITY, f64::min))
            .map(|v| if v.is_finite() { v } else { 0.0 })
            .collect()
    }

    /// Values per class of the whole: those that no packing beats here, none beats there.
    pub(crate) fn spread(&self, values: &[f64]) -> Vec<f64> {
        self.of.iter().map(|&c| values[c as usize]).collect()
    }

    /// The certificate of this problem as one of the whole.
    pub(crate) fn certificate(&self, certificate: Certificate) -> Certificate {
        Certificate { values: self.spread(&certificate.values), ..certificate }
    }

    /// Columns of the whole as columns here.
    pub(crate) fn project(&self, columns: &[(u32, Pattern)]) -> Vec<(u32, Pattern)> {
        let mut out: Vec<(u32, Pattern)> = Vec::with_capacity(columns.len());
        for (offer, pattern) in columns {
            let Some(o) = self.offer_of[*offer as usize] else { continue };
            let mut joined: BTreeMap<u32, u32> = BTreeMap::new();
            for &(k, n) in pattern {
                *joined.entry(self.of[k as usize]).or_insert(0) += n;
            }
            out.push((o, joined.into_iter().collect()));
        }
        out.sort_unstable();
        out.dedup();
        out
    }

    /// Columns of the whole that are filled as `used` says, one for each offer that one here stands for.
    pub(crate) fn expand(&self, whole: &Instance<R>, used: &[(u32, f64, Pattern)]) -> Vec<(u32, Pattern)> {
        let mut rest: Vec<f64> = whole.classes.iter().map(|c| f64::from(c.count)).collect();
        let mut out = Vec::new();
        for (offer, amount, pattern) in used {
            let stands_for = &self.offers[*offer as usize];
            for &o in stands_for {
                let offer = &whole.offers[o as usize];
                let (mut free, mut filled) = (offer.holds, Pattern::new());
                for &(c, n) in pattern {
                    let mut left = n;
                    while left > 0 {
                        let fitting = self.members[c as usize].iter().copied().filter(|&k| {
                            let class = &whole.classes[k as usize];
                            offer.serves.contains(k as usize)
                                && class.count > 0
                                && !filled.iter().any(|f| f.0 == k)
                                && !class.has_foe_in(&filled)
                                && max_fit(&class.need, &free) > 0
                        });
                        let most = |a: &u32, b: &u32| rest[*a as usize].total_cmp(&rest[*b as usize]).then(b.cmp(a));
                        let Some(k) = fitting.max_by(most) else { break };
                        let class = &whole.classes[k as usize];
                        let n = left.min(max_fit(&class.need, &free)).min(class.per_bin).min(class.count);
                        for r in 0..R {
                            free[r] -= class.need[r] * i64::from(n);
                        }
                        rest[k as usize] -= f64::from(n) * amount / stands_for.len() as f64;
                        filled.push((k, n));
                        left -= n;
                    }
                }
                filled.sort_unstable();
                out.push((o, filled));
            }
        }
        out
    }
}

/// Group of each label: those with equal menus.
fn groups<const R: usize>(inst: &Instance<R>) -> Vec<u32> {
    let mut menus: Vec<Vec<u32>> = vec![Vec::new(); inst.n_labels];
    for (o, offer) in inst.offers[..inst.n_new].iter().enumerate() {
        for l in offer.labels.iter() {
            let covers = |&p: &u32| {
                let p = &inst.offers[p as usize];
                p.price <= offer.price && p.uses == offer.uses && (0..R).all(|r| p.holds[r] >= offer.holds[r])
            };
            // Offers are by price, so what is on the menu costs no more.
            if !menus[l].iter().any(covers) {
                menus[l].push(u32_of(o));
            }
        }
    }
    let covered = |a: &[u32], b: &[u32]| {
        a.iter().all(|&x| {
            let x = &inst.offers[x as usize];
            b.iter().any(|&y| {
                let y = &inst.offers[y as usize];
                y.price <= x.price * DEARER && y.uses == x.uses && (0..R).all(|r| y.holds[r] >= x.holds[r])
            })
        })
    };
    let mut leaders: Vec<usize> = Vec::new();
    (0..inst.n_labels)
        .map(|l| {
            let equal = |&g: &usize| covered(&menus[l], &menus[g]) && covered(&menus[g], &menus[l]);
            let at = leaders.iter().position(equal).unwrap_or_else(|| {
                leaders.push(l);
                leaders.len() - 1
            });
            u32_of(at)
        })
        .collect()
}

/// Cluster of each class, and the clusters.
fn clusters<const R: usize>(
    inst: &Instance<R>,
    group_of: &[u32],
    values: &[f64],
    price: &[f64; R],
    similar: f64,
) -> (Vec<u32>, Vec<Cluster<R>>) {
    let n = inst.classes.len();
    // What one costs in a bin of its own kind, by quantity alone.
    let fits_of = |need: &[i64; R], label: u32| -> f64 {
        let price = |o: &Offer<R>| o.price / f64::from(max_fit(need, &o.holds));
        let may = |o: &&Offer<R>| o.labels.contains(label as usize) && max_fit(need, &o.holds) > 0;
        inst.offers[..inst.n_new].iter().filter(may).map(price).fold(f64::INFINITY, f64::min)
    };
    let alone: Vec<f64> = inst.classes.iter().map(|c| fits_of(&c.need, c.label)).collect();
    let size = |need: &[i64; R]| (0..R).map(|r| price[r] * need[r] as f64).sum::<f64>();
    let mut of = vec![u32::MAX; n];
    let mut clusters: Vec<Cluster<R>> = Vec::new();
    // Parts of one item are joined whatever they give away: they differ in their labels only.
    let mut parts_of: Vec<Vec<u32>> = (0..n).map(|k| vec![u32_of(k)]).collect();
    let mut head: Vec<usize> = (0..n).collect();
    for make in inst.makes.iter().filter(|m| m.parts.len() > 1) {
        for (i, &(a, _)) in make.parts.iter().enumerate() {
            let a = a as usize;
            let group = |k: usize| group_of[inst.classes[k].label as usize];
            let twin = make.parts[..i].iter().map(|p| p.0 as usize).find(|&b| {
                group(b) == group(a) && inst.classes[b].need == inst.classes[a].need && head[b] != a && head[a] == a
            });
            if let Some(b) = twin
                && head[a] == a
                && parts_of[a].len() == 1
            {
                let b = head[b];
                head[a] = b;
                parts_of[b].push(u32_of(a));
                parts_of[a].clear();
            }
        }
    }
    let worth = |k: usize| {
        parts_of[k].iter().map(|&p| values[p as usize] * f64::from(inst.classes[p as usize].count)).sum::<f64>()
    };
    let mut order: Vec<usize> = (0..n).filter(|&k| head[k] == k).collect();
    order.sort_by(|&a, &b| worth(b).total_cmp(&worth(a)).then(a.cmp(&b)));
    for k in order {
        let class = &inst.classes[k];
        let (own, group) = (worth(k), group_of[class.label as usize]);
        let free = class.per_bin == u32::MAX && class.foes.is_empty();
        let mut best: Option<(f64, usize, [i64; R])> = None;
        for (c, cluster) in clusters.iter().enumerate().filter(|c| c.1.group == group) {
            let need: [i64; R] = std::array::from_fn(|r| cluster.need[r].min(class.need[r]));
            let lost = |worth: f64, from: &[i64; R]| worth * (1.0 - size(&need) / size(from).max(1e-30));
            let loss = lost(own, &class.need) + lost(cluster.worth, &cluster.need);
            let equal = need == class.need && need == cluster.need && free && cluster.free;
            if (equal || loss < similar * own) && best.as_ref().is_none_or(|b| loss < b.0) {
                best = Some((loss, c, need));
            }
        }
        let fitting = best.filter(|(_, c, need)| {
            let alone = clusters[*c].alone.max(alone[k]);
            *need == class.need && *need == clusters[*c].need || fits_of(need, class.label) >= alone * (1.0 - similar)
        });
        let at = if let Some((_, c, need)) = fitting {
            let cluster = &mut clusters[c];
            cluster.need = need;
            cluster.alone = cluster.alone.max(alone[k]);
            cluster.worth += own;
            cluster.free &= free;
            c
        } else {
            clusters.push(Cluster { need: class.need, group, free, alone: alone[k], worth: own, members: Vec::new() });
            clusters.len() - 1
        };
        clusters[at].members.append(&mut parts_of[k].clone());
    }
    for (c, cluster) in clusters.iter_mut().enumerate() {
        cluster.members.sort_unstable();
        cluster.members.iter().for_each(|&k| of[k as usize] = u32_of(c));
    }
    (of, clusters)
}

/// The class that stands for a cluster: the least of each need, limits added up, conflicts left out.
fn join<const R: usize>(inst: &Instance<R>, cluster: &Cluster<R>) -> Class<R> {
    let classes = || cluster.members.iter().map(|&k| &inst.classes[k as usize]);
    let mut per_item = BTreeMap::new();
    for class in classes() {
        // Parts of one item are never together in more than its limit; they share one entry.
        per_item.insert(class.members.first().map(|m| m.0), class.per_bin);
    }
    let per_bin = per_item.values().fold(0u32, |sum, &n| sum.saturating_add(n));
    Class {
        need: std::array::from_fn(|r| classes().map(|c| c.need[r]).min().unwrap_or(0)),
        share: std::array::from_fn(|r| classes().map(|c| c.share[r]).fold(f64::INFINITY, f64::min)),
        count: classes().map(|c| c.count).sum(),
        most: classes().fold(0u32, |sum, c| sum.saturating_add(c.most)),
        per_bin,
        label: cluster.group,
        foes: Vec::new(),
        members: classes().flat_map(|c| c.members.iter().copied()).collect(),
    }
}

/// The offers with labels by group, those that cannot be told apart as one; and what each stands for.
fn merged_offers<const R: usize>(
    inst: &Instance<R>,
    group_of: &[u32],
    classes: &[Class<R>],
    of: &[u32],
) -> (Vec<Offer<R>>, Vec<Vec<u32>>) {
    let n_groups = group_of.iter().map(|&g| g as usize + 1).max().unwrap_or(0);
    let mut offers: Vec<Offer<R>> = Vec::new();
    let mut stands_for: Vec<Vec<u32>> = Vec::new();
    let mut by_group: Vec<Vec<usize>> = vec![Vec::new(); n_groups];
    classes.iter().enumerate().for_each(|(c, class)| by_group[class.label as usize].push(c));
    for (o, offer) in inst.offers[..inst.n_new].iter().enumerate() {
        let groups = BitSet::of(n_groups, offer.labels.iter().map(|l| group_of[l] as usize));
        let same = |x: &Offer<R>| {
            x.value == offer.value && x.holds == offer.holds && x.labels == groups && x.uses == offer.uses
        };
        if let Some(at) = offers.iter().position(same) {
            stands_for[at].push(u32_of(o));
            continue;
        }
        let dominated = offers.iter().any(|x| {
            x.value <= offer.value
                && groups.is_subset(&x.labels)
                && (0..R).all(|r| x.holds[r] >= offer.holds[r])
                && x.uses.iter().all(|(l, w)| offer.uses.iter().any(|(m, v)| m == l && v >= w))
        });
        if dominated {
            continue;
        }
        let mut merged = offer.clone();
        let mut served = BitSet::of(classes.len(), offer.fit.iter().map(|f| of[f.0 as usize] as usize));
        groups.iter().flat_map(|g| &by_group[g]).for_each(|&c| served.insert(c));
        fit_into(&mut merged, classes, &served);
        merged.labels = groups;
        if !merged.fit.is_empty() {
            offers.push(merged);
            stands_for.push(vec![u32_of(o)]);
        }
    }
    (offers, stands_for)
}

fn fit_into<const R: usize>(offer: &mut Offer<R>, classes: &[Class<R>], served: &BitSet) {
    offer.serves = BitSet::new(classes.len());
    offer.fit.clear();
    for c in served.iter() {
        let n = max_fit(&classes[c].need, &offer.holds).min(classes[c].per_bin).min(classes[c].most);
        if n > 0 {
            offer.serves.insert(c);
            offer.fit.push((u32_of(c), n));
        }
    }
}

/// An item's classes here; in one class, all of it goes there.
fn make(make: &Make, of: &[u32]) -> Make {
    let mut parts: BTreeMap<u32, u32> = BTreeMap::new();
    for &(k, floor) in &make.parts {
        *parts.entry(of[k as usize]).or_insert(0) += floor;
    }
    let mut parts: Vec<(u32, u32)> = parts.into_iter().collect();
    if let [only] = parts.as_mut_slice() {
        only.1 = make.count;
    }
    Make { item: make.item, parts, count: make.count }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bound::certify;
    use crate::choices::with_choices;
    use crate::effort::{Cancel, Effort, Meter};
    use crate::noise::Noise;
    use crate::problem::{BinKind, Cap, Conflict, Item, ItemIdx, Problem, Spread, StartedBin};
    use crate::shapes::Shapes;
    use crate::small::search_all;
    use crate::support::best_by_trying_everything;

    /// Items in two zones: some pinned, some spread, some limited per bin; two sizes of bins in each zone.
    fn problem(noise: &mut Noise) -> Problem {
        let mut kinds = Vec::new();
        for zone in [0, 1] {
            for (cpu, memory, cost) in [(8, 16, 100), (16, 24, 170)] {
                kinds.push(BinKind { holds: vec![cpu, memory], cost, domains: vec![zone], ..BinKind::default() });
            }
        }
        let mut spreads = Vec::new();
        let items = (0..4u32)
            .map(|i| {
                let allowed = match noise.below(4) {
                    0 => BitSet::of(4, [0, 1]),
                    1 => BitSet::of(4, [2, 3]),
                    _ => BitSet::full(4),
                };
                if allowed.count() == 4 && noise.below(2) == 0 {
                    let counts = [(0, 0), (1, 0)].into();
                    spreads.push(Spread { items: vec![ItemIdx(i)], key: 0, max_skew: 1, min_domains: 0, counts });
                }
                let mut quantity = |most: usize| i64::try_from(1 + noise.below(most)).unwrap_or(1);
                let (cpu, memory) = (quantity(6), quantity(9));
                Item {
                    needs: vec![cpu, memory],
                    count: u32::try_from(1 + noise.below(3)).unwrap_or(1),
                    allowed,
                    allowed_started: BitSet::new(0),
                    per_bin_max: (noise.below(3) == 0).then_some(1),
                }
            })
            .collect();
        Problem { dims: 2, items, kinds, spreads, ..Problem::default() }
    }

    fn optimum(inst: &Instance<2>) -> Option<f64> {
        let mut meter = Meter::new(Effort(1_000_000), &Cancel::new());
        let none = vec![0.0; inst.classes.len()];
        let (found, complete) = search_all(inst, &none, i64::MAX / 4, &mut meter);
        found.filter(|_| complete).map(|draft| draft.price(inst))
    }

    #[test]
    fn the_smaller_problem_never_costs_more_than_the_whole_one() {
        let mut noise = Noise::new(11);
        let (mut smaller, mut equal) = (0, 0);
        for round in 0..200 {
            let problem = problem(&mut noise);
            let shapes = Shapes::new(&problem, &problem.kinds.iter().map(|k| k.cost).collect::<Vec<_>>());
            let inst = Instance::<2>::new(&problem, &shapes, &[0, 1]);
            let values = vec![1.0; inst.classes.len()];
            let similar = [0.0, 0.1, 0.5][round % 3];
            let coarse = Coarse::new(&inst, &values, &[1.0, 0.5], similar);
            let whole = optimum(&inst).expect("small enough to search");
            let small = optimum(&coarse.inst).expect("small enough to search");
            assert!(small <= whole, "{small} > {whole} in {problem:?}");
            smaller += usize::from(coarse.size(&inst) < 1.0);
            equal += usize::from(small >= whole);
        }
        assert!(smaller > 150 && equal > 50, "{smaller} are smaller, {equal} cost the same");
    }

    /// As [`problem`], but zones of unequal prices, and with a conflict, a limit on what is bought, scarce kinds and bins
    /// that are there already.
    fn with_every_rule(noise: &mut Noise) -> Problem {
        let mut problem = problem(noise);
        let dearer = [1000, 1003, 1150][noise.below(3)];
        for kind in &mut problem.kinds {
            kind.cost *= if kind.domains == [1] { dearer } else { 1000 };
        }
        problem.kinds[noise.below(4)].available = Some(u32_of(1 + noise.below(2)));
        let room = [3, 5].map(|least| i64::try_from(least + noise.below(6)).unwrap());
        problem.started =
            vec![StartedBin { room: room.to_vec(), domains: vec![u32_of(noise.below(2))], ..StartedBin::default() }];
        for item in &mut problem.items {
            item.count = item.count.min(2);
            item.allowed_started = BitSet::of(1, (noise.below(3) > 0).then_some(0));
        }
        let a = u32_of(noise.below(4));
        problem.conflicts = vec![Conflict { a: ItemIdx(a), b: ItemIdx((a + 1) % 4) }];
        let limit = i64::try_from(2 + noise.below(5)).unwrap();
        problem.caps = vec![Cap { kinds: BitSet::of(4, [1, 3]), weights: vec![0, 1, 0, 2], limit }];
        problem
    }

    /// Values that a plan might end with: those of the resources, each off by up to a half, and now and then far off.
    fn some_values(inst: &Instance<2>, noise: &mut Noise) -> Vec<f64> {
        let mut meter = Meter::new(Effort(1_000_000), &Cancel::new());
        let mut values = crate::duals::resource_values(inst, &mut meter);
        let off = [0.0, 0.5, 4.0][noise.below(3)];
        values.iter_mut().for_each(|v| *v *= 1.0 + off * (noise.unit() - 0.3));
        values
    }

    #[test]
    fn certificates_of_the_smaller_problem_hold_for_the_whole_one_with_every_rule() {
        let mut noise = Noise::new(13);
        let (mut judged, mut near) = (0, 0);
        for round in 0..400 {
            let problem = with_every_rule(&mut noise);
            let (unpacked, optimum) = best_by_trying_everything(&problem);
            if unpacked > 0 {
                continue;
            }
            let optimum = optimum as f64 + 1e-6;
            let shapes = Shapes::new(&problem, &problem.kinds.iter().map(|k| k.cost).collect::<Vec<_>>());
            let inst = Instance::<2>::new(&problem, &shapes, &[0, 1]);
            let values = some_values(&inst, &mut noise);
            let limit_prices: Vec<f64> =
                inst.limits.iter().map(|_| if noise.below(2) == 0 { 0.0 } else { 40_000.0 * noise.unit() }).collect();
            let (similar, nodes) = ([0.0, 0.1, 0.5][round % 3], [0, 500][round % 2]);
            let coarse = Coarse::new(&inst, &values, &[1.0, 0.5], similar);
            let mut meter = Meter::new(Effort(1_000_000), &Cancel::new());
            let seed = coarse.gather(&values);
            let small = certify(&coarse.inst, &seed, &limit_prices, &[], nodes, 1, &mut meter).0;
            let lowered = certify(&coarse.inst, &seed, &limit_prices, &small.values, nodes, 1, &mut meter).0;
            let chosen = with_choices(&coarse.inst, &[], &seed, &small.values, nodes, 1, &mut meter);
            for found in [Some(small), Some(lowered), chosen].into_iter().flatten() {
                assert!(found.bound <= optimum, "{} > {optimum} in {problem:?}", found.bound);
                let whole = coarse.certificate(found);
                assert!(whole.bound <= optimum, "{} > {optimum} in {problem:?}", whole.bound);
                let total = whole.total(&inst, |m| m.count, true);
                assert!(total <= optimum, "{total} > {optimum} in {problem:?}");
                near += usize::from(whole.bound > 0.6 * optimum && optimum > 1.0);
            }
            let own = certify(&inst, &values, &limit_prices, &[], nodes, 1, &mut meter).0;
            assert!(own.bound <= optimum, "{} > {optimum} in {problem:?}", own.bound);
            judged += 1;
        }
        assert!(judged >= 200 && near >= 150, "{judged} are judged, {near} bounds are near");
    }

    #[test]
    fn a_limit_per_bin_is_kept_beside_equal_needs_without_one() {
        let item = |count, per_bin_max| Item {
            needs: vec![2, 2],
            count,
            allowed: BitSet::full(1),
            per_bin_max,
            ..Item::default()
        };
        let kinds = vec![BinKind { holds: vec![8, 8], cost: 100, ..BinKind::default() }];
        let problem = Problem { dims: 2, items: vec![item(4, Some(1)), item(3, None)], kinds, ..Problem::default() };
        let shapes = Shapes::new(&problem, &[100]);
        let inst = Instance::<2>::new(&problem, &shapes, &[0, 1]);
        let coarse = Coarse::new(&inst, &vec![1.0; inst.classes.len()], &[1.0, 1.0], 0.0);
        assert_eq!(coarse.inst.classes.iter().filter(|c| c.per_bin == 1).count(), 1, "{:?}", coarse.inst.classes);
        assert!((optimum(&coarse.inst).unwrap() - 400.0).abs() < 1e-9);
    }

    #[test]
    fn columns_of_the_smaller_problem_fit_into_the_whole_one() {
        let mut noise = Noise::new(12);
        let mut filled = 0;
        for _ in 0..100 {
            let problem = problem(&mut noise);
            let shapes = Shapes::new(&problem, &problem.kinds.iter().map(|k| k.cost).collect::<Vec<_>>());
            let inst = Instance::<2>::new(&problem, &shapes, &[0, 1]);
            let coarse = Coarse::new(&inst, &vec![1.0; inst.classes.len()], &[1.0, 0.5], 0.5);
            let used: Vec<(u32, f64, Pattern)> = (0..u32_of(coarse.inst.n_new))
                .map(|o| {
                    let fit = &coarse.inst.offers[o as usize].fit;
                    (o, 1.5, fit.iter().take(1).copied().collect())
                })
                .collect();
            for (o, pattern) in coarse.expand(&inst, &used) {
                let node = crate::nodes::Node::with(&inst, o, pattern.clone());
                assert!(node.free.iter().all(|&f| f >= 0));
                for (k, n) in pattern {
                    assert!(
                        inst.offers[o as usize].serves.contains(k as usize) && n <= inst.classes[k as usize].per_bin
                    );
                    filled += 1;
                }
            }
        }
        assert!(filled > 100);
    }
}
