//! Times and durations as the API writes them.

use jiff::Timestamp;

/// Seconds since the Unix epoch of an RFC 3339 time; 0 when there is none or it cannot be read.
pub(crate) fn epoch(text: Option<&str>) -> i64 {
    text.and_then(|text| text.parse::<Timestamp>().ok()).map_or(0, Timestamp::as_second)
}

/// Seconds of a Go duration such as `1h30m`, rounded up; `None` unless it is one and positive.
pub(super) fn go_seconds(text: &str) -> Option<i64> {
    const UNITS: [(&str, i128); 7] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut nanos: i128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || whole.len() > 15 || fraction.contains('.') {
            return None;
        }
        let digits: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        nanos += digits * scale;
        let kept = &fraction[..fraction.len().min(9)];
        if !kept.is_empty() {
            nanos += kept.parse::<i128>().ok()? * scale / 10i128.pow(u32::try_from(kept.len()).ok()?);
        }
        rest = after;
    }
    (nanos > 0).then(|| i64::try_from((nanos + 999_999_999) / 1_000_000_000).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn go_durations_are_read() {
        assert_eq!(go_seconds("1h"), Some(3600));
        assert_eq!(go_seconds("1h30m"), Some(5400));
        assert_eq!(go_seconds("1.5m"), Some(90));
        assert_eq!(go_seconds("250ms"), Some(1));
        for wrong in ["", "0s", "-1h", "1", "true", "1d", "h", "1.2.3s"] {
            assert_eq!(go_seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_are_read_in_any_zone() {
        assert_eq!(epoch(Some("1970-01-01T01:00:00+01:00")), 0);
        assert_eq!(epoch(Some("2026-01-02T00:00:00Z")), 1_767_312_000);
        assert_eq!(epoch(Some("yesterday")), 0);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9hmsnuµ.+-]{0,30}|.{0,12}") {
            let _ = (go_seconds(&text), epoch(Some(&text)));
        }
    }
}
