//! Pours classes with many to a bin into bins that a plan has already chosen: big first, into the bins whose free room
//! points the same way as the need, as far as the plan's quotas per family go; then wherever there is room.

use crate::effort::Meter;
use crate::guide::{Guide, weigh};
use crate::nodes::Node;
use crate::num::u32_of;

/// What the plan lets each (family, unit of classes) take, as shares of the total demand.
pub(crate) struct Quota<const R: usize> {
    n_units: usize,
    left: Vec<Option<[f64; R]>>,
}

impl<const R: usize> Quota<R> {
    pub(crate) fn new(n_families: usize, n_units: usize) -> Self {
        let n_units = n_units.max(1);
        Self { n_units, left: vec![None; n_families * n_units] }
    }

    pub(crate) fn grant(&mut self, family: u32, unit: u32, share: &[f64; R], things: f64) {
        let left = self.left[family as usize * self.n_units + unit as usize].get_or_insert([0.0; R]);
        for r in 0..R {
            left[r] += share[r] * things;
        }
    }

    /// Half a thing is enough left to pour one more.
    fn enough(left: &[f64; R], share: &[f64; R]) -> bool {
        (0..R).all(|r| share[r] <= 0.0 || left[r] >= 0.5 * share[r])
    }
}

/// Pours what is `left` of the classes in `order` into `nodes`.
pub(crate) fn pour<const R: usize>(
    guide: &Guide<'_, R>,
    nodes: &mut [Node<R>],
    quota: &mut Quota<R>,
    unit: &[u32],
    order: &[u32],
    left: &mut [u32],
    meter: &mut Meter,
) {
    let inst = guide.inst;
    let n_families = quota.left.len() / quota.n_units;
    let mut family_score = vec![-1.0f32; n_families];
    let mut scored: Vec<(f32, u32)> = Vec::with_capacity(nodes.len());
    let mut fitting: Vec<u32> = Vec::with_capacity(nodes.len());
    let mut serves = vec![false; inst.offers.len()];
    let mut is_full = vec![false; nodes.len()];
    let mut aims: Vec<[f32; R]> = nodes.iter().map(|n| unit_aim(guide, n)).collect();
    for by_quota in [true, false] {
        for &k in order {
            let ku = k as usize;
            if left[ku] == 0 {
                continue;
            }
            let class = &inst.classes[ku];
            for (o, offer) in inst.offers.iter().enumerate() {
                serves[o] = offer.serves.contains(ku);
            }
            let simple = class.per_bin == u32::MAX && class.foes.is_empty();
            // Room and quotas only fall while one class is poured.
            let takes = |node: &Node<R>| {
                (0..R).all(|r| class.need[r] <= node.free[r])
                    && serves[node.offer as usize]
                    && (simple || node.has_room_for(inst, k))
            };
            fitting.clear();
            fitting.extend((0..u32_of(nodes.len())).filter(|&b| takes(&nodes[b as usize])));
            fitting.iter().for_each(|&b| is_full[b as usize] = false);
            meter.charge(nodes.len());
            while left[ku] > 0 {
                if by_quota {
                    score_families(guide, quota, unit[ku], k, &mut family_score);
                }
                scored.clear();
                meter.charge(fitting.len() * R);
                fitting.retain(|&b| {
                    let node = &nodes[b as usize];
                    let mut score =
                        if by_quota { family_score[guide.family[node.offer as usize] as usize] } else { 0.0 };
                    if score < 0.0 || is_full[b as usize] {
                        return false;
                    }
                    let aim = &aims[b as usize];
                    for r in 0..R {
                        score += aim[r] * guide.aim[ku][r];
                    }
                    scored.push((-score, b));
                    true
                });
                if scored.is_empty() {
                    break;
                }
                let chunk = (left[ku] as usize).div_ceil(6).min(scored.len());
                let by_score = |a: &(f32, u32), b: &(f32, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
                if chunk < scored.len() {
                    scored.select_nth_unstable_by(chunk - 1, by_score);
                    scored.truncate(chunk);
                }
                scored.sort_unstable_by(by_score);
                for &(_, b) in &scored {
                    if left[ku] == 0 {
                        break;
                    }
                    let node = &mut nodes[b as usize];
                    if by_quota {
                        let at = guide.family[node.offer as usize] as usize * quota.n_units + unit[ku] as usize;
                        let Some(q) = quota.left[at].as_mut().filter(|q| Quota::enough(q, &class.share)) else {
                            continue;
                        };
                        for r in 0..R {
                            q[r] -= class.share[r];
                        }
                    }
                    node.add(inst, k, 1);
                    is_full[b as usize] = !takes(node);
                    aims[b as usize] = unit_aim(guide, node);
                    left[ku] -= 1;
                }
            }
        }
    }
}

/// The free room as a unit vector.
fn unit_aim<const R: usize>(guide: &Guide<'_, R>, node: &Node<R>) -> [f32; R] {
    let v = weigh(&node.free, &guide.worth);
    let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt() + 1e-30;
    std::array::from_fn(|r| v[r] / norm)
}

/// How well what is left of each family's quota points the way of class `k`; negative where nothing is left.
fn score_families<const R: usize>(guide: &Guide<'_, R>, quota: &Quota<R>, unit: u32, k: u32, out: &mut [f32]) {
    let class = &guide.inst.classes[k as usize];
    for (f, score) in out.iter_mut().enumerate() {
        *score = -1.0;
        let Some(q) = &quota.left[f * quota.n_units + unit as usize] else { continue };
        if !Quota::enough(q, &class.share) {
            continue;
        }
        let (mut dot, mut norm) = (0.0f64, 0.0f64);
        for r in 0..R {
            // Shares times what the dimension is worth: the same weights as the aims.
            let per_share =
                if class.share[r] > 0.0 { guide.worth[r] * class.need[r] as f64 / class.share[r] } else { 0.0 };
            let v = q[r].max(0.0) * per_share;
            dot += v * f64::from(guide.aim[k as usize][r]);
            norm += v * v;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a score needs no more than single precision")]
        {
            *score = (dot / (norm.sqrt() + 1e-30)) as f32;
        }
    }
}
