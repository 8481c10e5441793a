//! Durations as the API carries them: Go's text (`720h`, `1h30m`), or `Never`.

use serde::{Deserialize, Serialize};

/// A duration as it was written. Use [`Duration::span`] to read it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Duration(pub String);

/// What a duration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Nanoseconds; at most about 292 years.
    Nanos(i64),
    Never,
}

impl Duration {
    /// What the text says; None if it is neither a Go duration nor `Never`.
    pub fn span(&self) -> Option<Span> {
        if self.0 == "Never" { Some(Span::Never) } else { parse(&self.0).map(Span::Nanos) }
    }

    /// The nanoseconds of a text that may not be `Never`.
    pub fn nanos(&self) -> Option<i64> {
        parse(&self.0)
    }
}

impl From<&str> for Duration {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Nanoseconds of each unit, longest names first where one begins another.
const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration in Go's syntax: an optional sign, then numbers, each with an optional fraction and a unit. A lone
/// `0` needs no unit. Gives nanoseconds.
///
/// Source: `time.ParseDuration` of the Go standard library.
pub fn parse(text: &str) -> Option<i64> {
    let (is_negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(part(number, *nanos)?)?;
        rest = next;
    }
    if is_negative { 0_i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() }
}

/// One number with its unit in nanoseconds; what is below a nanosecond is cut off.
fn part(number: &str, nanos_per_unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let nanos = format!("0{whole}").parse::<u64>().ok()?.checked_mul(nanos_per_unit)?;
    let (mut numerator, mut denominator) = (0_u128, 1_u128);
    for digit in fraction.bytes().take(18) {
        numerator = numerator * 10 + u128::from(digit - b'0');
        denominator *= 10;
    }
    let below = u64::try_from(numerator * u128::from(nanos_per_unit) / denominator).ok()?;
    nanos.checked_add(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read_to_the_nanosecond() {
        let table = [
            ("0", 0),
            ("0s", 0),
            ("720h", 2_592_000_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("-1m", -60_000_000_000),
            ("1ms2us3ns", 1_002_003),
            ("3\u{b5}s", 3_000),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        assert_eq!(Duration::from("Never").span(), Some(Span::Never));
        assert_eq!(Duration::from("5m").span(), Some(Span::Nanos(300_000_000_000)));
    }

    #[test]
    fn text_that_is_no_duration_is_refused() {
        for text in ["", "-", "1", "h", "1d", "1 h", ".s", "1..5s", "never", "9999999999h"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
