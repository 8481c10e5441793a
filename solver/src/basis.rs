//! The simplex with bounded variables behind the relaxation of one bin's contents: a row per dimension, a variable per class.

use crate::instance::{Instance, Offer};

/// A class that counts: itself, the most of it, the value of one.
pub(crate) type Listed = (u32, f64, f64);

/// Where a listed variable is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Zero,
    Most,
    Basic,
}

impl At {
    /// Which way it can change: up, down, or neither of its own.
    #[inline]
    fn direction(self) -> f64 {
        match self {
            Self::Zero => 1.0,
            Self::Most => -1.0,
            Self::Basic => 0.0,
        }
    }
}

/// A variable of the relaxation.
#[derive(Clone, Copy)]
pub(crate) enum Variable {
    /// By its place in the list.
    Listed(usize),
    /// The slack of a row.
    Slack(usize),
}

/// The listed variable whose change gains most, and what it gains, where that is more than `gain`.
#[inline(never)]
fn most_gain(list: &[Listed], earned: &[f64], state: &[At], mut gain: f64) -> Option<(usize, f64)> {
    let mut most = None;
    for (i, ((&(_, u, _), &d), &at)) in list.iter().zip(earned).zip(state).enumerate() {
        let g = d * u * at.direction();
        if g > gain {
            gain = g;
            most = Some(i);
        }
    }
    most.map(|i| (i, gain))
}

/// The simplex between two pivots. The state of the listed variables is kept beside it.
pub(crate) struct Basis<const R: usize> {
    inverse: [[f64; R]; R],
    /// Per row, the basic variable.
    basic: [Variable; R],
    slack_basic: [bool; R],
    /// Amounts of the basic variables.
    x: [f64; R],
}

impl<const R: usize> Basis<R> {
    /// All slacks, beside what is worth more than the prices of `near` say, as far as that fits.
    #[inline]
    pub(crate) fn start(
        inst: &Instance<R>,
        offer: &Offer<R>,
        near: &[f64; R],
        list: &[Listed],
        state: &mut Vec<At>,
    ) -> Self {
        state.clear();
        state.resize(list.len(), At::Zero);
        let mut inverse = [[0.0f64; R]; R];
        for r in 0..R {
            inverse[r][r] = 1.0;
        }
        let mut x: [f64; R] = offer.share;
        if near.iter().any(|&p| p > 0.0) {
            for (i, &(k, u, v)) in list.iter().enumerate() {
                let share = &inst.classes[k as usize].share;
                let worth: f64 = (0..R).map(|r| near[r] * share[r]).sum();
                if v > worth && (0..R).all(|r| share[r] * u <= x[r]) {
                    state[i] = At::Most;
                    (0..R).for_each(|r| x[r] -= share[r] * u);
                }
            }
        }
        Self { inverse, basic: std::array::from_fn(Variable::Slack), slack_basic: [true; R], x }
    }

    /// What the rows are worth by the values of the basic variables.
    #[inline]
    pub(crate) fn prices(&self, list: &[Listed]) -> [f64; R] {
        let mut prices = [0.0; R];
        for i in 0..R {
            if let Variable::Listed(b) = self.basic[i] {
                let v = list[b].2;
                for r in 0..R {
                    prices[r] += v * self.inverse[i][r];
                }
            }
        }
        prices
    }

    /// The variable whose change gains most, and whether it grows; nothing at the optimum.
    #[inline]
    pub(crate) fn entering(
        &self,
        offer: &Offer<R>,
        prices: &[f64; R],
        list: &[Listed],
        earned: &[f64],
        state: &[At],
    ) -> Option<(Variable, bool)> {
        let (mut gain, mut enter) = (1e-9 * offer.price.max(1.0), None);
        if let Some((i, most)) = most_gain(list, earned, state, gain) {
            (gain, enter) = (most, Some((Variable::Listed(i), state[i] == At::Zero)));
        }
        for r in 0..R {
            let g = -prices[r] * offer.share[r].max(1e-12);
            if !self.slack_basic[r] && g > gain {
                (gain, enter) = (g, Some((Variable::Slack(r), true)));
            }
        }
        enter
    }

    /// Changes a variable until it or a basic one comes to its end, and pivots where it is a basic one. False where nothing
    /// ends it.
    #[inline]
    pub(crate) fn take_in(
        &mut self,
        inst: &Instance<R>,
        enter: Variable,
        up: bool,
        list: &[Listed],
        state: &mut [At],
    ) -> bool {
        let mut column = [0.0f64; R];
        let mut room = f64::INFINITY;
        match enter {
            Variable::Listed(i) => {
                column = inst.classes[list[i].0 as usize].share;
                room = list[i].1;
            }
            Variable::Slack(r) => column[r] = 1.0,
        }
        let direction = if up { 1.0 } else { -1.0 };
        let mut y = [0.0f64; R];
        for i in 0..R {
            let mut s = 0.0;
            for r in 0..R {
                s += self.inverse[i][r] * column[r];
            }
            y[i] = s * direction;
        }
        let (step, leave) = self.leaving(&y, room, list);
        if step.is_infinite() {
            return false;
        }
        for i in 0..R {
            self.x[i] -= step * y[i];
        }
        let Some((row, end)) = leave else {
            if let Variable::Listed(i) = enter {
                state[i] = if up { At::Most } else { At::Zero };
            }
            return true;
        };
        match self.basic[row] {
            Variable::Listed(b) => state[b] = end,
            Variable::Slack(r) => self.slack_basic[r] = false,
        }
        self.pivot(row, &y, direction);
        self.basic[row] = enter;
        match enter {
            Variable::Listed(i) => {
                self.x[row] = if up { step } else { list[i].1 - step };
                state[i] = At::Basic;
            }
            Variable::Slack(r) => {
                self.x[row] = step;
                self.slack_basic[r] = true;
            }
        }
        true
    }

    /// How far the entering variable can go, at most `room`; and the row whose basic variable ends it, with where that
    /// variable is then.
    #[inline]
    fn leaving(&self, y: &[f64; R], room: f64, list: &[Listed]) -> (f64, Option<(usize, At)>) {
        let (mut step, mut leave) = (room, None);
        for i in 0..R {
            if y[i] > 1e-12 {
                let t = self.x[i].max(0.0) / y[i];
                if t < step {
                    (step, leave) = (t, Some((i, At::Zero)));
                }
            } else if y[i] < -1e-12
                && let Variable::Listed(b) = self.basic[i]
            {
                let t = (list[b].1 - self.x[i]).max(0.0) / -y[i];
                if t < step {
                    (step, leave) = (t, Some((i, At::Most)));
                }
            }
        }
        (step, leave)
    }

    /// Makes the entering variable basic in a row.
    #[inline]
    fn pivot(&mut self, row: usize, y: &[f64; R], direction: f64) {
        let pivot = y[row] * direction;
        for r in 0..R {
            self.inverse[row][r] /= pivot;
        }
        for i in 0..R {
            if i != row {
                let f = y[i] * direction;
                for r in 0..R {
                    self.inverse[i][r] -= f * self.inverse[row][r];
                }
            }
        }
    }

    /// Writes the amounts down: those at their most first, then the basic ones.
    #[inline]
    pub(crate) fn tell(&self, list: &[Listed], state: &[At], out: &mut Vec<(u32, f64)>) {
        out.clear();
        for (i, &(k, u, _)) in list.iter().enumerate() {
            if state[i] == At::Most {
                out.push((k, u));
            }
        }
        for i in 0..R {
            if let Variable::Listed(b) = self.basic[i] {
                out.push((list[b].0, self.x[i].max(0.0)));
            }
        }
    }
}
