//! How long the annotation `karpenter.sh/do-not-disrupt` protects a pod.

use planner::drain::Protection;

/// What the annotation says: `true`, or a Go duration that counts from the pod's start; before it, the pod is protected.
/// What is neither `true` nor a positive duration protects nothing.
pub(crate) fn protection(text: Option<&str>, started: Option<i64>) -> Protection {
    match text {
        None => Protection::None,
        Some("true") => Protection::Forever,
        Some(text) => match crds::duration::parse(text).filter(|nanos| *nanos > 0) {
            None => Protection::None,
            Some(nanos) => started.map_or(Protection::Forever, |started| Protection::Until(end(started, nanos))),
        },
    }
}

/// The first whole second at which so long has passed since the start: the clock is read in whole seconds.
fn end(started: i64, nanos: i64) -> i64 {
    started.saturating_add(-(-nanos).div_euclid(1_000_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protection_is_for_ever_for_a_while_or_not_at_all() {
        for (text, started, expected) in [
            (None, Some(10), Protection::None),
            (Some("true"), None, Protection::Forever),
            (Some("1h"), Some(10), Protection::Until(3610)),
            (Some("1h30m"), Some(10), Protection::Until(5410)),
            (Some("250ms"), Some(10), Protection::Until(11)),
            (Some("3\u{3bc}s"), Some(10), Protection::Until(11)),
            (Some("1h"), None, Protection::Forever),
            (Some("false"), Some(10), Protection::None),
            (Some("0s"), Some(10), Protection::None),
            (Some("-1h"), Some(10), Protection::None),
            (Some("1d"), Some(10), Protection::None),
            (Some("soon"), Some(10), Protection::None),
            // More than Go's 292 years: no duration to Karpenter.
            (Some("3000000h"), Some(10), Protection::None),
        ] {
            assert_eq!(protection(text, started), expected, "{text:?}");
        }
    }
}
