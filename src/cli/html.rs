//! A plan as one web page that needs nothing else: cards, plots and tables, readable on a desk and on a phone.

mod figures;
mod plot;
mod svg;
mod tables;

use planner::model::{MicroUsdPerHour, Snapshot};
use planner::plan::Plan;

use super::json::{Document, Summary};
use super::text::count;

pub use figures::figure;
pub use plot::{Form, Plot, Series, clock};

/// Light and dark, wide and narrow.
const STYLE: &str = include_str!("html/style.css");
/// Characters of a figure that a card has room for in large type.
const SHORT_VALUE: usize = 10;
/// Hours in a month, as the clouds' price pages count (365 × 24 / 12).
const HOURS_A_MONTH: i64 = 730;

/// The page. Same plan, same bytes: it holds no time and no machine.
pub fn page(snapshot: &Snapshot, plan: &Plan, answer: &Document) -> String {
    let body = [header(&answer.summary), cards(plan, &answer.summary), figures::all(plan), tables::all(snapshot, plan)]
        .concat();
    document(&format!("Millwright plan: {}", verdict(&answer.summary)), "", &body)
}

/// A whole page: the common style, then `style`, then the body.
pub fn document(title: &str, style: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{STYLE}{style}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        title = escape(title),
    )
}

/// Text that means itself in HTML, attributes included.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// The plan in half a sentence.
fn verdict(s: &Summary) -> String {
    match (s.unplaced, s.new_nodes) {
        (0, 0) => format!("{} placed, nothing to buy", count(s.pods, "pod")),
        (0, n) => format!("{} placed, {}", count(s.pods, "pod"), count(n, "new node")),
        (unplaced, n) => {
            format!("{} of {} without a place, {}", unplaced, count(s.pods, "pod"), count(n, "new node"))
        }
    }
}

fn header(s: &Summary) -> String {
    let class = if s.unplaced == 0 { "good" } else { "bad" };
    format!("<header><h1>Millwright plan</h1><p class=\"verdict {class}\">{}</p></header>\n", escape(&verdict(s)))
}

/// The summary, largest first.
fn cards(plan: &Plan, s: &Summary) -> String {
    let month = MicroUsdPerHour(plan.cost.0.saturating_mul(HOURS_A_MONTH)).0 / 1_000_000;
    let below = saving(plan.cost, plan.greedy_cost);
    let held = format!("{} on new nodes, {} on existing ones", s.placed_on_new_nodes, s.placed_on_existing_nodes);
    let missing = if s.unplaced == 0 { "every pod has a place".to_string() } else { "see the reasons below".into() };
    let cards = [
        card("New nodes", &s.new_nodes.to_string(), &held),
        card("Cost an hour", &format!("${}", s.hourly_cost), &format!("${} a month", grouped(month))),
        card("Proven lower bound", &format!("${}", s.hourly_cost_lower_bound), "no legal plan costs less"),
        card("Gap", &format!("{:.1}%", s.gap_percent), "at most this far above the cheapest"),
        card("First-fit-decreasing", &format!("${}", s.greedy_hourly_cost), &below),
        card("Without a place", &s.unplaced.to_string(), &missing),
    ];
    format!("<section class=\"cards\" aria-label=\"Summary\">\n{}</section>\n", cards.concat())
}

/// One figure of the summary.
pub fn card(name: &str, value: &str, note: &str) -> String {
    // A number that is broken in two reads as another one.
    let long = if value.chars().count() > SHORT_VALUE { " long" } else { "" };
    format!(
        "<div class=\"card\"><h2>{}</h2><p class=\"value{long}\">{}</p><p class=\"note\">{}</p></div>\n",
        escape(name),
        escape(value),
        escape(note)
    )
}

/// How much less the plan costs than the greedy one, in words.
fn saving(cost: MicroUsdPerHour, greedy: MicroUsdPerHour) -> String {
    if greedy.0 <= cost.0 {
        return "the same price".into();
    }
    let tenths = (greedy.0 - cost.0).saturating_mul(1000) / greedy.0;
    format!("this plan costs {}.{}% less", tenths / 10, tenths % 10)
}

/// A whole number with a comma every three digits.
fn grouped(n: i64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, c) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;
    use crate::observe::{Options, Validate, files, snapshot};

    fn planned(scenario: &str) -> (Snapshot, Plan) {
        let folder = format!("{}/tests/scenarios/{scenario}/input.yaml", env!("CARGO_MANIFEST_DIR"));
        let objects = files::read(&[folder], Validate::Strict).unwrap();
        let snapshot = snapshot(objects, &Options::default()).unwrap().snapshot;
        let plan = planner::plan(&snapshot);
        (snapshot, plan)
    }

    fn shown(snapshot: &Snapshot, plan: &Plan) -> String {
        page(snapshot, plan, &json::document(snapshot, plan))
    }

    #[test]
    fn a_page_needs_nothing_from_elsewhere_and_says_why_pods_have_no_place() {
        let (snapshot, plan) = planned("a-cpu-limit-is-never-overshot");
        let page = shown(&snapshot, &plan);
        assert!(["http", "<script", "url(", "src=", "@import"].iter().all(|outside| !page.contains(outside)));
        assert!(page.contains("LimitExceeded") && page.contains("1 of 3 pods without a place, 2 new nodes"));
    }

    #[test]
    fn a_page_of_thousands_of_nodes_is_added_up_by_type() {
        let (snapshot, mut plan) = planned("weight-comes-before-price");
        plan.launches = std::iter::repeat_n(plan.launches[0].clone(), 3_000).collect();
        let page = shown(&snapshot, &plan);
        assert!(page.contains("3000 × m-8x-amd64-linux") && page.len() < 1_000_000, "{} bytes", page.len());
    }

    #[test]
    fn names_from_the_input_cannot_become_markup() {
        assert_eq!(escape("<b a=\"x\">'&"), "&lt;b a=&quot;x&quot;&gt;&#39;&amp;");
    }

    #[test]
    fn a_long_figure_is_set_smaller_so_that_it_stays_in_one_piece() {
        assert!(card("Cost", "$331.3040", "").contains("<p class=\"value\">"));
        assert!(card("Bound", "$323.943526", "").contains("<p class=\"value long\">"));
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(
            (grouped(999), grouped(4690), grouped(1_234_567)),
            ("999".into(), "4,690".into(), "1,234,567".into())
        );
    }

    #[test]
    fn a_saving_is_told_to_a_tenth_of_a_percent() {
        assert_eq!(saving(MicroUsdPerHour(742), MicroUsdPerHour(1000)), "this plan costs 25.8% less");
        assert_eq!(saving(MicroUsdPerHour(1000), MicroUsdPerHour(1000)), "the same price");
    }
}
