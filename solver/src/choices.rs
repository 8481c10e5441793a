//! A bound where spreads leave much choice: columns for the problem without the choices made.

use crate::bound::{Certificate, certify};
use crate::columns::{Task, Tuning, generate};
use crate::effort::Meter;
use crate::instance::{Instance, Make, Pattern};
use crate::program::Program;
use crate::rows::Rows;

/// The bound that columns prove when spreads are left their choices; none where they have next to none.
pub(crate) fn with_choices<const R: usize>(
    inst: &Instance<R>,
    pool: &[(u32, Pattern)],
    seed: &[f64],
    legal: &[f64],
    nodes: usize,
    threads: usize,
    meter: &mut Meter,
) -> Option<Certificate> {
    let forced = |m: &Make| if m.parts.len() == 1 { m.count } else { m.parts.iter().map(|p| p.1).sum::<u32>() };
    let free: u32 = inst.makes.iter().map(|m| m.count - forced(m).min(m.count)).sum();
    let all: u32 = inst.makes.iter().map(|m| m.count).sum();
    if f64::from(free) < 0.003 * f64::from(all) {
        return None;
    }
    let rows = Rows::with_choices(inst);
    let most: Vec<u32> = inst.classes.iter().map(|c| c.most).collect();
    let task = Task { inst, most: &most, threads };
    let mut program = Program::new(inst, rows, &most, pool, seed, None, meter);
    let tuning = Tuning {
        nodes: 100,
        most_nodes: nodes,
        rounds: 60,
        stall: 1e-4,
        tolerance: 0.001,
        columns: 60,
        smoothing: 0.5,
    };
    let plan = generate(task, &mut program, seed, tuning, meter);
    Some(certify(inst, &plan.values, &plan.limit_prices, legal, nodes, threads, meter).0)
}
