//! A run of the demo as one web page that needs nothing else: figures, plots over time, and what happened, in step.

mod moments;
mod plots;

use std::fmt::Write;

use super::demo::timeline::{Finish, MicroUsd, Summary, Timeline};
use super::html::{card, document, escape};
use super::text::count;

/// Beside the style of the page of a plan.
const STYLE: &str = include_str!("report.css");
/// Marks the time of a moment in every plot, and reads out values where a plot is pointed at.
const SCRIPT: &str = include_str!("report.js");

/// The page. The same timeline gives the same bytes.
pub fn page(timeline: &Timeline) -> String {
    let end = end(timeline);
    let body = [
        header(timeline),
        cards(&timeline.end),
        faults(&timeline.end),
        format!("<div class=\"run\" data-end=\"{end:.3}\">\n"),
        plots::all(timeline, end),
        moments::list(timeline, end),
        "</div>\n".to_owned(),
        plots::values(timeline),
        format!("<script>\n{SCRIPT}</script>\n"),
    ];
    document(&format!("Millwright demo: {}", verdict(timeline)), STYLE, &body.concat())
}

/// The last second that is shown.
fn end(timeline: &Timeline) -> f64 {
    let points = timeline.points.iter().map(|point| point.seconds);
    let moments = timeline.moments.iter().map(super::demo::timeline::Moment::seconds);
    points.chain(moments).fold(timeline.end.seconds, f64::max)
}

/// The run in half a sentence.
fn verdict(timeline: &Timeline) -> String {
    let how = match timeline.end.finish {
        Finish::GivenUp(_) => return format!("{} was given up", timeline.scenario),
        Finish::Interrupted => "was interrupted before its end",
        Finish::ToTheEnd => "went to its end",
    };
    match timeline.end.breaches.len() {
        0 => format!("{} {how}", timeline.scenario),
        n => format!("{} {how}, {} broken", timeline.scenario, count(n, "rule")),
    }
}

fn header(timeline: &Timeline) -> String {
    let class = match (timeline.end.breaches.is_empty(), &timeline.end.finish) {
        (true, Finish::ToTheEnd) => "good",
        (true, Finish::Interrupted) => "",
        _ => "bad",
    };
    format!(
        "<header><h1>Millwright demo</h1><p class=\"verdict {class}\">{}</p>\
         <p class=\"about\">{} <span class=\"n\">seed {}</span></p></header>\n",
        escape(&verdict(timeline)),
        escape(&timeline.title),
        timeline.seed
    )
}

fn cards(s: &Summary) -> String {
    let cards = [
        card("Pods that ran", &s.pods_ran.to_string(), &format!("in {} of the cluster's time", length(s.seconds))),
        card("Spent", &dollars(s.spent), "for nodes, from purchase to end"),
        card("Lower bound", &dollars(s.spent_bound), &beside(s, s.spent_bound, "cost no less")),
        card("First-fit-decreasing", &dollars(s.spent_greedy), &beside(s, s.spent_greedy, "would cost this")),
        card(
            "Nodes bought",
            &s.nodes_bought.to_string(),
            &format!("{} removed, {} at most at once", s.nodes_removed, s.most_nodes),
        ),
        waited(s),
        card(
            "Shortages survived",
            &s.shortages_survived.to_string(),
            &format!("{} for want of stock", count(s.launches_refused, "refusal")),
        ),
    ];
    let mut cards = cards.concat();
    if s.storms_survived > 0 {
        let taken = format!("{} taken back", count(s.machines_interrupted, "spot machine"));
        cards += &card("Interruption storms survived", &s.storms_survived.to_string(), &taken);
    }
    if !s.calls.is_empty() {
        let (calls, too_fast) =
            (s.calls.iter().map(|(action, n)| format!("{n} {action}")).collect::<Vec<_>>(), s.calls_too_fast);
        cards += &card("Calls that came too fast", &too_fast.to_string(), &format!("of {}", calls.join(", ")));
    }
    format!("<section class=\"cards\" aria-label=\"Summary\">\n{cards}</section>\n")
}

/// What must never be and was, and why the run ended early.
fn faults(s: &Summary) -> String {
    let mut out = String::new();
    let failure = if let Finish::GivenUp(failure) = &s.finish { Some(failure) } else { None };
    for text in failure.into_iter().chain(&s.breaches) {
        let _ = writeln!(out, "<p class=\"fault bad\" role=\"alert\">{}</p>", escape(text));
    }
    out
}

/// How long pods waited that ran, and how many wait still.
fn waited(s: &Summary) -> String {
    let still = if s.pods_waiting > 0 { format!("; {} still wait", s.pods_waiting) } else { String::new() };
    if s.pods_ran == 0 {
        return card("Pods waited", "–", &format!("none became ready{still}"));
    }
    let note = format!("in the median, {} at most{still}", length(s.longest_pending_seconds));
    card("Pods waited", &length(s.median_pending_seconds), &note)
}

/// Money with the digits that a run of minutes needs.
fn dollars(money: MicroUsd) -> String {
    let dollars = money.dollars();
    if dollars.abs() >= 10.0 { format!("${dollars:.2}") } else { format!("${dollars:.4}") }
}

/// What a yardstick is, and how the run does beside it.
fn beside(s: &Summary, yardstick: MicroUsd, cost: &str) -> String {
    if yardstick.0 <= 0 {
        return "nothing had to be bought".into();
    }
    let percent = (s.spent.dollars() / yardstick.dollars() - 1.0) * 100.0;
    let run = if s.is_below_bound() {
        "pods waited, which costs nothing, so the run spent less than the bound".to_owned()
    } else {
        format!("the run spent {}", compared(percent))
    };
    format!(
        "the pods of every moment packed anew {cost}: everything in stock, moves free, no time to boot or idle; {run}"
    )
}

/// `4.2% more`, `23.1% less`.
fn compared(percent: f64) -> String {
    format!("{:.1}% {}", percent.abs(), if percent < 0.0 { "less" } else { "more" })
}

/// `850 ms`, `12.5 s`, `3:05 min`.
fn length(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 60.0 => format!("{s:.1} s"),
        s => format!("{} min", super::html::clock(s)),
    }
}

#[cfg(test)]
mod tests;
