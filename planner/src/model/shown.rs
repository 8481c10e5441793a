//! Amounts in messages. Nothing that is written to an API object comes from here: the canonical form, which shortens
//! 1000 cores to `1k`, is not how people write it.

use std::fmt;

use super::resources::{CPU, Resources, is_bytes, quantity};

/// Powers of 1024 with their suffixes, largest first.
const UNITS: [(&str, i64); 7] =
    [("Ei", 1 << 60), ("Pi", 1 << 50), ("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10), ("", 1)];
/// Longer numbers say less than the same with a larger suffix and two decimals.
const LONG: i64 = 100_000;

/// Which way an amount that takes more than two decimals is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// For what there is at most: so much is there.
    Down,
    /// For what is needed: with so much it would do.
    Up,
}

/// An amount of resource `name`, exactly: cores or thousandths of one, bytes in the largest unit without a remainder,
/// everything else in digits.
pub fn shown(name: &str, amount: i64) -> String {
    if name == CPU {
        return if amount % 1000 == 0 { (amount / 1000).to_string() } else { quantity(name, amount).to_string() };
    }
    let (suffix, size) = if is_bytes(name) { unit_of(amount) } else { ("", 1) };
    format!("{}{suffix}", amount / size)
}

/// An amount beside `asked`, in the unit of which it is shown where that has one.
pub fn shown_beside(name: &str, amount: i64, asked: i64, rounding: Rounding) -> String {
    let (suffix, size) = unit_of(asked);
    if !is_bytes(name) || amount <= 0 {
        return shown(name, amount);
    }
    if size > 1 && amount >= size {
        return in_unit(amount, suffix, size, rounding);
    }
    if amount / unit_of(amount).1 < LONG {
        return shown(name, amount);
    }
    let (suffix, size) = UNITS.into_iter().find(|(_, size)| *size <= amount).unwrap_or(("", 1));
    in_unit(amount, suffix, size, rounding)
}

/// The largest unit of which it is a whole number.
fn unit_of(amount: i64) -> (&'static str, i64) {
    UNITS.into_iter().find(|(_, size)| amount != 0 && amount % size == 0).unwrap_or(("", 1))
}

/// With two decimals at most.
fn in_unit(amount: i64, suffix: &str, size: i64, rounding: Rounding) -> String {
    let (scaled, size) = (i128::from(amount) * 100, i128::from(size));
    let up = i128::from(rounding == Rounding::Up && scaled % size != 0);
    let hundredths = scaled / size + up;
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    format!("{}{suffix}", text.trim_end_matches('0').trim_end_matches('.'))
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, amount)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{name} {}", shown(name, *amount))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_in_the_notation_people_write() {
        let shown =
            Resources::of([("cpu", 1500), ("memory", 3 << 30), ("pods", 7), ("hugepages-2Mi", 4 << 20)]).to_string();
        assert_eq!(shown, "cpu 1500m, hugepages-2Mi 4Mi, memory 3Gi, pods 7");
    }

    #[test]
    fn counts_and_cores_are_written_out() {
        for (name, amount, text) in [
            ("cpu", 1_000_000, "1000"),
            ("cpu", 500_000_000, "500000"),
            ("cpu", 2_000, "2"),
            ("cpu", 255_900, "255900m"),
            ("pods", 110_000, "110000"),
            ("nvidia.com/gpu", 1_000, "1000"),
            ("memory", 4 << 30, "4Gi"),
            ("memory", 5000 << 20, "5000Mi"),
            ("memory", 3_000_000_000, "3000000000"),
            ("memory", 0, "0"),
        ] {
            assert_eq!(shown(name, amount), text);
        }
    }

    #[test]
    fn what_there_is_comes_in_the_unit_it_was_asked_for_in() {
        use Rounding::{Down, Up};
        for (amount, asked, rounding, text) in [
            (2_097_142 << 20, 3 << 40, Down, "1.99Ti"),
            (2_097_142 << 20, 3 << 40, Up, "2Ti"),
            (2038 << 20, 5000 << 20, Down, "2038Mi"),
            (2038 << 20, 4 << 30, Down, "1.99Gi"),
            (1536 << 20, 4 << 30, Down, "1.5Gi"),
            // Less than one of the unit, or no unit at all: its own.
            (2038 << 20, 3 << 40, Down, "2038Mi"),
            (7_134_420_993, 3 << 40, Down, "6.64Gi"),
            (7_134_420_993, 3 << 40, Up, "6.65Gi"),
            (2038 << 20, 3_000_000_000, Down, "2038Mi"),
            (0, 3 << 40, Down, "0"),
        ] {
            assert_eq!(shown_beside("memory", amount, asked, rounding), text);
        }
        assert_eq!(shown_beside("cpu", 255_900, 1_000_000, Down), "255900m");
        assert_eq!(shown_beside("nvidia.com/gpu", 0, 1 << 10, Down), "0");
    }
}
