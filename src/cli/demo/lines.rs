//! A run as plain lines: one per moment with its details below, and the summary at its end.

use std::fmt::Write as _;

use super::timeline::{Finish, Moment, MomentKind, Summary, Timeline};
use crate::cli::plan::print_if_read;
use crate::cli::screen::paint::wrap;

/// Characters of a line of details.
const WIDTH: usize = 118;
/// Where text begins.
const INDENT: usize = 20;

/// What is going to be seen.
pub fn title(timeline: &Timeline, is_fast: bool) -> String {
    let clock = if is_fast { "a virtual clock" } else { "the real clock, ctrl-C ends it" };
    format!("millwright demo: {} (scenario {}, seed {}, {clock})\n\n", timeline.title, timeline.scenario, timeline.seed)
}

/// Prints a moment; but that nodes are gone was to be expected since they were given up. False if nobody reads any more.
pub fn tell(moment: &Moment) -> bool {
    moment.kind == MomentKind::Removed || print_if_read(&line(moment)).unwrap_or(true)
}

/// A moment as one line, and more for its details.
pub fn line(moment: &Moment) -> String {
    let mut out = format!("{:>8}  {:<8}  {}\n", clock(moment.millis / 1000), moment.kind.word(), moment.text);
    for details in filled(&moment.details) {
        let _ = writeln!(out, "{:INDENT$}{details}", "");
    }
    out
}

/// Short details share a line as far as they fit; a long one goes on below, further in.
fn filled(details: &[String]) -> Vec<String> {
    let room = WIDTH - INDENT;
    let mut lines: Vec<String> = Vec::new();
    for detail in details {
        match lines.last_mut() {
            Some(last) if !last.starts_with(' ') && last.chars().count() + 2 + detail.chars().count() <= room => {
                let _ = write!(last, ", {detail}");
            }
            _ => lines.extend(wrap(detail, room, "  ")),
        }
    }
    lines
}

/// What a run came to.
pub fn summary(end: &Summary) -> String {
    let mut out = format!("\nin {} of the cluster's time\n", time(end.seconds));
    let _ = writeln!(out, "  pods       {}", pods(end));
    let _ = writeln!(
        out,
        "  nodes      {} bought, {} removed, at most {} at once",
        end.nodes_bought, end.nodes_removed, end.most_nodes
    );
    out += &dollars(end);
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
    for breach in &end.breaches {
        let _ = writeln!(out, "  BREACH     {breach}");
    }
    if end.breaches.is_empty() {
        // What is left is only looked for when the scenario has come to its end.
        let leaked = if end.finish == Finish::ToTheEnd { "nothing leaked, " } else { "" };
        let _ = writeln!(out, "  checks     {leaked}nothing overfull, no limit exceeded");
    }
    match &end.finish {
        Finish::ToTheEnd => {}
        Finish::Interrupted => out += "  ENDED      before the scenario's end: interrupted\n",
        Finish::GivenUp(failure) => {
            let _ = writeln!(out, "  FAILED     {failure}");
        }
    }
    out
}

/// How many pods ran and how long they waited; and those that waited in vain.
fn pods(end: &Summary) -> String {
    let mut out = format!("{} ran", end.pods_ran);
    if end.pods_ran > 0 {
        let (median, longest) = (end.median_pending_seconds, end.longest_pending_seconds);
        let _ = write!(out, "; from creation to ready {median:.1} s in the median, {longest:.1} s at the longest");
    }
    if end.pods_waiting > 0 {
        let _ = write!(out, "; {} still wait", end.pods_waiting);
    }
    out
}

/// What was spent beside two yardsticks, and what those are.
fn dollars(end: &Summary) -> String {
    let (spent, bound, greedy) = (end.spent.dollars(), end.spent_bound.dollars(), end.spent_greedy.dollars());
    let over = |theirs: f64| {
        let is_known = theirs > 0.0 && spent > 0.0 && !end.is_below_bound();
        if is_known { format!(" ({:+.1}%)", (spent - theirs) / theirs * 100.0) } else { String::new() }
    };
    let mut out = format!(
        "  dollars    {spent:.2} spent; {bound:.2} at the proven bound{}, {greedy:.2} by first-fit-decreasing{}\n",
        over(bound),
        over(greedy)
    );
    let about =
        "(both: the pods of every moment packed anew, everything in stock, moves free, no time to boot or idle)";
    let waited = end.is_below_bound().then_some("less was spent than the bound: pods waited, which costs nothing");
    for line in [about].into_iter().chain(waited) {
        let _ = writeln!(out, "{:13}{line}", "");
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
    fn details_fill_lines_and_nothing_of_them_is_lost() {
        let long = format!("{} (would help: {})", "y ".repeat(45).trim(), "z ".repeat(20).trim());
        let details = vec!["x".repeat(40), "x".repeat(40), long, "v".into()];
        let moment = Moment { millis: 3_723_999, kind: MomentKind::Planned, text: "buy".into(), details };
        let text = line(&moment);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], " 1:02:03  plan      buy");
        assert_eq!(lines[1], format!("{:INDENT$}{1}, {1}", "", "x".repeat(40)));
        assert!(lines[2].starts_with("                    y y"), "{text}");
        assert!(lines[3].starts_with("                      ") && lines[3].ends_with("z z)"), "{text}");
        assert_eq!(lines[4], format!("{:INDENT$}v", ""));
        assert!(lines.len() == 5 && lines.iter().all(|line| line.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn a_run_that_ended_early_says_so_and_that_pods_never_ran() {
        let mut end = Summary { pods_waiting: 65, ..Summary::default() };
        assert!(summary(&end).contains("checks     nothing leaked, nothing overfull, no limit exceeded\n"));
        for finish in [Finish::Interrupted, Finish::GivenUp("no stock".into())] {
            end.finish = finish;
            let told = summary(&end);
            assert!(told.contains("  pods       0 ran; 65 still wait\n"), "{told}");
            assert!(told.contains("  checks     nothing overfull, no limit exceeded\n"), "{told}");
        }
        assert!(summary(&end).ends_with("  FAILED     no stock\n"));
        end = Summary { pods_ran: 2, finish: Finish::Interrupted, ..end };
        let told = summary(&end);
        assert!(
            told.contains("2 ran; from creation to ready 0.0 s in the median, 0.0 s at the longest; 65 still wait\n")
        );
        assert!(told.ends_with("  ENDED      before the scenario's end: interrupted\n"), "{told}");
    }

    #[test]
    fn a_run_whose_pods_waited_is_not_praised_for_costing_less_than_the_bound() {
        let money = |micro| super::super::timeline::MicroUsd(micro);
        let (spent_bound, spent_greedy) = (money(1_000_000), money(1_500_000));
        let mut end = Summary { spent: money(1_200_000), spent_bound, spent_greedy, ..Summary::default() };
        let told = dollars(&end);
        let first =
            "  dollars    1.20 spent; 1.00 at the proven bound (+20.0%), 1.50 by first-fit-decreasing (-20.0%)\n";
        assert!(told.starts_with(first) && !told.contains("pods waited"), "{told}");
        end.spent = money(900_000);
        let told = dollars(&end);
        assert!(
            told.starts_with("  dollars    0.90 spent; 1.00 at the proven bound, 1.50 by first-fit-decreasing\n"),
            "{told}"
        );
        assert!(told.ends_with(" less was spent than the bound: pods waited, which costs nothing\n"), "{told}");
        assert!(told.lines().all(|line| line.chars().count() <= WIDTH), "{told}");
    }
}
