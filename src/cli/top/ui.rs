//! What is shown of a view, and in which order: what keys change.

use std::cmp::Ordering;

use super::super::screen::keys::Wish;
use super::nodes::NodeRow;
use super::view::View;

/// What can be shown, one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    Nodes,
    Pools,
    Pending,
    Moves,
    Decisions,
}

impl Tab {
    pub const ALL: [Self; 5] = [Self::Nodes, Self::Pools, Self::Pending, Self::Moves, Self::Decisions];

    pub fn title(self) -> &'static str {
        match self {
            Self::Nodes => "Nodes",
            Self::Pools => "Pools",
            Self::Pending => "Pending",
            Self::Moves => "Moves",
            Self::Decisions => "Decisions",
        }
    }
}

/// By what nodes are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Name,
    Pool,
    Price,
    Cpu,
    Memory,
    Pods,
    State,
}

impl Sort {
    const ALL: [Self; 7] = [Self::Name, Self::Pool, Self::Price, Self::Cpu, Self::Memory, Self::Pods, Self::State];

    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Pool => "pool",
            Self::Price => "$/h",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Pods => "pods",
            Self::State => "state",
        }
    }

    fn compare(self, a: &NodeRow, b: &NodeRow) -> Ordering {
        let by = match self {
            Self::Name => Ordering::Equal,
            Self::Pool => a.pool.cmp(&b.pool),
            Self::Price => a.hourly_price.cmp(&b.hourly_price),
            Self::Cpu => a.cpu.unwrap_or(-1.0).total_cmp(&b.cpu.unwrap_or(-1.0)),
            Self::Memory => a.memory.unwrap_or(-1.0).total_cmp(&b.memory.unwrap_or(-1.0)),
            Self::Pods => a.pods.cmp(&b.pods),
            Self::State => a.state.cmp(&b.state),
        };
        by.then_with(|| a.name.cmp(&b.name))
    }
}

/// What the loop is to do after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    GoOn,
    Look,
    Quit,
    /// With the exit code of an interrupt.
    Interrupt,
}

/// What is shown.
#[derive(Clone, Debug)]
pub struct Ui {
    pub tab: Tab,
    /// The first row shown, per tab. Drawing brings it back to where there are rows.
    pub offsets: [usize; 5],
    /// Rows that the last frame had room for.
    pub page: usize,
    pub sort: Sort,
    pub reversed: bool,
    pub help: bool,
}

impl Default for Ui {
    fn default() -> Self {
        Self { tab: Tab::Nodes, offsets: [0; 5], page: 1, sort: Sort::Name, reversed: false, help: false }
    }
}

impl Ui {
    /// The first row of the tab that is shown.
    pub fn offset(&mut self) -> &mut usize {
        &mut self.offsets[self.tab as usize]
    }

    /// Does what somebody wants.
    pub fn apply(&mut self, wish: Wish) -> Next {
        let page = self.page.max(1);
        match wish {
            Wish::Quit if self.help => self.help = false,
            Wish::Quit => return Next::Quit,
            Wish::Interrupt => return Next::Interrupt,
            Wish::Look => return Next::Look,
            Wish::Help => self.help = !self.help,
            Wish::Tab { back } => {
                let n = Tab::ALL.len();
                self.tab = Tab::ALL[(self.tab as usize + if back { n - 1 } else { 1 }) % n];
            }
            Wish::TabAt(nth) => self.tab = Tab::ALL.get(nth - 1).copied().unwrap_or(self.tab),
            Wish::Scroll(lines) => {
                let by = lines.unsigned_abs() as usize;
                let offset = self.offset();
                *offset = if lines < 0 { offset.saturating_sub(by) } else { offset.saturating_add(by) };
            }
            Wish::Page { back: true } => *self.offset() = self.offset().saturating_sub(page),
            Wish::Page { back: false } => *self.offset() = self.offset().saturating_add(page),
            Wish::Top => *self.offset() = 0,
            Wish::Bottom => *self.offset() = usize::MAX,
            Wish::Sort => {
                let at = Sort::ALL.iter().position(|sort| *sort == self.sort).unwrap_or(0);
                self.sort = Sort::ALL[(at + 1) % Sort::ALL.len()];
                // Of prices and use the largest are of interest, of names the first.
                self.reversed = matches!(self.sort, Sort::Price | Sort::Cpu | Sort::Memory | Sort::Pods);
            }
            Wish::Reverse => self.reversed = !self.reversed,
        }
        Next::GoOn
    }

    /// The nodes in the order that is asked for.
    pub fn sorted<'a>(&self, view: &'a View) -> Vec<&'a NodeRow> {
        let mut rows: Vec<&NodeRow> = view.nodes.iter().collect();
        rows.sort_by(|a, b| self.sort.compare(a, b));
        if self.reversed {
            rows.reverse();
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::super::nodes::State;
    use super::super::testing::{node, small};
    use super::*;

    #[test]
    fn keys_walk_through_the_tabs_and_around() {
        let mut ui = Ui::default();
        assert_eq!(ui.apply(Wish::Tab { back: true }), Next::GoOn);
        assert_eq!(ui.tab, Tab::Decisions);
        ui.apply(Wish::Tab { back: false });
        assert_eq!(ui.tab, Tab::Nodes);
        ui.apply(Wish::TabAt(3));
        assert_eq!(ui.tab, Tab::Pending);
        ui.apply(Wish::TabAt(9));
        assert_eq!(ui.tab, Tab::Pending);
    }

    #[test]
    fn quitting_the_help_does_not_quit_the_view() {
        let mut ui = Ui::default();
        ui.apply(Wish::Help);
        assert_eq!((ui.apply(Wish::Quit), ui.help), (Next::GoOn, false));
        assert_eq!(ui.apply(Wish::Quit), Next::Quit);
    }

    #[test]
    fn nodes_are_sorted_by_what_is_asked_for_and_by_name_where_that_is_equal() {
        let mut view = small();
        let (mut b, mut c) = (node("b", State::Ready), node("c", State::Ready));
        (b.cpu, c.cpu) = (Some(0.9), None);
        view.nodes = vec![c, b, node("a", State::Ready)];
        let mut ui = Ui::default();
        let names = |ui: &Ui| ui.sorted(&view).iter().map(|row| row.name.clone()).collect::<Vec<_>>().concat();
        assert_eq!(names(&ui), "abc");
        while ui.sort != Sort::Cpu {
            ui.apply(Wish::Sort);
        }
        assert_eq!(names(&ui), "bac");
        ui.apply(Wish::Reverse);
        assert_eq!(names(&ui), "cab");
    }
}
