//! Times as the API writes them.

use jiff::Timestamp;

/// Seconds since the Unix epoch of an RFC 3339 time; 0 when there is none or it cannot be read.
pub(crate) fn epoch(text: Option<&str>) -> i64 {
    text.and_then(|text| text.parse::<Timestamp>().ok()).map_or(0, Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_in_any_zone() {
        assert_eq!(epoch(Some("1970-01-01T01:00:00+01:00")), 0);
        assert_eq!(epoch(Some("2026-01-02T00:00:00Z")), 1_767_312_000);
        assert_eq!(epoch(Some("yesterday")), 0);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9TZ:.+-]{0,30}|.{0,12}") {
            let _ = epoch(Some(&text));
        }
    }
}
