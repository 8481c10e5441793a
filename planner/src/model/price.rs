//! Money per hour, exact.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// Millionths of a US dollar per hour. Never negative for a price; differences may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroUsdPerHour(pub i64);

impl MicroUsdPerHour {
    /// Reads a decimal such as `0.0416` (up to 18 digits after the point; rounded to the nearest millionth).
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
            return None;
        }
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let padded: String = fraction.chars().chain("0000000".chars()).take(7).collect();
        let seven: i64 = padded.parse().ok()?;
        whole.checked_mul(1_000_000)?.checked_add((seven + 5) / 10).map(Self)
    }
}

impl fmt::Display for MicroUsdPerHour {
    /// Decimal dollars with four to six decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, micro) = if self.0 < 0 { ("-", self.0.unsigned_abs()) } else { ("", self.0.unsigned_abs()) };
        let text = format!("{sign}{}.{:06}", micro / 1_000_000, micro % 1_000_000);
        let spare = text.bytes().rev().take(2).take_while(|b| *b == b'0').count();
        f.pad(&text[..text.len() - spare])
    }
}

impl Add for MicroUsdPerHour {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}
impl Sub for MicroUsdPerHour {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}
impl Sum for MicroUsdPerHour {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self(0), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_read_to_the_nearest_millionth() {
        for (text, micro) in [
            ("0.0416", 41_600),
            ("1", 1_000_000),
            (".5", 500_000),
            ("2.", 2_000_000),
            ("0.0000004", 0),
            ("0.0000005", 1),
            (" 0.10 ", 100_000),
            ("0.123456789012345678", 123_457),
            ("0.9999999", 1_000_000),
        ] {
            assert_eq!(MicroUsdPerHour::parse(text), Some(MicroUsdPerHour(micro)), "{text}");
        }
        for text in ["", ".", "-1", "+1", "1e3", "1,5", "$1", "0x1", "1 0", "99999999999999999999"] {
            assert_eq!(MicroUsdPerHour::parse(text), None, "{text}");
        }
    }

    #[test]
    fn money_is_printed_with_four_to_six_decimals() {
        for (micro, text) in [
            (0, "0.0000"),
            (1, "0.000001"),
            (10, "0.00001"),
            (100, "0.0001"),
            (41_600, "0.0416"),
            (1_234_567, "1.234567"),
            (-130_000, "-0.1300"),
            (12_000_000, "12.0000"),
        ] {
            assert_eq!(MicroUsdPerHour(micro).to_string(), text);
        }
        assert_eq!(format!("{:>8}", MicroUsdPerHour(100_000)), "  0.1000");
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(micro in 0i64..i64::MAX / 2) {
            prop_assert_eq!(MicroUsdPerHour::parse(&MicroUsdPerHour(micro).to_string()), Some(MicroUsdPerHour(micro)));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = MicroUsdPerHour::parse(&text);
        }
    }
}
