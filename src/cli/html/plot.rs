//! Plots over time as inline SVG: stepped lines and stacked areas. Curves stretch with the page; text keeps its size.

use std::fmt::Write;

use super::escape;

/// Width of the curves' own coordinates; the page stretches it.
const WIDE: f64 = 1000.0;
/// Room above the curves for the highest label, in pixels.
const ABOVE: usize = 16;
/// Room below for times, in pixels.
const BELOW: usize = 22;

/// What is drawn over time.
pub struct Plot<'a> {
    /// Said in place of the picture.
    pub about: String,
    /// Of each value, in seconds, ascending.
    pub times: &'a [f64],
    /// The last moment, in seconds.
    pub end: f64,
    /// Of the curves, in pixels.
    pub height: usize,
    pub form: Form,
    pub series: Vec<Series>,
    /// The axis goes at least so high.
    pub least_top: f64,
    /// A value as text on the axis.
    pub unit: fn(f64) -> String,
    /// Moments that are pointed out: seconds, and the class of their colour.
    pub ticks: &'a [(f64, &'static str)],
    /// Columns of the table of values that are read out where the plot is pointed at.
    pub columns: &'a [usize],
}

/// How series share the plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Each from zero.
    Lines,
    /// Each on top of those before.
    Stacked,
    /// One line, without axis or times: a strip to find one's way.
    Strip,
}

/// One curve, or one layer.
pub struct Series {
    pub name: String,
    /// CSS class, which has its colour.
    pub class: String,
    /// One per time.
    pub values: Vec<f64>,
}

impl Plot<'_> {
    /// The plot, its legend above.
    pub fn draw(&self) -> String {
        let mut layers: Vec<Vec<f64>> = Vec::new();
        for series in &self.series {
            let below = match (self.form, layers.last()) {
                (Form::Stacked, Some(below)) => below.clone(),
                _ => vec![0.0; series.values.len()],
            };
            layers.push(series.values.iter().zip(below).map(|(value, below)| value + below).collect());
        }
        let most = layers.iter().flatten().copied().fold(self.least_top, f64::max);
        let (top, step) = nice(most);
        let is_strip = self.form == Form::Strip;
        let (above, below) = if is_strip { (4, 4) } else { (ABOVE, BELOW) };
        let columns: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        let mut out = if is_strip { String::new() } else { self.legend() };
        let _ = writeln!(
            out,
            "<svg class=\"plot\" width=\"100%\" height=\"{}\" role=\"img\" aria-label=\"{}\" data-columns=\"{}\">",
            self.height + above + below,
            escape(&self.about),
            columns.join(" ")
        );
        if !is_strip {
            self.grid(&mut out, top, step);
        }
        let _ = writeln!(
            out,
            "<svg x=\"0\" y=\"{above}\" width=\"100%\" height=\"{0}\" viewBox=\"0 0 1000 {0}\" preserveAspectRatio=\"none\">",
            self.height
        );
        // The highest layer first, so that each lower one covers its own part.
        for (series, layer) in self.series.iter().zip(&layers).rev() {
            let (line, class) = (self.steps(layer, top), escape(&series.class));
            if self.form == Form::Stacked {
                let _ = writeln!(out, "<path class=\"area {class}\" d=\"{line}V{}H0Z\"/>", self.height);
            } else {
                let _ = writeln!(out, "<path class=\"line {class}\" d=\"{line}\"/>");
            }
        }
        out += "</svg>\n";
        if !is_strip {
            self.values(&mut out, top, step);
        }
        let foot = above + self.height;
        for (seconds, class) in self.ticks {
            let at = self.across(*seconds);
            let _ = write!(
                out,
                "<line class=\"tick {class}\" x1=\"{at}%\" x2=\"{at}%\" y1=\"{foot}\" y2=\"{}\"/>",
                foot + 5
            );
        }
        let _ = writeln!(
            out,
            "\n<line class=\"axis\" x1=\"0\" x2=\"100%\" y1=\"{foot}\" y2=\"{foot}\"/>\
             <line class=\"mark\" x1=\"0\" x2=\"0\" y1=\"{above}\" y2=\"{}\"/>\n</svg>",
            foot + 5
        );
        out
    }

    fn legend(&self) -> String {
        let key = |series: &Series| {
            let (class, name) = (escape(&series.class), escape(&series.name));
            format!("<span class=\"entry\"><span class=\"key {class}\"></span>{name}</span> ")
        };
        let keys: String = self.series.iter().map(key).collect();
        format!("<p class=\"legend\">{keys}<output class=\"readout\"></output></p>\n")
    }

    /// Lines for round values, and times below.
    fn grid(&self, out: &mut String, top: f64, step: f64) {
        let mut value = step;
        while value <= top + step / 1e6 {
            let y = ABOVE as f64 + (1.0 - value / top) * self.height as f64;
            let _ = writeln!(out, "<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
            value += step;
        }
        let y = ABOVE + self.height + 18;
        let step = time_step(self.end);
        let mut seconds = 0.0;
        while seconds <= self.end {
            let at = seconds / self.end.max(1e-9);
            let (class, is_shown) = match at {
                at if at < 0.04 => ("soft", true),
                at => ("mid", at < 0.96),
            };
            if is_shown {
                let _ = write!(
                    out,
                    "<text class=\"{class}\" x=\"{}%\" y=\"{y}\">{}</text>",
                    self.across(seconds),
                    clock(seconds)
                );
            }
            seconds += step;
        }
        out.push('\n');
    }

    /// What the lines stand for, above the curves.
    fn values(&self, out: &mut String, top: f64, step: f64) {
        let mut value = step;
        while value <= top + step / 1e6 {
            let y = ABOVE as f64 + (1.0 - value / top) * self.height as f64 - 4.0;
            let text = escape(&(self.unit)(value));
            let _ = writeln!(out, "<text class=\"soft value\" x=\"0\" y=\"{y:.1}\">{text}</text>");
            value += step;
        }
    }

    /// Where a time is, in percent of the width.
    fn across(&self, seconds: f64) -> String {
        format!("{:.2}", (seconds / self.end.max(1e-9) * 100.0).clamp(0.0, 100.0))
    }

    /// A path that keeps each value until the next; it has a corner only where the value changes.
    fn steps(&self, values: &[f64], top: f64) -> String {
        let y = |value: f64| format!("{:.1}", (1.0 - (value / top).clamp(0.0, 1.0)) * self.height as f64);
        let mut last = y(values.first().copied().unwrap_or(0.0));
        let mut path = format!("M0 {last}");
        for (seconds, value) in self.times.iter().zip(values).skip(1) {
            let next = y(*value);
            if next != last {
                let x = (seconds / self.end.max(1e-9) * WIDE).clamp(0.0, WIDE);
                let _ = write!(path, "H{x:.1}V{next}");
                last = next;
            }
        }
        path + "H1000"
    }
}

/// A round number not below `most`, and the distance of two to five lines up to it.
fn nice(most: f64) -> (f64, f64) {
    if most <= 0.0 || !most.is_finite() {
        return (1.0, 1.0);
    }
    let size = 10f64.powf(most.log10().floor());
    // A part of the size, and how many lines it has.
    let round = [
        (1.0, 2.0),
        (1.2, 3.0),
        (1.5, 3.0),
        (2.0, 2.0),
        (2.5, 5.0),
        (3.0, 3.0),
        (4.0, 4.0),
        (5.0, 5.0),
        (6.0, 3.0),
        (8.0, 4.0),
    ];
    let (part, lines) = round.into_iter().find(|(part, _)| part * size >= most * 0.999).unwrap_or((10.0, 2.0));
    (part * size, part * size / lines)
}

/// Seconds between two times on the axis, of which there are about five.
fn time_step(end: f64) -> f64 {
    const STEPS: [f64; 14] =
        [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0];
    STEPS.into_iter().find(|step| end / step <= 6.0).unwrap_or((end / 6.0).max(1.0))
}

/// `1:05` minutes and seconds, `1:00:05` with hours.
pub fn clock(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a run is neither negative nor of centuries"
    )]
    let whole = seconds.max(0.0) as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(form: Form, series: Vec<Series>) -> String {
        let times = [0.0, 10.0, 20.0];
        let unit = |value: f64| format!("{value}");
        let ticks = [(5.0, "shortage")];
        Plot {
            about: "a < b".into(),
            times: &times,
            end: 20.0,
            height: 100,
            form,
            series,
            least_top: 0.0,
            unit,
            ticks: &ticks,
            columns: &[1, 2],
        }
        .draw()
    }

    fn series(name: &str, values: [f64; 3]) -> Series {
        Series { name: name.into(), class: "cost".into(), values: values.to_vec() }
    }

    #[test]
    fn a_value_is_kept_until_the_next_and_a_layer_stands_on_those_below() {
        let text = plot(Form::Stacked, vec![series("a", [1.0, 1.0, 2.0]), series("b", [1.0, 3.0, 3.0])]);
        assert!(text.contains("M0 80.0H1000.0V60.0H1000V100H0Z"), "{text}");
        assert!(text.contains("M0 60.0H500.0V20.0H1000.0V0.0H1000V100H0Z"), "{text}");
    }

    #[test]
    fn names_are_escaped_and_moments_are_ticks() {
        let text = plot(Form::Lines, vec![series("<b>", [1.0, 0.0, 0.0])]);
        assert!(text.contains("&lt;b&gt;") && text.contains("aria-label=\"a &lt; b\"") && !text.contains("<b>"));
        assert!(text.contains("class=\"tick shortage\" x1=\"25.00%\""), "{text}");
    }

    #[test]
    fn nothing_at_all_is_a_whole_plot_too() {
        let empty = Plot {
            about: String::new(),
            times: &[],
            end: 0.0,
            height: 10,
            form: Form::Lines,
            series: vec![Series { name: "x".into(), class: "cost".into(), values: vec![] }],
            least_top: 0.0,
            unit: |_| String::new(),
            ticks: &[],
            columns: &[],
        };
        let text = empty.draw();
        assert!(text.ends_with("</svg>\n") && !text.contains("NaN") && !text.contains("inf"), "{text}");
    }

    #[test]
    fn axes_end_at_round_numbers() {
        let tops = [0.0, 0.07, 1.0, 1.3, 23.0, 61.0, 99.0, 100.0].map(|most| nice(most).0);
        for (top, expected) in tops.into_iter().zip([1.0, 0.08, 1.0, 1.5, 25.0, 80.0, 100.0, 100.0]) {
            assert!((top - expected).abs() < 1e-9, "{tops:?}");
        }
    }

    #[test]
    fn times_are_told_in_minutes() {
        assert_eq!((clock(65.9), clock(3605.0), clock(-1.0)), ("1:05".into(), "1:00:05".into(), "0:00".into()));
    }
}
