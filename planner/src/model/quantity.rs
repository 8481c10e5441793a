//! Kubernetes quantities: exact parsing and canonical printing, as `apimachinery`'s `resource.Quantity` defines them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANO: i128 = 1_000_000_000;
/// The API server caps every quantity here (2^63 − 1 whole units).
const MOST: i128 = i64::MAX as i128 * NANO;

/// How a quantity was written, which decides how it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// `m`, none, `k`, `M`, …: powers of ten.
    DecimalSi,
    /// `Ki`, `Mi`, …: powers of 1024.
    BinarySi,
    /// `e3`, `E6`: powers of ten as an exponent.
    DecimalExponent,
}

/// An exact amount in billionths of a unit, at most 2^63 − 1 units either way; finer digits are rounded away from zero.
///
/// ```
/// # use planner::model::Quantity;
/// assert_eq!(Quantity::parse("1.5Gi").unwrap().to_string(), "1536Mi");
/// assert_eq!(Quantity::parse("0.1").unwrap().to_string(), "100m");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nano: i128,
    format: Format,
}

/// Why a text is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The number part is missing or malformed.
    #[error("\"{0}\" is not a quantity: write a number such as 2, 0.5, 500m, 512Mi or 1e3")]
    Malformed(String),
    /// The suffix is none of Kubernetes'.
    #[error(
        "\"{0}\" is not a quantity: unknown suffix \"{1}\", use one of n u m k M G T P E Ki Mi Gi Ti Pi Ei or an exponent"
    )]
    Suffix(String, String),
}

impl Quantity {
    /// Zero.
    pub const ZERO: Self = Self { nano: 0, format: Format::DecimalSi };

    /// Parses the text form.
    ///
    /// # Errors
    /// When the API server would refuse the text.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let malformed = || QuantityError::Malformed(shown(text));
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(malformed());
        }
        let (multiplier, format) = scale(suffix).ok_or_else(|| QuantityError::Suffix(shown(text), shown(suffix)))?;
        let nano = exact(whole, fraction, multiplier);
        Ok(Self { nano: if negative { -nano } else { nano }, format })
    }

    /// Whole units, printed with powers of 1024 (`binary`) or of ten.
    pub fn units(units: i64, binary: bool) -> Self {
        Self { nano: i128::from(units) * NANO, format: if binary { Format::BinarySi } else { Format::DecimalSi } }
    }

    /// Thousandths of a unit.
    pub fn milli(milli: i64) -> Self {
        Self { nano: i128::from(milli) * (NANO / 1000), format: Format::DecimalSi }
    }

    /// In units, rounded up as kube-scheduler does.
    pub fn value(self) -> i64 {
        clamp(ceil_div(self.nano, NANO))
    }

    /// In thousandths, rounded up as kube-scheduler does.
    pub fn milli_value(self) -> i64 {
        clamp(ceil_div(self.nano, NANO / 1000))
    }

    /// In billionths, exact.
    pub fn nano(self) -> i128 {
        self.nano
    }

    /// As large as a quantity can be, either way: what was written may have been more.
    pub fn is_capped(self) -> bool {
        self.nano.abs() == MOST
    }

    /// Below zero?
    pub fn is_negative(self) -> bool {
        self.nano < 0
    }

    /// Sum; keeps the format of `self` unless it is zero.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let format = if self.nano == 0 { other.format } else { self.format };
        Self { nano: (self.nano + other.nano).clamp(-MOST, MOST), format }
    }
}

/// The beginning of a text, for a message.
fn shown(text: &str) -> String {
    const MOST_SHOWN: usize = 60;
    let cut: String = text.chars().take(MOST_SHOWN).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { cut }
}

fn ceil_div(a: i128, b: i128) -> i128 {
    let q = a / b;
    if a % b > 0 { q + 1 } else { q }
}

fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// (numerator, denominator) of one unit of the suffix in nano, and the format it selects.
fn scale(suffix: &str) -> Option<((i128, i128), Format)> {
    const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    if let Some(at) = DECIMAL.iter().position(|s| *s == suffix) {
        return Some(((10i128.pow(u32::try_from(at).ok()? * 3), 1), Format::DecimalSi));
    }
    if let Some(at) = BINARY.iter().position(|s| *s == suffix) {
        return Some(((NANO << (10 * (at + 1)), 1), Format::BinarySi));
    }
    let digits = suffix.strip_prefix(['e', 'E'])?;
    let bare = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    if bare.is_empty() || !bare.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // The API server reads 64 bits and refuses longer ones. Past ±64 every value is at the cap, or rounds to one billionth.
    let exponent = i32::try_from(digits.parse::<i64>().ok()?.clamp(-64, 64)).ok()?;
    let shift = exponent + 9;
    let power = 10i128.pow(shift.unsigned_abs().min(28));
    Some((if shift >= 0 { (power, 1) } else { (1, power) }, Format::DecimalExponent))
}

/// `whole.fraction × multiplier` in nano, rounded up, capped.
fn exact(whole: &str, fraction: &str, (numerator, denominator): (i128, i128)) -> i128 {
    let mut total: i128 = 0;
    for digit in whole.bytes() {
        total = (total * 10 + i128::from(digit - b'0')).min(MOST);
    }
    let whole_part = total.saturating_mul(numerator);
    // Fraction digits past the 18th can only round the result up.
    let kept = &fraction[..fraction.len().min(18)];
    let rest_is_zero = fraction[kept.len()..].bytes().all(|b| b == b'0');
    let mut digits: i128 = 0;
    for digit in kept.bytes() {
        digits = digits * 10 + i128::from(digit - b'0');
    }
    let places = 10i128.pow(u32::try_from(kept.len()).unwrap_or(0));
    let (scaled, exact) = match digits.checked_mul(numerator) {
        Some(product) => (product / places, product % places == 0),
        None => ((digits / 1_000_000_000).saturating_mul(numerator) / (places / 1_000_000_000).max(1), false),
    };
    let sum = whole_part.saturating_add(scaled).min(MOST);
    let up = i128::from(!(exact && rest_is_zero));
    (ceil_div(sum, denominator) + if denominator == 1 { up } else { i128::from(sum == 0 && up == 1) }).min(MOST)
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nano == 0 {
            return f.write_str("0");
        }
        let small = self.nano.abs() < 1024 * NANO;
        if self.format == Format::BinarySi && !small && self.nano % NANO == 0 {
            let (mut value, mut at) = (self.nano / NANO, 0);
            while value % 1024 == 0 && at < 6 {
                value /= 1024;
                at += 1;
            }
            return write!(f, "{value}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][at]);
        }
        let (mut value, mut at) = (self.nano, 0usize);
        while value % 1000 == 0 && at < 9 {
            value /= 1000;
            at += 1;
        }
        if self.format == Format::DecimalExponent {
            let exponent = i32::try_from(at).unwrap_or(0) * 3 - 9;
            return if exponent == 0 { write!(f, "{value}") } else { write!(f, "{value}e{exponent}") };
        }
        write!(f, "{value}{}", ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"][at])
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}
impl Eq for Quantity {}
impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.nano.cmp(&other.nano)
    }
}
impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[path = "quantity_tests.rs"]
mod tests;
