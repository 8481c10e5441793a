//! What this process uses: `process_cpu_seconds_total`, `process_resident_memory_bytes` and the like.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

/// On Linux the families of the Prometheus clients; elsewhere nothing.
#[cfg(target_os = "linux")]
pub(super) struct Process(prometheus::process_collector::ProcessCollector);

#[cfg(target_os = "linux")]
impl Process {
    #[expect(clippy::unnecessary_wraps, reason = "the same signature as on other systems")]
    pub(super) fn new() -> prometheus::Result<Self> {
        Ok(Self(prometheus::process_collector::ProcessCollector::for_self()))
    }
}

#[cfg(target_os = "linux")]
impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.0.collect()
    }
}

/// On Linux the families of the Prometheus clients; elsewhere nothing but the process id.
#[cfg(not(target_os = "linux"))]
pub(super) struct Process(prometheus::Gauge);

#[cfg(not(target_os = "linux"))]
impl Process {
    pub(super) fn new() -> prometheus::Result<Self> {
        let gauge = prometheus::Gauge::new("process_id", "The id of this process.")?;
        gauge.set(f64::from(std::process::id()));
        Ok(Self(gauge))
    }
}

#[cfg(not(target_os = "linux"))]
impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.0.collect()
    }
}
