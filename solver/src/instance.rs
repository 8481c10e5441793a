//! The problem as the packing algorithms see it: classes of equal things, a short list of offers none of which another
//! dominates, and quantities as fixed-size arrays of the dimensions that matter.

use std::collections::BTreeMap;

use crate::bits::BitSet;
use crate::num::{count_of, real, u32_of};
use crate::problem::{ItemIdx, KindIdx, Problem, StartedIdx};
use crate::shapes::Shapes;
use crate::solution::BinRef;
use crate::split::{Piece, split};

/// How many of which class, by ascending class.
pub(crate) type Pattern = Vec<(u32, u32)>;

/// Equal things: the same needs, the same places.
#[derive(Clone, Debug)]
pub(crate) struct Class<const R: usize> {
    pub need: [i64; R],
    /// The needs as shares of the total demand of each dimension.
    pub share: [f64; R],
    pub count: u32,
    /// Most of them that any legal packing has (more than `count` only when a spread leaves a choice of domain).
    pub most: u32,
    /// Most of them in one bin, `u32::MAX` when unlimited.
    pub per_bin: u32,
    /// Classes with equal places have equal labels.
    pub label: u32,
    /// Classes it may not share a bin with.
    pub foes: Vec<u32>,
    /// The items it stands for.
    pub members: Vec<(ItemIdx, u32)>,
}

impl<const R: usize> Class<R> {
    /// Must it not be with one of these?
    #[inline]
    pub(crate) fn has_foe_in(&self, contents: &[(u32, u32)]) -> bool {
        !self.foes.is_empty() && contents.iter().any(|(class, _)| self.foes.binary_search(class).is_ok())
    }
}

/// Something a bin can be: a shape to buy, or a started bin (then `price` is 0).
#[derive(Clone, Debug)]
pub(crate) struct Offer<const R: usize> {
    pub holds: [i64; R],
    /// `holds` as shares of the total demand of each dimension.
    pub share: [f64; R],
    /// Objective value, micro-dollars per hour; at least 1 for a new bin, so that ratios exist.
    pub price: f64,
    pub value: i64,
    /// Labels that may be here, whether or not anything of them fits (empty for a started bin).
    pub labels: BitSet,
    /// Classes of which at least one fits.
    pub serves: BitSet,
    /// (class, most of it alone in this offer), for the classes served.
    pub fit: Vec<(u32, u32)>,
    /// Use of limits.
    pub uses: Vec<(u32, i64)>,
    pub what: BinRef,
}

/// How an item is made up of classes.
#[derive(Clone, Debug)]
pub(crate) struct Make {
    pub item: ItemIdx,
    /// (class, how many go there in every legal packing).
    pub parts: Vec<(u32, u32)>,
    pub count: u32,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Instance<const R: usize> {
    pub classes: Vec<Class<R>>,
    pub needs: Needs<R>,
    /// Offers to buy first (`..n_new`), then started bins.
    pub offers: Vec<Offer<R>>,
    pub n_new: usize,
    pub makes: Vec<Make>,
    /// What is left of each limit.
    pub limits: Vec<i64>,
    pub n_labels: usize,
    /// Dimensions that some class needs.
    pub active: Vec<usize>,
    pub has_foes: bool,
    /// Relaxations of bins that many things fill are begun at a guess: see [`crate::prices`].
    pub guesses: bool,
    /// Things that no offer can take, or no domain may receive.
    pub homeless: Vec<(ItemIdx, u32)>,
}

/// The dimensions of a problem that anything needs.
pub(crate) fn active_dims(problem: &Problem) -> Vec<usize> {
    (0..problem.dims).filter(|&d| problem.items.iter().any(|i| i.count > 0 && i.needs[d] > 0)).collect()
}

impl<const R: usize> Instance<R> {
    /// `dims` lists at most `R` dimensions, a superset of the active ones.
    pub(crate) fn new(problem: &Problem, shapes: &Shapes, dims: &[usize]) -> Self {
        let (pieces, homeless) = split(problem, shapes);
        Self::of_pieces(problem, shapes, dims, &pieces, homeless, |s| problem.started[s].room.clone())
    }

    /// From pieces dealt out already; `room` is what each started bin can take.
    pub(crate) fn of_pieces(
        problem: &Problem,
        shapes: &Shapes,
        dims: &[usize],
        pieces: &[Piece],
        mut homeless: Vec<(ItemIdx, u32)>,
        room: impl Fn(usize) -> Vec<i64>,
    ) -> Self {
        let pick = |v: &[i64]| -> [i64; R] { std::array::from_fn(|r| dims.get(r).map_or(0, |&d| v[d])) };
        let mut total = [0f64; R];
        for p in pieces {
            let need = pick(&problem.items[p.item.at()].needs);
            for r in 0..R {
                total[r] += real(need[r]) * f64::from(p.count);
            }
        }
        let scale: [f64; R] = std::array::from_fn(|r| if total[r] > 0.0 { 1.0 / total[r] } else { 0.0 });
        let share = |v: &[i64; R]| -> [f64; R] { std::array::from_fn(|r| real(v[r]) * scale[r]) };

        let mut foe_items = vec![Vec::new(); problem.items.len()];
        for c in problem.conflicts.iter().filter(|c| c.a != c.b) {
            foe_items[c.a.at()].push(c.b);
            foe_items[c.b.at()].push(c.a);
        }
        let (label_of, label_masks) = label_pieces(pieces);
        let mut builder = Builder::default();
        for (p, &label) in pieces.iter().zip(&label_of) {
            let need = pick(&problem.items[p.item.at()].needs);
            builder.add(problem, p, label, need, share(&need), foe_items[p.item.at()].is_empty());
        }
        let Builder { mut classes, masks, started, mut makes, .. } = builder;
        let mut by_item: Vec<Vec<u32>> = vec![Vec::new(); problem.items.len()];
        for make in &makes {
            by_item[make.item.at()] = make.parts.iter().map(|p| p.0).collect();
        }
        let mut has_foes = false;
        for (i, foes) in foe_items.iter().enumerate() {
            for &c in &by_item[i] {
                classes[c as usize].foes = foes.iter().flat_map(|f| by_item[f.at()].iter().copied()).collect();
                classes[c as usize].foes.sort_unstable();
                classes[c as usize].foes.dedup();
                has_foes |= !classes[c as usize].foes.is_empty();
            }
        }

        let mut offers = pareto::<R>(shapes, &label_masks, pick, share, &total);
        for o in &mut offers {
            let BinRef::New(shape) = o.what else { continue };
            o.what = BinRef::New(shapes.list[shape.at()].kind);
            serve(o, &classes, |k| masks[k].contains(shape.at()));
        }
        offers.retain(|o| !o.fit.is_empty());
        let n_new = offers.len();
        for s in 0..problem.started.len() {
            let mut room = pick(&room(s));
            room.iter_mut().for_each(|r| *r = (*r).max(0));
            let mut offer = Offer {
                share: share(&room),
                holds: room,
                price: 0.0,
                value: 0,
                labels: BitSet::default(),
                serves: BitSet::default(),
                fit: Vec::new(),
                uses: Vec::new(),
                what: BinRef::Started(StartedIdx(u32_of(s))),
            };
            serve(&mut offer, &classes, |k| started[k].contains(s));
            if !offer.fit.is_empty() {
                offers.push(offer);
            }
        }
        drop_the_homeless(&mut classes, &offers, &mut makes, &mut homeless);
        Self {
            needs: Needs::of(&classes),
            classes,
            offers,
            n_new,
            makes,
            limits: shapes.limits.iter().map(|l| l.left).collect(),
            n_labels: label_masks.len(),
            active: (0..R).filter(|&r| total[r] > 0.0).collect(),
            has_foes,
            guesses: true,
            homeless,
        }
    }

    /// The counts of all classes.
    pub(crate) fn demand(&self) -> Vec<u32> {
        self.classes.iter().map(|c| c.count).collect()
    }

    /// How many of class `k` fit into `free`, by quantity alone.
    #[inline]
    pub(crate) fn fits(&self, k: usize, free: &[i64; R]) -> u32 {
        max_fit(&self.classes[k].need, free)
    }
}

/// What tells at a glance that something does not fit.
#[derive(Clone, Debug)]
pub(crate) struct Needs<const R: usize> {
    /// By class: what one needs of the first dimension.
    pub first: Vec<i64>,
    /// Less than this of any dimension is room for nothing.
    pub least: [i64; R],
}

impl<const R: usize> Needs<R> {
    pub(crate) fn of(classes: &[Class<R>]) -> Self {
        let least = |r: usize| classes.iter().map(|class| class.need[r]).min().unwrap_or(0);
        Self { first: classes.iter().map(|class| class.need[0]).collect(), least: std::array::from_fn(least) }
    }
}

/// Whether a thing of these needs fits; of few dimensions without a branch for each, as none of them could be foretold.
#[inline]
pub(crate) fn fits<const R: usize>(need: &[i64; R], free: &[i64; R]) -> bool {
    if R > 4 { (0..R).all(|r| need[r] <= free[r]) } else { left_over(need, free) >= 0 }
}

/// Negative where one of the needs is more than what is free.
#[inline]
fn left_over<const R: usize>(need: &[i64; R], free: &[i64; R]) -> i64 {
    (0..R).fold(0, |signs, r| signs | free[r].wrapping_sub(need[r]))
}

/// How many things of these needs fit; `u32::MAX` when they need nothing.
#[inline]
pub(crate) fn max_fit<const R: usize>(need: &[i64; R], free: &[i64; R]) -> u32 {
    for r in 0..R {
        if need[r] > free[r] {
            return 0;
        }
    }
    let mut n = i64::MAX;
    for r in 0..R {
        if need[r] > 0 {
            n = n.min(free[r] / need[r]);
        }
    }
    count_of(n)
}

fn serve<const R: usize>(offer: &mut Offer<R>, classes: &[Class<R>], allowed: impl Fn(usize) -> bool) {
    offer.serves = BitSet::new(classes.len());
    let mut fit = Vec::with_capacity(classes.len());
    for (k, class) in classes.iter().enumerate() {
        if allowed(k) {
            let most = class.per_bin.min(class.most);
            // Most often all of them fit, and that is found without dividing.
            let all = std::array::from_fn(|r| class.need[r].saturating_mul(i64::from(most)));
            let n = if fits(&all, &offer.holds) { most } else { max_fit(&class.need, &offer.holds).min(most) };
            if n > 0 {
                offer.serves.insert(k);
                fit.push((u32_of(k), n));
            }
        }
    }
    offer.fit.extend_from_slice(&fit);
}

/// Number pieces so that equal (mask, started) share a number; also the masks by number.
fn label_pieces(pieces: &[Piece]) -> (Vec<u32>, Vec<BitSet>) {
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    let key = |i: usize| (&pieces[i].mask, &pieces[i].started);
    order.sort_by(|&a, &b| key(a).cmp(&key(b)).then(a.cmp(&b)));
    let mut first: Vec<usize> = (0..pieces.len()).collect();
    for w in 1..order.len() {
        if key(order[w]) == key(order[w - 1]) {
            first[order[w]] = first[order[w - 1]];
        }
    }
    let (mut label_of, mut masks) = (vec![0u32; pieces.len()], Vec::new());
    for i in 0..pieces.len() {
        if first[i] == i {
            label_of[i] = u32_of(masks.len());
            masks.push(pieces[i].mask.clone());
        } else {
            label_of[i] = label_of[first[i]];
        }
    }
    (label_of, masks)
}

/// Collects pieces into classes.
#[derive(Default)]
struct Builder<const R: usize> {
    classes: Vec<Class<R>>,
    masks: Vec<BitSet>,
    started: Vec<BitSet>,
    makes: Vec<Make>,
    /// The class of things alike that may share a bin with anything, by label and needs.
    alike: BTreeMap<(u32, [i64; R]), usize>,
}

impl<const R: usize> Builder<R> {
    fn add(&mut self, problem: &Problem, p: &Piece, label: u32, need: [i64; R], share: [f64; R], peaceful: bool) {
        let per_bin = problem.items[p.item.at()].per_bin_max.unwrap_or(u32::MAX);
        let mergeable = per_bin == u32::MAX && peaceful && p.floor == p.most;
        let twin = if mergeable { self.alike.get(&(label, need)).copied() } else { None };
        let at = twin.unwrap_or_else(|| {
            // A class of its own is marked with a foe that is replaced by the real ones later.
            let foes = if mergeable { Vec::new() } else { vec![u32::MAX] };
            let members = Vec::new();
            self.classes.push(Class { need, share, count: 0, most: 0, per_bin, label, foes, members });
            self.masks.push(p.mask.clone());
            self.started.push(p.started.clone());
            if mergeable {
                self.alike.insert((label, need), self.classes.len() - 1);
            }
            self.classes.len() - 1
        });
        let class = &mut self.classes[at];
        class.count += p.count;
        class.most = class.most.saturating_add(p.most);
        class.members.push((p.item, p.count));
        match self.makes.last_mut() {
            Some(make) if make.item == p.item => {
                make.parts.push((u32_of(at), p.floor));
                make.count += p.count;
            }
            _ => self.makes.push(Make { item: p.item, parts: vec![(u32_of(at), p.floor)], count: p.count }),
        }
    }
}

/// The shapes that no other one dominates: holds as much, serves the same labels, uses no more, costs no more.
fn pareto<const R: usize>(
    shapes: &Shapes,
    labels: &[BitSet],
    pick: impl Fn(&[i64]) -> [i64; R],
    share: impl Fn(&[i64; R]) -> [f64; R],
    total: &[f64; R],
) -> Vec<Offer<R>> {
    struct Kept<const R: usize> {
        holds: [i64; R],
        labels: BitSet,
        shape: usize,
    }
    let holds: Vec<[i64; R]> = shapes
        .list
        .iter()
        .map(|s| {
            let mut h = pick(&s.holds);
            for r in 0..R {
                // More than all there is to pack is as good as all of it.
                if real(h[r]) > total[r] * 1.001 + 1.0 {
                    h[r] = num_ceil(total[r] * 1.001 + 1.0);
                }
            }
            h
        })
        .collect();
    let mut order: Vec<usize> = (0..shapes.list.len()).collect();
    let size = |s: usize| -> f64 { share(&holds[s]).iter().sum() };
    order.sort_by(|&a, &b| {
        shapes.list[a].value.cmp(&shapes.list[b].value).then(size(b).total_cmp(&size(a))).then(a.cmp(&b))
    });
    let mut kept: Vec<Kept<R>> = Vec::new();
    for s in order {
        let served = BitSet::of(labels.len(), (0..labels.len()).filter(|&l| labels[l].contains(s)));
        let uses = &shapes.list[s].uses;
        let dominated = kept.iter().any(|k| {
            (0..R).all(|r| k.holds[r] >= holds[s][r])
                && served.is_subset(&k.labels)
                && shapes.list[k.shape].uses.iter().all(|(l, w)| uses.iter().any(|(m, v)| m == l && v >= w))
        });
        if !dominated && !served.is_empty() {
            kept.push(Kept { holds: holds[s], labels: served, shape: s });
        }
    }
    kept.into_iter()
        .map(|k| Offer {
            share: share(&k.holds),
            holds: k.holds,
            price: real(shapes.list[k.shape].value).max(1.0),
            value: shapes.list[k.shape].value,
            labels: k.labels,
            serves: BitSet::default(),
            fit: Vec::new(),
            uses: shapes.list[k.shape].uses.clone(),
            what: BinRef::New(KindIdx(u32_of(k.shape))),
        })
        .collect()
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
fn num_ceil(x: f64) -> i64 {
    x.ceil() as i64
}

/// Classes that no offer takes are emptied and reported.
fn drop_the_homeless<const R: usize>(
    classes: &mut [Class<R>],
    offers: &[Offer<R>],
    makes: &mut Vec<Make>,
    homeless: &mut Vec<(ItemIdx, u32)>,
) {
    let mut served = BitSet::new(classes.len());
    for o in offers {
        served.union_with(&o.serves);
    }
    for (k, class) in classes.iter_mut().enumerate() {
        if served.contains(k) {
            continue;
        }
        for &(item, n) in class.members.iter().filter(|m| m.1 > 0) {
            homeless.push((item, n));
            for make in makes.iter_mut().filter(|m| m.item == item) {
                make.count = make.count.saturating_sub(n);
            }
        }
        class.count = 0;
        class.most = 0;
        class.members.clear();
    }
    for make in makes.iter_mut() {
        make.parts.retain(|p| served.contains(p.0 as usize));
        if !homeless.is_empty() && homeless.iter().any(|h| h.0 == make.item) {
            make.parts.iter_mut().for_each(|p| p.1 = 0);
        }
    }
    makes.retain(|m| m.count > 0 && !m.parts.is_empty());
}
