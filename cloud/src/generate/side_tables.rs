//! Reads the two tables that no API gives: bandwidth by EC2's documentation, branch interfaces by the VPC resource
//! controller's source.

use std::collections::BTreeMap;

use super::GenerateError;

/// Mbit/s by type, from CSV with a first line that names the columns `instance_type,baseline_megabits`.
///
/// # Errors
/// Names the line.
pub fn network_bandwidth(csv: &str) -> Result<BTreeMap<String, i64>, GenerateError> {
    let rows = rows("network bandwidth", csv, ["instance_type", "baseline_megabits"])?;
    rows.into_iter().map(|(line, [name, mbps])| Ok((name.into(), number("network bandwidth", line, mbps)?))).collect()
}

/// Branch interfaces by type, from CSV with the columns `instance_type`, `trunking` (0 or 1) and `branch_enis` among
/// others. Types that take no trunk have none.
///
/// # Errors
/// Names the line.
pub fn vpc_limits(csv: &str) -> Result<BTreeMap<String, i64>, GenerateError> {
    let rows = rows("VPC limits", csv, ["instance_type", "trunking", "branch_enis"])?;
    let trunks = rows.into_iter().filter(|(_, [_, trunking, _])| *trunking == "1");
    trunks.map(|(line, [name, _, enis])| Ok((name.into(), number("VPC limits", line, enis)?))).collect()
}

/// The columns asked for, with line numbers.
fn rows<'a, const N: usize>(
    what: &'static str,
    csv: &'a str,
    columns: [&str; N],
) -> Result<Vec<(usize, [&'a str; N])>, GenerateError> {
    let mut lines = csv.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let header: Vec<&str> = lines.next().map_or_else(Vec::new, |(_, line)| line.split(',').collect());
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(columns) {
        let missing = || GenerateError::Line { what, line: 1, reason: format!("no column {column}") };
        *place = header.iter().position(|name| *name == column).ok_or_else(missing)?;
    }
    let mut rows = Vec::new();
    for (line, text) in lines.filter(|(_, text)| !text.is_empty()) {
        let fields: Vec<&str> = text.split(',').collect();
        if fields.len() != header.len() {
            return Err(GenerateError::Line { what, line, reason: format!("{} fields", fields.len()) });
        }
        rows.push((line, places.map(|at| fields[at])));
    }
    Ok(rows)
}

fn number(what: &'static str, line: usize, text: &str) -> Result<i64, GenerateError> {
    text.parse().map_err(|_| GenerateError::Line { what, line, reason: format!("\"{text}\" is no number") })
}
