//! Quantities as the API carries them: text, kept as it was written, with Kubernetes' canonical form on request.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// A resource quantity such as `1500m` or `16Gi`. The text is kept, right or wrong; a bare number in the input is kept
/// as its decimal text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Quantity(pub String);

impl Quantity {
    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The one text that Kubernetes prints for this value: the largest suffix of the same family that leaves a whole
    /// number. None for text that is no quantity, or one beyond 10^29 units.
    ///
    /// Source: `resource.Quantity` in apimachinery, "Before serializing, Quantity will be put in canonical form".
    pub fn canonical(&self) -> Option<String> {
        let Parsed { nanos, family } = parse(&self.0)?;
        Some(match family {
            Family::Binary if nanos.unsigned_abs() >= 1024 * NANOS_PER_UNIT.unsigned_abs() => print_binary(nanos),
            Family::Exponent => print_decimal(nanos, EXPONENTS),
            Family::Binary | Family::Decimal => print_decimal(nanos, DECIMALS),
        })
    }
}

impl From<&str> for Quantity {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Visitor)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Quantity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a quantity: text such as 500m or 2Gi, or a number")
    }

    fn visit_str<E>(self, text: &str) -> Result<Quantity, E> {
        Ok(text.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Quantity, E> {
        Ok(Quantity(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Quantity, E> {
        Ok(Quantity(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Quantity, E> {
        Ok(Quantity(number.to_string()))
    }
}

const NANOS_PER_UNIT: i128 = 1_000_000_000;

/// Which suffixes a quantity was written with; its canonical form keeps to them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Family {
    Decimal,
    Binary,
    Exponent,
}

/// A value in 10^-9 units, rounded away from zero.
struct Parsed {
    nanos: i128,
    family: Family,
}

/// Suffix and its power of ten, largest first.
const DECIMALS: &[(&str, u32)] =
    &[("E", 27), ("P", 24), ("T", 21), ("G", 18), ("M", 15), ("k", 12), ("", 9), ("m", 6), ("u", 3), ("n", 0)];
const EXPONENTS: &[(&str, u32)] = &[
    ("e18", 27),
    ("e15", 24),
    ("e12", 21),
    ("e9", 18),
    ("e6", 15),
    ("e3", 12),
    ("", 9),
    ("e-3", 6),
    ("e-6", 3),
    ("e-9", 0),
];
/// Suffix and its power of 1024, smallest first.
const BINARIES: &[&str] = &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

fn parse(text: &str) -> Option<Parsed> {
    let (is_negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let (factor, power, family) = scale(suffix)?;
    // value = digits × factor × 10^(power − fraction digits), wanted in nanos.
    let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let exponent = power + 9 - i32::try_from(fraction.len()).ok()?;
    let scaled = digits.checked_mul(factor)?;
    let nanos = if exponent >= 0 {
        scaled.checked_mul(10_i128.checked_pow(exponent.unsigned_abs())?)?
    } else {
        match 10_i128.checked_pow(exponent.unsigned_abs()) {
            Some(divisor) => scaled / divisor + i128::from(scaled % divisor != 0),
            None => i128::from(scaled != 0),
        }
    };
    Some(Parsed { nanos: if is_negative { -nanos } else { nanos }, family })
}

/// A suffix as a factor, a power of ten beside it, and its family.
fn scale(suffix: &str) -> Option<(i128, i32, Family)> {
    if let Some(place) = BINARIES.iter().skip(1).position(|&binary| binary == suffix) {
        return Some((1024_i128.pow(u32::try_from(place).ok()? + 1), 0, Family::Binary));
    }
    if let Some((_, power)) = DECIMALS.iter().find(|(decimal, _)| *decimal == suffix) {
        return Some((1, i32::try_from(*power).ok()? - 9, Family::Decimal));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    Some((1, exponent.parse().ok()?, Family::Exponent))
}

fn print_decimal(nanos: i128, suffixes: &[(&str, u32)]) -> String {
    let fitting = suffixes.iter().find(|(_, power)| nanos != 0 && nanos % 10_i128.pow(*power) == 0);
    fitting.map_or_else(|| "0".to_owned(), |(suffix, power)| format!("{}{suffix}", nanos / 10_i128.pow(*power)))
}

fn print_binary(nanos: i128) -> String {
    let away_from_zero = if nanos % NANOS_PER_UNIT == 0 { 0 } else { nanos.signum() };
    let mut units = nanos / NANOS_PER_UNIT + away_from_zero;
    let mut suffix = "";
    for larger in &BINARIES[1..] {
        if units % 1024 != 0 {
            break;
        }
        units /= 1024;
        suffix = larger;
    }
    format!("{units}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Option<String> {
        Quantity::from(text).canonical()
    }

    #[test]
    fn the_canonical_form_has_the_largest_whole_suffix_of_its_family() {
        let table = [
            ("1500m", "1500m"),
            ("1000m", "1"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("1.", "1"),
            ("+2", "2"),
            ("-1500m", "-1500m"),
            ("1000G", "1T"),
            ("2G", "2G"),
            ("20Gi", "20Gi"),
            ("1024Gi", "1Ti"),
            ("1.5Gi", "1536Mi"),
            ("59000Gi", "59000Gi"),
            ("0.5Ki", "512"),
            ("1000Ki", "1000Ki"),
            ("12e6", "12e6"),
            ("12000e3", "12e6"),
            ("1E3", "1e3"),
            ("1E", "1E"),
            ("0", "0"),
            ("0Gi", "0"),
            ("0.1n", "1n"),
            ("1.0001Ki", "1025"),
        ];
        for (text, expected) in table {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn text_that_is_no_quantity_has_no_canonical_form() {
        for text in ["", "-", "Gi", "1.2.3", "1K", "one", "1 Gi", "1e", "1e1.5", "1e99"] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_read_as_their_text() {
        let read = |json: &str| serde_json::from_str::<Quantity>(json).unwrap().0;
        assert_eq!(read("4"), "4");
        assert_eq!(read("-4"), "-4");
        assert_eq!(read("0.5"), "0.5");
        assert_eq!(read("\"16Gi\""), "16Gi");
    }
}
