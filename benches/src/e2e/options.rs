//! The command line of `bench e2e`.

use std::path::PathBuf;

use anyhow::{Context, bail};

/// What the controller is put through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// 1,000 pods of two sizes; then 700; then none.
    Basic,
    /// 5,120 pods in 20 Deployments, half of them spread over zones, two with one pod per host.
    Wide,
    /// 15,000 pods that fit nowhere, with little memory; then one small pod that does.
    Stuck,
    /// 1,000 nodes up and down again, with the controller killed in the middle of both.
    Crash,
}

impl Scenario {
    pub const ALL: [Self; 4] = [Self::Basic, Self::Wide, Self::Stuck, Self::Crash];

    pub fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Wide => "wide",
            Self::Stuck => "stuck",
            Self::Crash => "crash",
        }
    }
}

#[derive(Debug)]
pub struct Options {
    pub scenarios: Vec<Scenario>,
    pub json: Option<PathBuf>,
    pub write: bool,
    /// A tenth of the pods.
    pub quick: bool,
    /// Nodes open as they come, and no pod is nominated: what enforcing placement is measured against.
    pub loose: bool,
    /// Folder that logs of controllers are kept in.
    pub logs: Option<PathBuf>,
}

impl Options {
    pub fn parse(args: &[String]) -> anyhow::Result<Self> {
        let mut options =
            Self { scenarios: Vec::new(), json: None, write: false, quick: false, loose: false, logs: None };
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            match arg.as_str() {
                "--scenario" => {
                    let name = rest.next().context("--scenario needs a name")?;
                    let known = Scenario::ALL.into_iter().find(|scenario| scenario.name() == name);
                    options.scenarios.push(known.with_context(|| {
                        format!("there is no scenario {name:?}; there are basic, wide, stuck and crash")
                    })?);
                }
                "--json" => options.json = Some(rest.next().context("--json needs a file")?.into()),
                "--write" => options.write = true,
                "--quick" => options.quick = true,
                "--loose" => options.loose = true,
                "--logs" => options.logs = Some(rest.next().context("--logs needs a folder")?.into()),
                other => bail!("unknown option {other:?}"),
            }
        }
        if options.scenarios.is_empty() {
            options.scenarios = Scenario::ALL.to_vec();
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> anyhow::Result<Options> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn all_scenarios_are_run_unless_some_are_named() {
        assert_eq!(parsed("--quick").unwrap().scenarios, Scenario::ALL);
        let some = parsed("--scenario wide --scenario crash").unwrap();
        assert_eq!(some.scenarios, [Scenario::Wide, Scenario::Crash]);
    }

    #[test]
    fn a_scenario_that_does_not_exist_is_named() {
        assert!(parsed("--scenario huge").unwrap_err().to_string().contains("huge"));
    }
}
