//! What changed between two looks: the decisions that can be seen in the cluster.

use std::collections::{BTreeMap, VecDeque};

use planner::model::MicroUsdPerHour;

use super::super::text::count;
use super::nodes::{NodeRow, State};
use super::view::View;

/// Lines that are kept.
const MOST: usize = 500;
/// Nodes named in one line.
const NAMED: usize = 3;

/// What happened, the last thing at the end.
#[derive(Clone, Debug, Default)]
pub struct History {
    lines: VecDeque<Happening>,
}

/// One thing that happened, or one decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// Seconds since the Unix epoch.
    pub at: i64,
    pub kind: Kind,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plan,
    Bought,
    Joined,
    Leaving,
    Gone,
    NoPlace,
    Placed,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Bought => "bought",
            Self::Joined => "joined",
            Self::Leaving => "leaving",
            Self::Gone => "gone",
            Self::NoPlace => "no place",
            Self::Placed => "placed",
        }
    }
}

impl History {
    /// The last thing first.
    pub fn newest(&self) -> impl ExactSizeIterator<Item = &Happening> {
        self.lines.iter().rev()
    }

    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// What is new in `now`; without a look before, only what is decided now.
    pub fn look(&mut self, before: Option<&View>, now: &View) {
        if let Some(before) = before {
            self.nodes(before, now);
        }
        self.reasons(before, now);
        self.plan(before, now);
    }

    fn nodes(&mut self, before: &View, now: &View) {
        let states = |view: &View| -> BTreeMap<String, State> {
            view.nodes.iter().map(|row| (row.name.clone(), row.state)).collect()
        };
        let (old, new) = (states(before), states(now));
        // A node that joins has another name than its claim may have had.
        let become_of = |wanted: State| -> Vec<&NodeRow> {
            let is_new = |row: &&NodeRow| row.state == wanted && old.get(&row.name) != Some(&wanted);
            now.nodes.iter().filter(is_new).collect()
        };
        let bought = become_of(State::Coming);
        self.say(now, Kind::Bought, &bought, "");
        let up = |row: &&NodeRow| {
            let is_up = |state: State| matches!(state, State::Starting | State::Ready | State::Unmanaged);
            is_up(row.state) && !old.get(&row.name).is_some_and(|state| is_up(*state))
        };
        let joined: Vec<&NodeRow> = now.nodes.iter().filter(up).collect();
        self.say(now, Kind::Joined, &joined, "");
        self.say(now, Kind::Leaving, &become_of(State::Leaving), "");
        let gone: Vec<&NodeRow> =
            before.nodes.iter().filter(|row| row.state != State::Coming && !new.contains_key(&row.name)).collect();
        self.say(now, Kind::Gone, &gone, "-");
    }

    /// One line for nodes that went the same way, at what they cost.
    fn say(&mut self, now: &View, kind: Kind, rows: &[&NodeRow], sign: &str) {
        if rows.is_empty() {
            return;
        }
        let mut by_type: BTreeMap<&str, usize> = BTreeMap::new();
        for row in rows {
            *by_type.entry(if row.instance_type.is_empty() { &row.name } else { &row.instance_type }).or_default() += 1;
        }
        let mut shown: Vec<String> = by_type
            .iter()
            .take(NAMED)
            .map(|(name, n)| if *n == 1 { (*name).to_owned() } else { format!("{n} × {name}") })
            .collect();
        if by_type.len() > NAMED {
            shown.push(count(by_type.len() - NAMED, "more type"));
        }
        let cost: MicroUsdPerHour = rows.iter().filter_map(|row| row.hourly_price).sum();
        let names = if rows.len() == 1 { format!("{} ", rows[0].name) } else { String::new() };
        let text = format!("{names}{} ({sign}${cost}/h)", shown.join(", "));
        self.push(now.taken_at, kind, format!("{}: {text}", count(rows.len(), "node")));
    }

    fn reasons(&mut self, before: Option<&View>, now: &View) {
        for row in &now.pending {
            let Some(why) = row.why() else { continue };
            let known = before.is_some_and(|view| {
                view.pending.iter().any(|old| old.name == row.name && old.why().as_ref() == Some(&why))
            });
            if !known {
                let miss = row.reason.as_ref().and_then(|reason| reason.nearest_miss.as_ref());
                let miss = miss.map_or_else(String::new, |miss| format!("; would help: {miss}"));
                let text = format!("{} of {}: {why}{miss}", count(row.without_place, "pod"), row.name);
                self.push(now.taken_at, Kind::NoPlace, text);
            }
        }
        let (old, new) = (before.map_or(0, View::n_unplaced), now.n_unplaced());
        if old > 0 && new == 0 {
            self.push(now.taken_at, Kind::Placed, "every pod has a place again".into());
        }
    }

    fn plan(&mut self, before: Option<&View>, now: &View) {
        let key = |view: &View| (view.planned_cost, view.launches_total);
        if now.launches_total == 0 || before.map(key) == Some(key(now)) {
            return;
        }
        let gap = now.gap_percent().map_or_else(String::new, |gap| format!(", {gap:.1}% over the bound"));
        let pods: usize = now.pending.iter().map(|row| row.to_new).sum();
        let nodes = count(now.launches_total, "node");
        let text = format!("{nodes} for {} at ${}/h{gap}", count(pods, "pod"), now.planned_cost);
        self.push(now.taken_at, Kind::Plan, text);
    }

    fn push(&mut self, at: i64, kind: Kind, text: String) {
        if self.lines.len() == MOST {
            self.lines.pop_front();
        }
        self.lines.push_back(Happening { at, kind, text });
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{node, small};
    use super::*;

    fn told(history: &History) -> Vec<(&'static str, &str)> {
        history.lines.iter().map(|line| (line.kind.word(), line.text.as_str())).collect()
    }

    #[test]
    fn a_node_is_bought_joins_leaves_and_is_gone() {
        let mut history = History::default();
        let with = |state: Option<State>| {
            let mut view = small();
            (view.pending, view.reasons, view.launches_total) = (vec![], vec![], 0);
            view.nodes = state.map(|state| node("general-x", state)).into_iter().collect();
            view
        };
        let steps = [None, Some(State::Coming), Some(State::Starting), Some(State::Ready), Some(State::Leaving), None];
        for pair in steps.windows(2) {
            history.look(Some(&with(pair[0])), &with(pair[1]));
        }
        assert_eq!(
            told(&history),
            [
                ("bought", "1 node: general-x m5.large ($0.0960/h)"),
                ("joined", "1 node: general-x m5.large ($0.0960/h)"),
                ("leaving", "1 node: general-x m5.large ($0.0960/h)"),
                ("gone", "1 node: general-x m5.large (-$0.0960/h)"),
            ]
        );
    }

    #[test]
    fn a_reason_is_said_once_while_it_lasts_and_its_end_too() {
        let mut history = History::default();
        let (with, mut without) = (small(), small());
        (without.pending, without.reasons) = (vec![], vec![]);
        history.look(None, &with);
        history.look(Some(&with), &with);
        history.look(Some(&with), &without);
        let words: Vec<&str> = told(&history).iter().map(|(word, _)| *word).collect();
        assert_eq!(words, ["no place", "plan", "placed"], "{history:?}");
    }

    #[test]
    fn history_has_a_limit() {
        let mut history = History::default();
        (0..MOST + 7).for_each(|n| history.push(0, Kind::Gone, n.to_string()));
        assert_eq!((history.len(), history.newest().next().unwrap().text.as_str()), (MOST, "506"));
    }
}
