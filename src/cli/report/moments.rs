//! What happened, in the order it did; each moment marks its time in the plots.

use std::fmt::Write;

use super::super::demo::timeline::{Moment, Timeline};
use super::super::html::{clock, escape};
use super::plots::{class, rows, strip};

/// Moments that a browser shows without pausing; the rest is counted.
const MOST: usize = 2_000;
/// Lines below a moment; more are counted.
const MOST_DETAILS: usize = 12;

/// The table of moments.
pub fn list(timeline: &Timeline, end: f64) -> String {
    let n = timeline.moments.len();
    let mut out = format!(
        "<section class=\"moments\" aria-label=\"What happened\">\n<h2>What happened <span class=\"n\">{n}</span></h2>\n\
         <p class=\"note\">Point at a moment, or tap it, to see its time in the plots.</p>\n{}\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Moments\"><table>\n\
         <thead><tr><th scope=\"col\" class=\"num\">Time</th><th scope=\"col\">What</th></tr></thead>\n<tbody>\n",
        strip(timeline, end)
    );
    let looks: Vec<f64> = rows(&timeline.points).map(|(_, point)| point.seconds).collect();
    for moment in timeline.moments.iter().take(MOST) {
        row(&mut out, moment, seen(moment, &looks));
    }
    out += "</tbody></table></div>\n";
    if n > MOST {
        let _ = writeln!(out, "<p class=\"note\">The first {MOST} of {n}.</p>");
    }
    out + "</section>\n"
}

/// When the cluster was looked at next: a look comes a little after what it is about. After the last look, that one's time.
fn seen(moment: &Moment, looks: &[f64]) -> f64 {
    let next = looks.partition_point(|look| *look < moment.seconds());
    looks.get(next).or(looks.last()).copied().unwrap_or_else(|| moment.seconds())
}

fn row(out: &mut String, moment: &Moment, seen: f64) {
    let (seconds, class) = (moment.seconds(), class(moment.kind));
    let _ = write!(
        out,
        "<tr data-t=\"{seconds:.3}\" data-seen=\"{seen:.3}\"><td class=\"num\"><button type=\"button\" class=\"when\" \
         aria-label=\"mark {0} in the plots\">{0}</button></td>\
         <td class=\"long\"><span class=\"kind {class}\">{1}</span> {2}",
        clock(seconds),
        moment.kind.word(),
        escape(&moment.text)
    );
    if !moment.details.is_empty() {
        *out += "<ul>";
        for line in moment.details.iter().take(MOST_DETAILS) {
            let _ = write!(out, "<li>{}</li>", escape(line));
        }
        if moment.details.len() > MOST_DETAILS {
            let _ = write!(out, "<li>and {} more</li>", moment.details.len() - MOST_DETAILS);
        }
        *out += "</ul>";
    }
    *out += "</td></tr>\n";
}
