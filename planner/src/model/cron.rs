//! Cron expressions in UTC, read as `robfig/cron` v3's `ParseStandard` reads them, on plain integer calendar arithmetic.

use serde::{Deserialize, Serialize};

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;
/// How many calendar years ahead a hit is looked for; the reference gives up after as many.
const YEARS_AHEAD: i64 = 5;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const DESCRIPTORS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// When something begins, again and again.
///
/// ```
/// # use planner::model::cron::Cron;
/// let nine_on_weekdays = Cron::parse("0 9 * * mon-fri").unwrap();
/// // Thursday 1 January 1970, 00:00 → 09:00.
/// assert_eq!(nine_on_weekdays.next_after(0), Some(9 * 3600));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cron {
    text: String,
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

/// The values of one field as a bit set, and whether it was a star, which decides how the two day fields are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    bits: u64,
    star: bool,
}

/// Why a text is no cron expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    #[error(
        "\"{0}\" has {1} fields, write five (minute hour day month weekday) or one of @hourly @daily @midnight @weekly @monthly @yearly @annually"
    )]
    Fields(String, usize),
    #[error("\"{0}\" is none of @hourly @daily @midnight @weekly @monthly @yearly @annually")]
    Descriptor(String),
    #[error("\"{part}\" in \"{text}\" is not a number{}, a range, * or ?", names(*.low, *.high))]
    Value { text: String, part: String, low: u32, high: u32 },
    #[error("\"{part}\" in \"{text}\" leaves the range {low}-{high}")]
    Range { text: String, part: String, low: u32, high: u32 },
    #[error("\"{part}\" in \"{text}\" has too many hyphens or slashes")]
    Form { text: String, part: String },
}

fn names(low: u32, high: u32) -> &'static str {
    match (low, high) {
        (1, 12) => " or a month (jan-dec)",
        (0, 6) => " or a weekday (sun-sat)",
        _ => "",
    }
}

/// Bounds of a field, both included, and the names its values may have.
struct Bounds {
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

impl Cron {
    /// Reads five fields or one of the descriptors.
    ///
    /// # Errors
    /// When the reference's parser would refuse the text; `@every` is refused too, since a budget cannot say it.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let trimmed = text.trim();
        let standard = match DESCRIPTORS.iter().find(|(word, _)| *word == trimmed) {
            Some((_, fields)) => fields,
            None if trimmed.starts_with('@') => return Err(CronError::Descriptor(text.into())),
            None => trimmed,
        };
        let fields: Vec<&str> = standard.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(CronError::Fields(text.into(), fields.len()));
        };
        let read = |field: &str, low, high, names| field_of(field, text, &Bounds { low, high, names });
        Ok(Self {
            minute: read(minute, 0, 59, &[])?,
            hour: read(hour, 0, 23, &[])?,
            day: read(day, 1, 31, &[])?,
            month: read(month, 1, 12, &MONTHS)?,
            weekday: read(weekday, 0, 6, &WEEKDAYS)?,
            text: text.into(),
        })
    }

    /// The first hit later than `unix` (seconds since the epoch, UTC); nothing within this and the next five calendar years
    /// for an expression that never hits, such as the 30th of February.
    pub fn next_after(&self, unix: i64) -> Option<i64> {
        let from = unix.checked_add(1)?;
        let (first_year, ..) = civil(from.div_euclid(DAY));
        let mut day = from.div_euclid(DAY);
        let mut earliest = from.rem_euclid(DAY);
        loop {
            let (year, month, day_of_month) = civil(day);
            if year > first_year + YEARS_AHEAD {
                return None;
            }
            let due = self.month.has(month) && self.day_matches(day, day_of_month);
            if let (true, Some(second)) = (due, self.first_at_or_after(earliest)) {
                return Some(day * DAY + second);
            }
            day += 1;
            earliest = 0;
        }
    }

    /// Both day fields must match where one of them is a star; otherwise either may.
    fn day_matches(&self, day: i64, day_of_month: u32) -> bool {
        // 1970-01-01 was a Thursday.
        let weekday = u32::try_from((day + 4).rem_euclid(7)).unwrap_or(0);
        let (by_day, by_weekday) = (self.day.has(day_of_month), self.weekday.has(weekday));
        if self.day.star || self.weekday.star { by_day && by_weekday } else { by_day || by_weekday }
    }

    /// The first hit within a day at or after a second of it.
    fn first_at_or_after(&self, second: i64) -> Option<i64> {
        let minutes = second.div_euclid(MINUTE) + i64::from(second.rem_euclid(MINUTE) > 0);
        (minutes..24 * 60)
            .find(|minute| {
                let (hour, minute) = (u32::try_from(minute / 60), u32::try_from(minute % 60));
                matches!((hour, minute), (Ok(hour), Ok(minute)) if self.hour.has(hour) && self.minute.has(minute))
            })
            .map(|minute| minute * MINUTE)
    }
}

impl Field {
    fn has(self, value: u32) -> bool {
        self.bits >> value & 1 == 1
    }
}

/// A list of ranges; empty pieces between commas are skipped.
fn field_of(field: &str, text: &str, bounds: &Bounds) -> Result<Field, CronError> {
    let mut out = Field { bits: 0, star: false };
    for part in field.split(',').filter(|part| !part.is_empty()) {
        let range = range_of(part, text, bounds)?;
        out = Field { bits: out.bits | range.bits, star: out.star || range.star };
    }
    Ok(out)
}

/// `*`, `?`, `a`, `a-b`, each perhaps with `/step`. `a/step` runs to the end of the range; a step above one makes a star no star.
fn range_of(part: &str, text: &str, bounds: &Bounds) -> Result<Field, CronError> {
    let &Bounds { low, high, names } = bounds;
    let form = || CronError::Form { text: text.into(), part: part.into() };
    let value = |word: &str| {
        let lower = word.to_lowercase();
        let named = names.iter().position(|name| *name == lower).and_then(|at| u32::try_from(at).ok());
        let number =
            || number(word).ok_or_else(|| CronError::Value { text: text.into(), part: part.into(), low, high });
        named.map_or_else(number, |at| Ok(at + low))
    };
    let mut slashes = part.split('/');
    let (range, step, more) = (slashes.next().unwrap_or_default(), slashes.next(), slashes.next());
    let mut hyphens = range.split('-');
    let (first, last, beyond) = (hyphens.next().unwrap_or_default(), hyphens.next(), hyphens.next());
    let mut star = first == "*" || first == "?";
    let (start, mut end) = if star {
        (low, high)
    } else {
        let start = value(first)?;
        let end = last.map_or(Ok(start), &value)?;
        if beyond.is_some() {
            return Err(form());
        }
        (start, end)
    };
    if more.is_some() {
        return Err(form());
    }
    let step = step.map_or(Ok(None), |step| {
        number(step).map(Some).ok_or_else(|| CronError::Value { text: text.into(), part: part.into(), low, high })
    })?;
    if step.is_some() && last.is_none() {
        end = high;
    }
    let step = step.unwrap_or(1);
    if start < low || end > high || start > end || step == 0 {
        return Err(CronError::Range { text: text.into(), part: part.into(), low, high });
    }
    star &= step == 1;
    let bits = (start..=end).step_by(step as usize).fold(0, |bits, value| bits | 1 << value);
    Ok(Field { bits, star })
}

/// Digits, perhaps after a plus.
fn number(word: &str) -> Option<u32> {
    word.parse().ok()
}

/// (year, month 1–12, day 1–31) of a day counted from 1970-01-01 in the proleptic Gregorian calendar. Years are taken to begin
/// in March, so that the leap day is the last of its year (Hinnant, "chrono-compatible low-level date algorithms").
fn civil(day: i64) -> (i64, u32, u32) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, u32::try_from(month).unwrap_or(0), u32::try_from(day_of_month).unwrap_or(0))
}

impl TryFrom<String> for Cron {
    type Error = CronError;
    fn try_from(text: String) -> Result<Self, CronError> {
        Self::parse(&text)
    }
}

impl From<Cron> for String {
    fn from(cron: Cron) -> Self {
        cron.text
    }
}

impl std::fmt::Display for Cron {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
#[path = "cron_tests.rs"]
mod tests;
