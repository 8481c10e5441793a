//! Families that are written when somebody asks, from what is known then: series of pods and nodes, which nobody would want
//! to hold in memory twice.

use std::fmt::{self, Write};
use std::sync::Arc;

/// Writes the families in the text format of Prometheus, each once and whole.
#[derive(Clone)]
pub struct Page(Arc<dyn Fn(&mut String) + Send + Sync>);

impl Page {
    pub fn new(write: impl Fn(&mut String) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    pub(super) fn write(&self, out: &mut String) {
        (self.0)(out);
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Page")
    }
}

/// The head of a family of gauges.
pub fn gauges(out: &mut String, name: &str, help: &str) {
    // Writing to memory does not fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
}

/// One series.
pub fn sample(out: &mut String, name: &str, labels: &Labels, value: f64) {
    let _ = writeln!(out, "{name}{{{}}} {value}", labels.0);
}

/// Labels as they are written, for series that share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(String);

impl Labels {
    pub fn of<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut out = Self::default();
        labels.into_iter().for_each(|(name, value)| out.push(name, value));
        out
    }

    /// One more.
    pub fn push(&mut self, name: &str, value: &str) {
        let comma = if self.0.is_empty() { "" } else { "," };
        let _ = write!(self.0, "{comma}{name}=\"");
        for c in value.chars() {
            match c {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                c => self.0.push(c),
            }
        }
        self.0.push('"');
    }

    /// The same with one more.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut out = self.clone();
        out.push(name, value);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_written_as_prometheus_reads_them() {
        let mut out = String::new();
        gauges(&mut out, "karpenter_pods_state", "How a pod is.");
        let labels = Labels::of([("name", "a\"b\\c\nd"), ("phase", "")]);
        sample(&mut out, "karpenter_pods_state", &labels.with("ready", "true"), 1.0);
        assert_eq!(
            out,
            "# HELP karpenter_pods_state How a pod is.\n# TYPE karpenter_pods_state gauge\n\
             karpenter_pods_state{name=\"a\\\"b\\\\c\\nd\",phase=\"\",ready=\"true\"} 1\n"
        );
    }
}
