//! From a fractional plan with a row per class to whole bins: a few columns become bins at a time, and the program goes
//! on from its last basis with what is left.

use crate::buy::Work;
use crate::columns::{Task, Tuning, extend};
use crate::dive::Draft;
use crate::effort::Meter;
use crate::guide::Guide;
use crate::instance::Pattern;
use crate::nodes::Node;
use crate::num::floor_count;
use crate::program::Program;
use crate::rows::Rows;

/// A step spends at most one part in so many of what is left.
const STEPS_LEFT: u64 = 6;

/// See the module.
pub(crate) struct Descend<'a, 'g, const R: usize> {
    pub guide: &'g Guide<'a, R>,
    pub again: Tuning,
    /// Share of the columns in use that become whole in a step.
    pub share: f64,
    pub threads: usize,
}

impl<const R: usize> Descend<'_, '_, R> {
    /// Completes `draft`, starting from a program that is solved.
    pub(crate) fn run(&self, draft: &mut Draft<R>, program: &mut Program, meter: &mut Meter) {
        let (guide, inst) = (self.guide, self.guide.inst);
        loop {
            let taken = self.take(draft, program);
            if draft.missing() == 0 {
                return;
            }
            if taken.is_empty() && !meter.is_out() && program.harden(f64::INFINITY, meter) {
                let task = Task { inst, most: &draft.left, threads: self.threads };
                extend(task, program, &guide.values, self.again, meter);
                continue;
            }
            if taken.is_empty() || meter.is_out() {
                let Draft { nodes, left, budget } = draft;
                guide.greedy_all(left, budget, nodes, &mut Work::default(), meter);
                return;
            }
            if !program.take_out(inst, &taken, &draft.left, &draft.budget.0, meter) {
                let rows = Rows::new(inst, &vec![true; inst.classes.len()], &draft.left, &draft.budget.0);
                *program = Program::new(inst, rows, &draft.left, &program.columns(), &guide.values, None, meter);
            }
            let task = Task { inst, most: &draft.left, threads: self.threads };
            // No step takes so much that the ones after it cannot be planned.
            let mut part = meter.part(meter.left() / STEPS_LEFT);
            extend(task, program, &guide.values, self.again, &mut part);
            meter.absorb(&part);
        }
    }

    /// Bins for the whole copies of the columns, and for some of the largest fractions; returns which and how many.
    fn take(&self, draft: &mut Draft<R>, program: &Program) -> Vec<(usize, u32)> {
        let columns = &program.master.columns;
        let used = program.master.in_use();
        let mut taken = Vec::new();
        let mut take = |c: usize, n: u32| {
            let done = self.copies(draft, columns[c].offer, &columns[c].pattern, n);
            if done > 0 {
                taken.push((c, done));
            }
            done
        };
        let whole: u32 = used.iter().map(|&(c, x)| take(c, floor_count(x + 1e-6))).sum();
        let mut fractions: Vec<(f64, usize)> = used.iter().map(|&(c, x)| (x - (x + 1e-6).floor(), c)).collect();
        fractions.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let most = floor_count(used.len() as f64 * self.share).max(1);
        let mut up = 0;
        for (fraction, c) in fractions {
            if up >= most && fraction < 0.9 || fraction < 0.5 && up + whole > 0 {
                break;
            }
            up += take(c, 1);
        }
        taken
    }

    /// Opens up to `n` bins of a column; returns how many.
    fn copies(&self, draft: &mut Draft<R>, offer: u32, pattern: &Pattern, n: u32) -> u32 {
        let inst = self.guide.inst;
        let n = pattern.iter().map(|&(k, m)| draft.left[k as usize] / m).min().unwrap_or(0).min(n);
        let mut done = 0;
        while done < n && draft.budget.allows(inst, offer) {
            draft.budget.take(inst, offer);
            let mut node = Node::with(inst, offer, pattern.clone());
            self.guide.right_size(&mut node, &mut draft.budget);
            draft.nodes.push(node);
            done += 1;
        }
        for &(k, m) in pattern {
            draft.left[k as usize] -= m * done;
        }
        done
    }
}
