//! Texts and numbers against a schema.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::Regex;
use serde_json::Value;

use super::nearest::nearest;

/// A message and its remedy; the place is the caller's.
pub(super) type Complaint = (String, String);

/// What is wrong with a text.
pub(super) fn text(schema: &Value, text: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let length = text.chars().count();
    let bound = |name: &str| schema.get(name).and_then(Value::as_u64).and_then(|bound| usize::try_from(bound).ok());
    if let Some(max) = bound("maxLength").filter(|max| length > *max) {
        complaints.push((format!("{} has {length} characters", quoted(text)), format!("write at most {max}")));
    }
    if let Some(min) = bound("minLength").filter(|min| length < *min) {
        complaints.push((format!("{} has {length} characters", quoted(text)), format!("write at least {min}")));
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && !matches(pattern, text)
    {
        complaints.push((format!("{} has a form that is not allowed", quoted(text)), format!("write it as {pattern}")));
    }
    if schema.get("format").and_then(Value::as_str) == Some("date-time") && !is_time(text) {
        complaints.push((format!("{} is no time", quoted(text)), "write it like 2026-01-31T12:00:00Z".to_owned()));
    }
    complaints
}

/// A time of RFC 3339 on a day that the calendar has.
fn is_time(text: &str) -> bool {
    let number = |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse::<u32>().ok());
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(5..7), number(8..10)) else { return false };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    day <= last && matches(RFC_3339, text)
}

const RFC_3339: &str = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$";

/// What is wrong with a number whose type is right.
pub(super) fn number(schema: &Value, number: &serde_json::Number) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let value = number.as_f64().unwrap_or(f64::NAN);
    let bound = |name: &str| schema.get(name).filter(|bound| bound.is_number());
    let is_exclusive = |name: &str| schema.get(name).and_then(Value::as_bool).unwrap_or_default();
    if let Some(max) = bound("maximum") {
        let max_value = max.as_f64().unwrap_or(f64::NAN);
        if value > max_value {
            complaints.push((format!("{number} is too large"), format!("write at most {max}")));
        } else if is_exclusive("exclusiveMaximum") && value >= max_value {
            complaints.push((format!("{number} is too large"), format!("write less than {max}")));
        }
    }
    if let Some(min) = bound("minimum") {
        let min_value = min.as_f64().unwrap_or(f64::NAN);
        if value < min_value {
            complaints.push((format!("{number} is too small"), format!("write at least {min}")));
        } else if is_exclusive("exclusiveMinimum") && value <= min_value {
            complaints.push((format!("{number} is too small"), format!("write more than {min}")));
        }
    }
    if let Some(step) = bound("multipleOf").filter(|step| value % step.as_f64().unwrap_or(f64::NAN) != 0.0) {
        complaints.push((format!("{number} is no multiple of {step}"), format!("write a multiple of {step}")));
    }
    let is_int32 = number.as_i64().is_some_and(|value| i32::try_from(value).is_ok());
    match schema.get("format").and_then(Value::as_str) {
        Some("int32") if !is_int32 => {
            complaints.push((format!("{number} is out of range"), "write a number of at most 32 bits".to_owned()));
        }
        Some("int64") if number.as_i64().is_none() => {
            complaints.push((format!("{number} is out of range"), "write a number of at most 64 bits".to_owned()));
        }
        _ => {}
    }
    complaints
}

/// Whether the value is one of those that the schema lists.
pub(super) fn enumerated(schema: &Value, value: &Value) -> Option<Complaint> {
    let allowed = schema.get("enum").and_then(Value::as_array)?;
    if allowed.contains(value) {
        return None;
    }
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let meant = value.as_str().and_then(|text| nearest(text, allowed.iter().filter_map(Value::as_str)));
    let remedy = match meant {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("write one of {}", allowed.iter().map(shown).collect::<Vec<_>>().join(", ")),
    };
    Some((format!("{} is not allowed", excerpt(&value.to_string())), remedy))
}

/// A value in a message: long ones are cut.
pub(crate) fn excerpt(text: &str) -> String {
    const MOST: usize = 80;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    format!("{}…", text.chars().take(MOST).collect::<String>())
}

fn quoted(text: &str) -> String {
    format!("{:?}", excerpt(text))
}

/// Patterns that were compiled once; None for those that are no regular expressions, which forbid nothing.
static PATTERNS: LazyLock<Mutex<BTreeMap<String, Option<Regex>>>> = LazyLock::new(Mutex::default);

/// How many patterns are remembered. All CRDs and core kinds together have fewer than a hundred.
const MAX_PATTERNS: usize = 1_000;

fn matches(pattern: &str, text: &str) -> bool {
    let mut patterns = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    if !patterns.contains_key(pattern) {
        if patterns.len() >= MAX_PATTERNS {
            patterns.clear();
        }
        patterns.insert(pattern.to_owned(), Regex::new(&ascii_classes(pattern)).ok());
    }
    patterns.get(pattern).and_then(Option::as_ref).is_none_or(|regex| regex.is_match(text))
}

/// The pattern with `\d`, `\s` and `\w` spelt out, as they mean ASCII in Go and all of Unicode here.
fn ascii_classes(pattern: &str) -> String {
    let mut spelt = String::with_capacity(pattern.len());
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            spelt.push(letter);
            continue;
        }
        match letters.next() {
            Some('d') => spelt.push_str("[0-9]"),
            Some('s') => spelt.push_str(r"[\t\n\f\r ]"),
            Some('w') => spelt.push_str("[0-9A-Za-z_]"),
            Some(other) => spelt.extend(['\\', other]),
            None => spelt.push('\\'),
        }
    }
    spelt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        assert!(matches(r"^\d+$", "12"));
        assert!(!matches(r"^\d+$", "\u{0663}"), "an Arabic three is no digit");
        assert!(matches(r"^[\d.]+$", "1.2"));
        assert!(matches(r"^a(\/)b$", "a/b"));
        assert!(matches("(", "what cannot be compiled forbids nothing"));
        assert!(matches("b", "abc"), "not anchored");
    }

    #[test]
    fn times_are_told_from_other_text() {
        for good in ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.123+02:00", "2024-02-29T00:00:00Z"] {
            assert!(is_time(good), "{good}");
        }
        for bad in [
            "2026-01-31",
            "2026-13-31T12:00:00Z",
            "2026-01-31T24:00:00Z",
            "now",
            "2026-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
        ] {
            assert!(!is_time(bad), "{bad}");
        }
    }
}
