//! Summaries: quantiles of the last ten minutes, which the Prometheus crate has no type for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto;
use tokio::time::Instant;

/// The quantiles that are shown: least, median, two tails, most.
const QUANTILES: [f64; 5] = [0.0, 0.5, 0.9, 0.99, 1.0];
/// How long a value counts.
const WINDOW: Duration = Duration::from_mins(10);
/// In how many steps values are forgotten.
const N_SLICES: u32 = 5;
/// Values of one bucket differ by at most two per cent, so a quantile is off by at most one.
const GROWTH: f64 = 1.02;
/// Values below it (seconds) are one bucket.
const LEAST: f64 = 1e-6;
/// Series of one family; more are not taken in, so that a label gone wild cannot eat the memory.
const MAX_SERIES: usize = 10_000;

/// A family of summaries. Clones share their values.
#[derive(Clone, Debug)]
pub(super) struct SummaryVec {
    desc: Desc,
    labels: Vec<String>,
    series: Arc<Mutex<BTreeMap<Vec<String>, Series>>>,
}

impl SummaryVec {
    /// # Errors
    /// On a name or label that Prometheus does not allow.
    pub(super) fn new(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<Self> {
        let labels: Vec<String> = labels.iter().map(ToString::to_string).collect();
        let desc = Desc::new(name.into(), help.into(), labels.clone(), std::collections::HashMap::new())?;
        let mut series = BTreeMap::new();
        if labels.is_empty() {
            series.insert(Vec::new(), Series::default());
        }
        Ok(Self { desc, labels, series: Arc::new(Mutex::new(series)) })
    }

    pub(super) fn observe(&self, labels: &[&str], value: f64) {
        let key: Vec<String> = labels.iter().map(ToString::to_string).collect();
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if series.len() < MAX_SERIES || series.contains_key(&key) {
            series.entry(key).or_default().observe(value, Instant::now());
        }
    }
}

impl Collector for SummaryVec {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let now = Instant::now();
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let metrics = series.iter_mut().map(|(values, series)| {
            let mut metric = proto::Metric::default();
            metric.set_label(self.labels.iter().zip(values).map(|(name, value)| pair(name, value)).collect());
            metric.set_summary(series.summary(now));
            metric
        });
        let mut family = proto::MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(proto::MetricType::SUMMARY);
        family.set_metric(metrics.collect());
        vec![family]
    }
}

fn pair(name: &str, value: &str) -> proto::LabelPair {
    let mut pair = proto::LabelPair::default();
    pair.set_name(name.into());
    pair.set_value(value.into());
    pair
}

/// One series: count and sum for ever, values for the length of the window.
#[derive(Debug, Default)]
struct Series {
    count: u64,
    sum: f64,
    /// Oldest first; each covers a fifth of the window.
    slices: VecDeque<Slice>,
}

/// What was observed from `since` on for a fifth of the window.
#[derive(Debug)]
struct Slice {
    since: Instant,
    least: f64,
    most: f64,
    /// Number of values by the logarithm of their size.
    n_by_bucket: BTreeMap<i32, u64>,
}

impl Series {
    fn observe(&mut self, value: f64, now: Instant) {
        self.count += 1;
        self.sum += value;
        self.forget(now);
        if self.slices.back().is_none_or(|slice| now.duration_since(slice.since) >= WINDOW / N_SLICES) {
            self.slices.push_back(Slice {
                since: now,
                least: f64::INFINITY,
                most: f64::NEG_INFINITY,
                n_by_bucket: BTreeMap::new(),
            });
        }
        if let Some(slice) = self.slices.back_mut() {
            slice.least = slice.least.min(value);
            slice.most = slice.most.max(value);
            *slice.n_by_bucket.entry(bucket(value)).or_default() += 1;
        }
    }

    fn forget(&mut self, now: Instant) {
        while self.slices.front().is_some_and(|slice| now.duration_since(slice.since) >= WINDOW) {
            self.slices.pop_front();
        }
    }

    fn summary(&mut self, now: Instant) -> proto::Summary {
        self.forget(now);
        let mut summary = proto::Summary::default();
        summary.set_sample_count(self.count);
        summary.set_sample_sum(self.sum);
        let quantiles = QUANTILES.iter().map(|at| {
            let mut quantile = proto::Quantile::default();
            quantile.set_quantile(*at);
            quantile.set_value(self.quantile(*at));
            quantile
        });
        summary.set_quantile(quantiles.collect());
        summary
    }

    /// Not a number when nothing was observed within the window, as other clients have it.
    fn quantile(&self, at: f64) -> f64 {
        let least = self.slices.iter().map(|slice| slice.least).fold(f64::INFINITY, f64::min);
        let most = self.slices.iter().map(|slice| slice.most).fold(f64::NEG_INFINITY, f64::max);
        let mut n_by_bucket: BTreeMap<i32, u64> = BTreeMap::new();
        for (bucket, n) in self.slices.iter().flat_map(|slice| &slice.n_by_bucket) {
            *n_by_bucket.entry(*bucket).or_default() += n;
        }
        let total: u64 = n_by_bucket.values().sum();
        if total == 0 {
            return f64::NAN;
        }
        if at <= 0.0 {
            return least;
        }
        if at >= 1.0 {
            return most;
        }
        let rank = at * total as f64;
        let mut seen = 0;
        for (bucket, n) in n_by_bucket {
            seen += n;
            if seen as f64 >= rank {
                return middle(bucket).clamp(least, most);
            }
        }
        most
    }
}

fn bucket(value: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "the logarithm of a float is at most a few ten thousands")]
    let bucket = (value.max(LEAST).ln() / GROWTH.ln()).ceil() as i32;
    bucket
}

/// The value nearest to all values of a bucket, by ratio.
fn middle(bucket: i32) -> f64 {
    GROWTH.powi(bucket) * 2.0 / (1.0 + GROWTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(summary: &SummaryVec) -> String {
        prometheus::TextEncoder::new().encode_to_string(&summary.collect()).unwrap()
    }

    fn quantile(text: &str, at: &str) -> f64 {
        let line = text.lines().find(|line| line.contains(&format!("quantile=\"{at}\""))).expect("a quantile");
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn quantiles_are_within_a_per_cent() {
        let summary = SummaryVec::new("s", "help", &["pool"]).unwrap();
        for i in 1..=10_000 {
            summary.observe(&["a"], f64::from(i) / 100.0);
        }
        let text = text(&summary);
        for (at, wanted) in [("0", 0.01), ("0.5", 50.0), ("0.9", 90.0), ("0.99", 99.0), ("1", 100.0)] {
            let got = quantile(&text, at);
            assert!((got - wanted).abs() <= wanted * 0.011, "{at}: {got}, not {wanted}");
        }
        assert!(text.contains("s_count{pool=\"a\"} 10000"), "{text}");
        assert!(text.contains("# TYPE s summary"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn values_are_forgotten_after_ten_minutes_but_stay_counted() {
        let summary = SummaryVec::new("s", "help", &[]).unwrap();
        summary.observe(&[], 100.0);
        tokio::time::advance(Duration::from_mins(6)).await;
        summary.observe(&[], 1.0);
        assert!((quantile(&text(&summary), "1") - 100.0).abs() < f64::EPSILON);
        tokio::time::advance(Duration::from_mins(5)).await;
        assert!((quantile(&text(&summary), "1") - 1.0).abs() < f64::EPSILON);
        tokio::time::advance(Duration::from_mins(5)).await;
        assert!(quantile(&text(&summary), "0.5").is_nan());
        assert!(text(&summary).contains("s_count 2"));
    }
}
