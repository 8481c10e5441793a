//! Disruption budgets: amounts, schedules and durations that cannot be, and budgets that forbid everything for ever.

use serde_json::Value;

use super::{Finding, Level, Mistake, Subject};
use crate::observe::{Observed, Sourced};

/// Mistakes in the budgets of every pool.
pub fn findings(observed: &Observed) -> Vec<Finding> {
    let pools = observed.objects.custom.iter().filter(|(kind, _)| *kind == "NodePool");
    pools.flat_map(|(_, source)| of_pool(source)).collect()
}

fn of_pool(source: &Sourced<Value>) -> Vec<Finding> {
    let name = source.object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let subject = Subject { kind: "NodePool", name, origin: &source.origin };
    let budgets = source.object.pointer("/spec/disruption/budgets").and_then(Value::as_array);
    let each = budgets.into_iter().flatten().enumerate();
    each.flat_map(|(at, budget)| of_budget(subject, &format!("spec.disruption.budgets[{at}]"), budget)).collect()
}

fn of_budget(subject: Subject<'_>, field: &str, budget: &Value) -> Vec<Finding> {
    let mut out = Vec::new();
    let text = |key: &str| budget.get(key).and_then(Value::as_str);
    let mut wrong = |key: &str, message: String, remedy: &str| {
        let field = format!("{field}.{key}");
        out.push(subject.finding(Level::Error, Mistake::InvalidBudget, field, message, remedy));
    };
    let nodes = text("nodes").unwrap_or("10%");
    if !amount(nodes) {
        wrong(
            "nodes",
            format!("\"{nodes}\" is no amount"),
            "write a whole number of nodes, or a share from 0% to 100%",
        );
    }
    let (schedule, duration) = (text("schedule"), text("duration"));
    if let Some(schedule) = schedule {
        if let Err(why) = cron(schedule) {
            wrong(
                "schedule",
                format!("\"{schedule}\": {why}"),
                "write five fields, such as 0 9 * * mon-fri, or @daily",
            );
        }
        if duration.is_none() {
            wrong("duration", "a schedule needs a duration".into(), "write how long it lasts, such as 8h");
        }
    }
    if let Some(duration) = duration {
        if !hours_and_minutes(duration) {
            wrong("duration", format!("\"{duration}\" is no duration"), "write hours and minutes, such as 8h or 1h30m");
        }
        if schedule.is_none() {
            wrong("schedule", "a duration needs a schedule".into(), "write when it begins, such as 0 22 * * *");
        }
    }
    let nothing = nodes == "0" || nodes == "0%";
    if nothing && schedule.is_none() && duration.is_none() && budget.get("reasons").is_none() {
        let message = "allows no disruption, ever: drift and consolidation never happen";
        let remedy = "add a schedule and a duration, or reasons";
        out.push(subject.finding(Level::Warning, Mistake::BudgetBlocksAlways, field, message, remedy));
    }
    out
}

fn amount(text: &str) -> bool {
    match text.strip_suffix('%') {
        Some(share) => share.parse::<u8>().is_ok_and(|share| share <= 100) && !share.starts_with('+'),
        None => text.parse::<u32>().is_ok() && !text.starts_with('+'),
    }
}

fn hours_and_minutes(text: &str) -> bool {
    let mut rest = text;
    let mut parts = 0;
    while let Some(end) = rest.find(|c: char| !c.is_ascii_digit()) {
        let unit = rest[end..].chars().next();
        if end == 0 || !matches!(unit, Some('h' | 'm' | 's')) {
            return false;
        }
        // The API takes seconds only where they are none.
        if unit == Some('s') && rest[..end].bytes().any(|b| b != b'0') {
            return false;
        }
        rest = &rest[end + 1..];
        parts += 1;
    }
    parts > 0 && rest.is_empty()
}

/// Fields of a cron line: name, least, most, names of values from the least on.
const FIELDS: [(&str, u32, u32, &[&str]); 5] = [
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("day of month", 1, 31, &[]),
    ("month", 1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    ("day of week", 0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

const MACROS: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// Is it a cron line in UTC, as Karpenter reads it?
fn cron(text: &str) -> Result<(), String> {
    if text.starts_with('@') {
        return if MACROS.contains(&text) { Ok(()) } else { Err(format!("known are {}", MACROS.join(", "))) };
    }
    if text.contains("TZ=") {
        return Err("a time zone cannot be set, times are UTC".into());
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(format!("{} fields where there must be five", fields.len()));
    }
    for (field, (name, least, most, names)) in fields.iter().zip(FIELDS) {
        for part in field.split(',') {
            if !range(part, least, most, names) {
                return Err(format!("{name} \"{part}\" is not within {least}-{most}"));
            }
        }
    }
    Ok(())
}

/// `*`, `5`, `1-5`, `mon-fri`, each with `/step`.
fn range(part: &str, least: u32, most: u32, names: &[&str]) -> bool {
    let (span, step) = part.split_once('/').map_or((part, None), |(span, step)| (span, Some(step)));
    if step.is_some_and(|step| !step.parse::<u32>().is_ok_and(|step| step > 0)) {
        return false;
    }
    if span == "*" || span == "?" {
        return true;
    }
    let value = |text: &str| {
        let lower = text.to_lowercase();
        let named =
            names.iter().position(|name| *name == lower).and_then(|at| u32::try_from(at).ok()).map(|at| at + least);
        named.or_else(|| text.parse().ok()).filter(|value| (least..=most).contains(value))
    };
    match span.split_once('-') {
        Some((from, to)) => matches!((value(from), value(to)), (Some(from), Some(to)) if from <= to),
        None => value(span).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cron_lines_are_told_from_nonsense() {
        for good in ["0 9 * * mon-fri", "*/15 0-6,20-23 1 jan sun", "@daily", "0 0 31 12 6"] {
            assert_eq!(cron(good), Ok(()), "{good}");
        }
        for bad in [
            "0 24 * * *",
            "* * * *",
            "@often",
            "60 * * * *",
            "0 0 0 * *",
            "0 9 * * fri-mon",
            "*/0 * * * *",
            "CRON_TZ=UTC 0 9 * * *",
        ] {
            assert!(cron(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn amounts_and_durations_are_read_as_the_api_does() {
        assert!(amount("0") && amount("10") && amount("100%"));
        assert!(!amount("101%") && !amount("-1") && !amount("ten") && !amount("+5"));
        assert!(hours_and_minutes("8h") && hours_and_minutes("1h30m") && hours_and_minutes("10m0s"));
        assert!(
            !hours_and_minutes("8") && !hours_and_minutes("90s") && !hours_and_minutes("1d") && !hours_and_minutes("")
        );
    }
}
