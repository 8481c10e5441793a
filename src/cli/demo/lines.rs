//! A run as plain lines: one per moment, and the summary at its end.

use std::fmt::Write as _;

use super::timeline::{Moment, MomentKind, Summary, Timeline};
use crate::cli::plan::print;

/// Characters of a line of details.
const WIDTH: usize = 118;
/// Where text begins.
const INDENT: usize = 20;

/// What is going to be seen.
pub fn title(timeline: &Timeline, is_fast: bool) -> String {
    let clock = if is_fast { "a virtual clock" } else { "the real clock, ctrl-C ends it" };
    format!("millwright demo: {} (scenario {}, seed {}, {clock})\n\n", timeline.title, timeline.scenario, timeline.seed)
}

/// Prints a moment; but that nodes are gone was to be expected since they were given up. A reader that went away is no
/// reason to end the run.
pub fn tell(moment: &Moment) {
    if moment.kind == MomentKind::Removed {
        return;
    }
    drop(print(&line(moment)));
}

/// A moment as one line, and a second one for its details.
pub fn line(moment: &Moment) -> String {
    let mut out = format!("{:>8}  {:<8}  {}\n", clock(moment.millis / 1000), moment.kind.word(), moment.text);
    let details = moment.details.join(", ");
    if !details.is_empty() {
        let room = WIDTH - INDENT;
        let shown: String = details.chars().take(room).collect();
        let cut = if details.chars().count() > room { "…" } else { "" };
        let _ = writeln!(out, "{:INDENT$}{shown}{cut}", "");
    }
    out
}

/// What a run came to.
pub fn summary(end: &Summary) -> String {
    let over = |ours: f64, theirs: f64| {
        let is_known = theirs > 0.0 && ours > 0.0;
        if is_known { format!(" ({:+.1}%)", (ours - theirs) / theirs * 100.0) } else { String::new() }
    };
    let (spent, bound, greedy) = (end.spent.dollars(), end.spent_bound.dollars(), end.spent_greedy.dollars());
    let mut out = format!("\nin {} of the cluster's time\n", time(end.seconds));
    let _ = writeln!(
        out,
        "  pods       {} ran; from creation to ready {:.1} s in the median, {:.1} s at the longest",
        end.pods_ran, end.median_pending_seconds, end.longest_pending_seconds
    );
    let _ = writeln!(
        out,
        "  nodes      {} bought, {} removed, at most {} at once",
        end.nodes_bought, end.nodes_removed, end.most_nodes
    );
    let _ = writeln!(
        out,
        "  dollars    {spent:.2} spent; the pods of every moment packed anew: {bound:.2} at the proven bound{}, {greedy:.2} \
         by first-fit-decreasing{}",
        over(spent, bound),
        over(spent, greedy)
    );
    let _ = writeln!(
        out,
        "  shortages  {} survived; {} launches met empty shelves",
        end.shortages_survived, end.launches_refused
    );
    if end.storms_survived > 0 {
        let _ = writeln!(
            out,
            "  storms     {} survived; {} spot machines were taken back, each with two minutes' notice",
            end.storms_survived, end.machines_interrupted
        );
    }
    if !end.calls.is_empty() {
        let calls: Vec<String> = end.calls.iter().map(|(action, n)| format!("{action} {n}")).collect();
        let _ = writeln!(out, "  calls      {}; {} refused for coming too fast", calls.join(", "), end.calls_too_fast);
    }
    match end.breaches.as_slice() {
        [] => out += "  checks     nothing leaked, nothing overfull, no limit exceeded\n",
        breaches => breaches.iter().for_each(|breach| {
            let _ = writeln!(out, "  BREACH     {breach}");
        }),
    }
    if let Some(failure) = &end.failure {
        let _ = writeln!(out, "  FAILED     {failure}");
    }
    out
}

fn time(seconds: f64) -> String {
    let whole = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    clock(whole)
}

/// `1:02:03`.
pub fn clock(seconds: u64) -> String {
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_have_a_line_of_their_own_that_is_cut() {
        let details = vec!["x".repeat(80), "y".repeat(80)];
        let moment = Moment { millis: 3_723_999, kind: MomentKind::Planned, text: "buy".into(), details };
        let text = line(&moment);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], " 1:02:03  plan      buy");
        assert!(lines[1].starts_with("                    x") && lines[1].ends_with("y…"));
        assert_eq!(lines[1].chars().count(), WIDTH + 1);
    }
}
