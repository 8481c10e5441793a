//! What the operating system says about this thread's CPU time and this process' memory (Linux; elsewhere zero).

use std::fs;

/// CPU seconds that the calling thread has used.
pub fn cpu_seconds() -> f64 {
    cpu_time::ThreadTime::now().as_duration().as_secs_f64()
}

/// Forgets the peak so far, so that the next [`peak_rss_mb`] speaks of what came after.
pub fn forget_peak() {
    // Not permitted everywhere; then the peak of the whole run is shown, which is no less.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Largest resident set in MiB.
pub fn peak_rss_mb() -> f64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib: u64 = text
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .and_then(|l| l.split_whitespace().next())
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    kib as f64 / 1024.0
}

/// One line about the machine.
pub fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .and_then(|l| l.split(':').nth(1))
        .map_or("unknown CPU", str::trim)
        .to_owned();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{model}, {cores} threads")
}

/// The middle value.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
