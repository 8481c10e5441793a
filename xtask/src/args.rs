//! The command line, as a closed set of commands.

/// How long a test run may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Property tests try as many cases as they were written for, and end-to-end tests run.
    Full,
    /// Property tests try a few cases each, and nothing needs a control plane.
    Quick,
}

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Test {
        depth: Depth,
    },
    /// The first of `args` is the name of the measurement.
    Bench {
        args: Vec<String>,
    },
    Catalog {
        args: Vec<String>,
    },
    /// Compares the simulated EC2 with somebody else's.
    Moto,
    /// Builds the test control plane, or starts one for people.
    ControlPlane {
        args: Vec<String>,
    },
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// One line for the user when a word is not known.
pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut args = args.into_iter();
    let Some(name) = args.next() else { return Ok(Command::Help) };
    let rest: Vec<String> = args.collect();
    match name.as_str() {
        "help" | "-h" | "--help" => Ok(Command::Help),
        "test" => test(&rest),
        "bench" if rest.is_empty() => Err("bench needs the name of a measurement".to_owned()),
        "bench" => Ok(Command::Bench { args: rest }),
        "catalog" => Ok(Command::Catalog { args: rest }),
        "moto" if rest.is_empty() => Ok(Command::Moto),
        "moto" => Err(format!("`moto` does not take `{}`", rest[0])),
        "control-plane" => Ok(Command::ControlPlane { args: rest }),
        other => Err(format!("unknown command `{other}`")),
    }
}

fn test(rest: &[String]) -> Result<Command, String> {
    let mut depth = Depth::Full;
    for word in rest {
        match word.as_str() {
            "--quick" => depth = Depth::Quick,
            "-h" | "--help" => return Ok(Command::Help),
            other => return Err(format!("`test` does not take `{other}`")),
        }
    }
    Ok(Command::Test { depth })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn no_argument_asks_for_help() {
        assert_eq!(parsed(""), Ok(Command::Help));
    }

    #[test]
    fn quick_is_an_option_of_test() {
        assert_eq!(parsed("test"), Ok(Command::Test { depth: Depth::Full }));
        assert_eq!(parsed("test --quick"), Ok(Command::Test { depth: Depth::Quick }));
    }

    #[test]
    fn arguments_of_a_measurement_are_handed_on_untouched() {
        let args = ["plan", "--json", "out.json"].map(str::to_owned).to_vec();
        assert_eq!(parsed("bench plan --json out.json"), Ok(Command::Bench { args }));
    }

    #[test]
    fn what_to_do_with_the_control_plane_is_for_its_own_program_to_judge() {
        assert_eq!(parsed("control-plane up"), Ok(Command::ControlPlane { args: vec!["up".to_owned()] }));
    }

    #[test]
    fn an_unknown_word_is_refused_and_named() {
        assert!(parsed("tset").is_err_and(|fault| fault.contains("tset")));
        assert!(parsed("test --fast").is_err_and(|fault| fault.contains("--fast")));
        assert!(parsed("bench").is_err());
        assert!(parsed("moto --fast").is_err_and(|fault| fault.contains("--fast")));
        assert_eq!(parsed("moto"), Ok(Command::Moto));
    }
}
