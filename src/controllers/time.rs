//! Times as the API writes them, and the seconds that steps count in.

use crds::Span;
use jiff::Timestamp;

/// Seconds since the epoch of an RFC 3339 text; None if it is none.
pub fn seconds(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

/// RFC 3339 in UTC with whole seconds. Beyond the years that can be written, the nearest that can.
pub fn text(seconds: i64) -> String {
    let edge = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    let whole = Timestamp::from_second(seconds).unwrap_or(edge);
    whole.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A duration of the API in whole seconds, rounded up; None for `Never` and for text that is no duration.
pub fn span(duration: &crds::Duration) -> Option<i64> {
    match duration.span()? {
        Span::Never => None,
        Span::Nanos(nanos) => Some(nanos.div_euclid(NANOS) + i64::from(nanos.rem_euclid(NANOS) > 0)),
    }
}

const NANOS: i64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for (at, written) in [(0, "1970-01-01T00:00:00Z"), (1_764_129_600, "2025-11-26T04:00:00Z")] {
            assert_eq!(text(at), written);
            assert_eq!(seconds(written), Some(at));
        }
        assert_eq!(seconds("2025-11-26T05:00:00.9+01:00"), Some(1_764_129_600));
        assert_eq!(seconds("soon"), None);
    }

    #[test]
    fn durations_count_in_seconds_begun() {
        for (written, expected) in
            [("0s", Some(0)), ("30s", Some(30)), ("1ms", Some(1)), ("1h", Some(3600)), ("Never", None), ("x", None)]
        {
            assert_eq!(span(&written.into()), expected, "{written}");
        }
    }
}
