//! Families of series whose number of labels is part of their type, so that no series can be named wrongly at run time.

use prometheus::core::Collector;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::summary::SummaryVec;

/// What the list of metrics needs of a kind of family.
pub(super) trait Family<const N: usize>: Sized {
    /// # Errors
    /// On a name or label that Prometheus does not allow.
    fn make(name: &str, help: &str, labels: [&str; N], buckets: &[f64]) -> prometheus::Result<Self>;
    fn collector(&self) -> Box<dyn Collector>;

    /// Makes a family and has the registry know it.
    ///
    /// # Errors
    /// As `make`, and when the registry knows the name already.
    fn register(
        registry: &Registry,
        name: &str,
        help: &str,
        labels: [&str; N],
        buckets: &[f64],
    ) -> prometheus::Result<Self> {
        let family = Self::make(name, help, labels, buckets)?;
        registry.register(family.collector())?;
        Ok(family)
    }
}

/// How a family of prometheus becomes one of ours: from name, help, labels and buckets.
macro_rules! impl_family {
    ($kind:ident, |$name:ident, $help:ident, $labels:ident, $buckets:tt| $make:expr) => {
        impl<const N: usize> Family<N> for $kind<N> {
            fn make($name: &str, $help: &str, labels: [&str; N], $buckets: &[f64]) -> prometheus::Result<Self> {
                let $labels = &labels;
                let family = $make?;
                // A family without labels is one series, shown from the start.
                if N == 0 {
                    family.with_label_values(&[] as &[&str]);
                }
                Ok(Self(family))
            }

            fn collector(&self) -> Box<dyn Collector> {
                Box::new(self.0.clone())
            }
        }
    };
}

/// Counters with `N` labels.
#[derive(Clone, Debug)]
pub struct Counters<const N: usize>(IntCounterVec);

impl<const N: usize> Counters<N> {
    /// One more.
    pub fn inc(&self, labels: [&str; N]) {
        self.add(labels, 1);
    }

    /// `n` more; with 0 the series appears and counts nothing.
    pub fn add(&self, labels: [&str; N], n: u64) {
        self.0.with_label_values(&labels).inc_by(n);
    }

    /// What has been counted; 0 for a series that does not exist, which this call makes appear.
    pub fn get(&self, labels: [&str; N]) -> u64 {
        self.0.with_label_values(&labels).get()
    }
}

impl_family!(Counters, |name, help, labels, _| IntCounterVec::new(Opts::new(name, help), labels));

/// Gauges with `N` labels.
#[derive(Clone, Debug)]
pub struct Gauges<const N: usize>(GaugeVec);

impl<const N: usize> Gauges<N> {
    pub fn set(&self, labels: [&str; N], value: f64) {
        self.0.with_label_values(&labels).set(value);
    }

    /// Adds, or with a negative number takes away.
    pub fn add(&self, labels: [&str; N], value: f64) {
        self.0.with_label_values(&labels).add(value);
    }

    pub fn get(&self, labels: [&str; N]) -> f64 {
        self.0.with_label_values(&labels).get()
    }

    /// The series disappears. Nothing happens when there is none.
    pub fn remove(&self, labels: [&str; N]) {
        // The only error is that there is no such series.
        self.0.remove_label_values(&labels).ok();
    }

    /// All series disappear.
    pub fn reset(&self) {
        self.0.reset();
    }
}

impl_family!(Gauges, |name, help, labels, _| GaugeVec::new(Opts::new(name, help), labels));

/// Histograms with `N` labels.
#[derive(Clone, Debug)]
pub struct Histograms<const N: usize>(HistogramVec);

impl<const N: usize> Histograms<N> {
    /// A value in the unit that the name ends with, nearly always seconds.
    pub fn observe(&self, labels: [&str; N], value: f64) {
        self.0.with_label_values(&labels).observe(value);
    }

    /// How many values were observed.
    pub fn count(&self, labels: [&str; N]) -> u64 {
        self.0.with_label_values(&labels).get_sample_count()
    }

    /// Observes the seconds since `since` by tokio's clock.
    pub fn observe_since(&self, labels: [&str; N], since: tokio::time::Instant) {
        self.observe(labels, since.elapsed().as_secs_f64());
    }
}

impl_family!(Histograms, |name, help, labels, buckets| {
    HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)
});

/// Summaries with `N` labels: quantiles of the last ten minutes.
#[derive(Clone, Debug)]
pub struct Summaries<const N: usize>(SummaryVec);

impl<const N: usize> Summaries<N> {
    /// A value in the unit that the name ends with.
    pub fn observe(&self, labels: [&str; N], value: f64) {
        self.0.observe(&labels, value);
    }
}

impl<const N: usize> Family<N> for Summaries<N> {
    fn make(name: &str, help: &str, labels: [&str; N], _: &[f64]) -> prometheus::Result<Self> {
        SummaryVec::new(name, help, &labels).map(Self)
    }

    fn collector(&self) -> Box<dyn Collector> {
        Box::new(self.0.clone())
    }
}
