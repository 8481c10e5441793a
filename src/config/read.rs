//! One setting from flag, environment or default.

use std::time::Duration;

use crate::observe::InputError;

/// Reads settings one by one and gathers what there is to say.
pub(super) struct Reader<'a> {
    /// The environment.
    env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) notes: Vec<String>,
}

/// What to do about a value in the environment that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Malformed {
    /// Karpenter goes on with the default, and so do we, but say so.
    FallBack,
    /// Karpenter does not start, and nor do we.
    Refuse,
}

/// A setting's names: of the flag, without dashes in front, and of the environment variable.
#[derive(Clone, Copy)]
pub(super) struct Named {
    pub(super) flag: &'static str,
    pub(super) env: &'static str,
    pub(super) malformed: Malformed,
}

/// A setting whose malformed environment falls back to the default.
pub(super) const fn lenient(flag: &'static str, env: &'static str) -> Named {
    Named { flag, env, malformed: Malformed::FallBack }
}

/// A setting whose malformed environment stops the start.
pub(super) const fn strict(flag: &'static str, env: &'static str) -> Named {
    Named { flag, env, malformed: Malformed::Refuse }
}

/// A value, or what would have been one.
pub(super) type Parsed<T> = Result<T, String>;

impl<'a> Reader<'a> {
    pub(super) fn new(env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { env, notes: Vec::new() }
    }

    /// The variable, where it is set and not empty.
    pub(super) fn env(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// The text of a flag or its variable.
    pub(super) fn text(&self, named: Named, flag: Option<&String>) -> Option<String> {
        flag.filter(|value| !value.is_empty()).cloned().or_else(|| self.env(named.env))
    }

    /// A setting, read with `parse`, whose error is the remedy.
    ///
    /// # Errors
    /// When the flag cannot be read; when the variable cannot and the setting is strict.
    pub(super) fn read<T>(
        &mut self,
        named: Named,
        flag: Option<&String>,
        default: T,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Result<T, InputError> {
        if let Some(text) = flag {
            return parse(text).map_err(|remedy| wrong(&format!("--{}", named.flag), text, remedy));
        }
        let Some(text) = self.env(named.env) else { return Ok(default) };
        match (parse(&text), named.malformed) {
            (Ok(value), _) => Ok(value),
            (Err(remedy), Malformed::Refuse) => Err(wrong(named.env, &text, remedy)),
            (Err(remedy), Malformed::FallBack) => {
                self.notes.push(format!("{}=\"{text}\" cannot be read, so the default holds; {remedy}", named.env));
                Ok(default)
            }
        }
    }

    /// Says that a setting has no effect, when it is set to something else than its default.
    pub(super) fn without_effect(&mut self, named: Named, flag: Option<&String>, default: &str, why: &str) {
        if let Some(value) = self.text(named, flag).filter(|value| value != default) {
            self.notes.push(format!("--{}={value} has no effect: {why}", named.flag));
        }
    }
}

pub(super) fn wrong(field: &str, value: &str, remedy: impl Into<Box<str>>) -> InputError {
    InputError::new("cannot be read").field(field).value(value).remedy(remedy)
}

/// `true` or `false` and nothing else, as Karpenter reads them.
pub(super) fn boolean(text: &str) -> Parsed<bool> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("write true or false".into()),
    }
}

/// A Go duration above nothing, such as `1m30s`.
pub(super) fn duration(text: &str) -> Parsed<Duration> {
    let nanos = crds::duration::parse(text).and_then(|nanos| u64::try_from(nanos).ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| "write a duration such as 500ms, 10s or 1m30s".into())
}

/// A whole number within bounds.
pub(super) fn number<T>(least: T, most: T) -> impl Fn(&str) -> Parsed<T>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display + Copy,
{
    move |text| {
        let value = text.parse().ok().filter(|value| (least..=most).contains(value));
        value.ok_or_else(|| format!("write a whole number from {least} to {most}"))
    }
}
