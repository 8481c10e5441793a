//! Whole screens, as they look.

use super::super::super::screen::testing::{drawn, golden, lines};
use super::super::testing::{node, small};
use super::*;
use crate::cli::top::nodes::State;
use crate::cli::top::view::view;
use crate::observe::{Options, Validate, files, snapshot};

const KEYS: (&str, bool) = ("q quits · ? keys · every 5 s", false);

fn screen(width: u16, height: u16, view: &View, ui: &mut Ui) -> Vec<String> {
    let mut history = History::default();
    history.look(None, view);
    lines(&drawn(width, height, |frame| draw(frame, view, &history, ui, KEYS)))
}

fn shown(width: u16, height: u16, tab: Tab) -> Vec<String> {
    screen(width, height, &small(), &mut Ui { tab, ..Ui::default() })
}

#[test]
fn eighty_by_twenty_four_shows_figures_and_nodes() {
    golden("nodes-80x24", &shown(80, 24, Tab::Nodes));
}

#[test]
fn pending_pods_come_with_their_reason_and_what_would_help() {
    golden("pending-80x24", &shown(80, 24, Tab::Pending));
}

#[test]
fn a_hundred_and_twenty_by_forty_shows_what_waits_and_what_happened_too() {
    golden("nodes-120x40", &shown(120, 40, Tab::Nodes));
}

#[test]
fn forty_by_ten_shows_what_matters_most() {
    golden("nodes-40x10", &shown(40, 10, Tab::Nodes));
}

#[test]
fn every_tab_is_drawn_at_any_size_with_any_content() {
    let objects = files::read(&["examples/shop"], Validate::Strict).unwrap();
    let snapshot = snapshot(objects, &Options::default()).unwrap().snapshot;
    let shop = view(&snapshot, &planner::plan(&snapshot));
    let mut many = small();
    many.nodes = (0..5_000).map(|n| node(&format!("node-{n}"), State::Ready)).collect();
    for view in [&shop, &many, &small()] {
        for tab in Tab::ALL {
            for (width, height) in [(200, 60), (120, 40), (80, 24), (40, 10), (20, 5), (7, 3), (1, 1)] {
                for help in [false, true] {
                    let mut ui = Ui { tab, help, offsets: [usize::MAX; 5], ..Ui::default() };
                    let lines = screen(width, height, view, &mut ui);
                    assert_eq!(lines.len(), usize::from(height));
                    assert!(*ui.offset() < 6_000, "an offset beyond the rows: {ui:?}");
                }
            }
        }
    }
}

#[test]
fn the_last_row_can_be_scrolled_to_and_the_first_again() {
    let mut many = small();
    many.nodes = (0..100).map(|n| node(&format!("node-{n:03}"), State::Ready)).collect();
    let mut ui = Ui::default();
    ui.apply(crate::cli::screen::keys::Wish::Bottom);
    assert!(screen(80, 24, &many, &mut ui).iter().any(|line| line.starts_with("node-099")));
    ui.apply(crate::cli::screen::keys::Wish::Top);
    assert!(screen(80, 24, &many, &mut ui).iter().any(|line| line.starts_with("node-000")));
}

#[test]
fn the_keys_are_shown_over_the_table() {
    let mut ui = Ui { help: true, ..Ui::default() };
    let text = screen(80, 24, &small(), &mut ui).join("\n");
    assert!(text.contains("ctrl-C") && text.contains("sort nodes by the next column"), "{text}");
}
