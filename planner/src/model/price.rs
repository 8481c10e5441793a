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
