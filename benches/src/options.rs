//! The options that benches share, and what is done with what they measured.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;

use crate::instances::own_copies;
use crate::measure::machine;
use crate::table::{Table, write_section};

/// What the command line asks of a bench.
pub struct Options {
    json: Option<PathBuf>,
    write: bool,
    /// Fewer efforts and repetitions.
    pub quick: bool,
    /// Only cases whose name contains this.
    pub only: String,
    /// Steps to spend, where one number is asked for.
    pub effort: Option<u64>,
    /// Steps to spend, one run for each.
    pub efforts: Vec<u64>,
    /// Where workloads and offering sets are.
    pub instances: PathBuf,
    /// Offering sets to use; none is the one that belongs to each workload.
    pub sets: Vec<String>,
}

impl Options {
    /// Reads the command line of a bench that knows the options in `known` beside `--json`, `--quick` and `--write`.
    ///
    /// # Errors
    ///
    /// An option that the bench does not know, or one without the value it needs.
    pub fn parse(args: &[String], known: &[&str]) -> anyhow::Result<Self> {
        let mut parsed = Self {
            json: None,
            write: false,
            quick: false,
            only: String::new(),
            effort: None,
            efforts: Vec::new(),
            instances: own_copies(),
            sets: Vec::new(),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().cloned().with_context(|| format!("{arg} needs a value"));
            let steps = |text: &str| {
                text.parse::<u64>().with_context(|| format!("{arg} {text:?}: steps are a whole number, e.g. 100000"))
            };
            match arg.as_str() {
                "--json" => parsed.json = Some(value()?.into()),
                "--quick" => parsed.quick = true,
                "--write" => parsed.write = true,
                other if !known.contains(&other) => bail!("unknown option {other:?}; try --help"),
                "--only" => parsed.only = value()?,
                "--effort" => parsed.effort = Some(steps(&value()?)?),
                "--efforts" => parsed.efforts = value()?.split(',').map(steps).collect::<Result<_, _>>()?,
                "--instances" => parsed.instances = value()?.into(),
                "--sets" => parsed.sets = value()?.split(',').map(str::to_owned).collect(),
                other => bail!("unknown option {other:?}; try --help"),
            }
        }
        Ok(parsed)
    }

    /// Prints the table, and on request keeps the rows as JSON and the table in docs/benchmarks.md under `section`.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn publish<R: Serialize>(&self, section: &str, rows: &[R], table: &Table) -> anyhow::Result<()> {
        let text = format!("Machine: {}. Times: CPU of one thread.\n\n{}", machine(), table.markdown());
        println!("{text}");
        if let Some(file) = &self.json {
            std::fs::write(file, serde_json::to_string_pretty(rows)? + "\n")
                .with_context(|| format!("write {}", file.display()))?;
        }
        if self.write {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
            write_section(&file, section, &text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(args: &[&str]) -> anyhow::Result<Options> {
        let args: Vec<String> = args.iter().map(|&a| a.to_owned()).collect();
        Options::parse(&args, &["--only", "--efforts"])
    }

    #[test]
    fn options_that_a_bench_knows_are_read() {
        let options = parse(&["--quick", "--only", "k8s", "--efforts", "1,25000"]).unwrap();
        assert!(options.quick && options.only == "k8s" && options.efforts == [1, 25_000]);
    }

    #[test]
    fn options_that_it_does_not_know_or_that_lack_a_value_are_errors() {
        for args in [&["--sets", "C3"][..], &["--only"], &["--efforts", "many"], &["--nonsense"]] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }
}
