//! What is wrong with an input: which file, which object, which field, and what to write instead.

use std::borrow::Cow;
use std::fmt;

use planner::model::Str;

/// Where an object was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// As given on the command line, or found below a folder given there; `<stdin>` for standard input.
    pub file: Str,
    /// The line its document begins on, from 1.
    pub line: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// An input that cannot be used. Everything a person needs to mend it is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct InputError {
    /// The file, or the option that named it.
    pub file: Option<Str>,
    /// From 1.
    pub line: Option<u32>,
    /// `Kind namespace/name`.
    pub object: Option<Box<str>>,
    /// Path from the root of the object, as `kubectl explain` writes it, with list indices.
    pub field: Option<Box<str>>,
    /// What stands there.
    pub value: Option<Box<str>>,
    /// What is wrong.
    pub message: Box<str>,
    /// What to do about it.
    pub remedy: Option<Box<str>>,
}

impl InputError {
    /// Something is wrong, said in `message`.
    pub fn new(message: impl Into<Box<str>>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// In this file.
    #[must_use]
    pub fn file(mut self, file: &str) -> Self {
        self.file = Some(file.into());
        self
    }

    /// In this file, on this line.
    #[must_use]
    pub fn at(mut self, origin: &Origin) -> Self {
        self.file = Some(origin.file.clone());
        self.line = Some(origin.line);
        self
    }

    /// On this line.
    #[must_use]
    pub fn line(mut self, line: u32) -> Self {
        self.line = Some(line);
        self
    }

    /// In this object.
    #[must_use]
    pub fn object(mut self, object: impl Into<Box<str>>) -> Self {
        self.object = Some(object.into());
        self
    }

    /// In this field.
    #[must_use]
    pub fn field(mut self, field: impl Into<Box<str>>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Which holds this; cut after 80 characters.
    #[must_use]
    pub fn value(mut self, value: &str) -> Self {
        let shown: String = value.chars().take(80).collect();
        let more = if shown.len() < value.len() { "…" } else { "" };
        self.value = Some(format!("{shown}{more}").into());
        self
    }

    /// And this mends it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<Box<str>>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// The text with control characters spelt out: what a file holds must not command the terminal.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let commands = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let spelt = |c: char| if commands(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(spelt).collect())
}

impl fmt::Display for InputError {
    /// `file:line: object: field: message: value`, then the remedy on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", printable(file))?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        for part in [&self.object, &self.field].into_iter().flatten() {
            write!(f, "{}: ", printable(part))?;
        }
        f.write_str(&printable(&self.message))?;
        if let Some(value) = self.value.as_ref().filter(|value| !self.message.contains(&***value)) {
            write!(f, ": \"{}\"", printable(value))?;
        }
        if let Some(remedy) = &self.remedy {
            write!(f, "\n  remedy: {}", printable(remedy))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_file_line_object_field_value_and_remedy() {
        let origin = Origin { file: "web.yaml".into(), line: 3 };
        let error = InputError::new("unknown field")
            .at(&origin)
            .object("Deployment shop/web")
            .field("spec.replica")
            .value("2")
            .remedy("write spec.replicas");
        assert_eq!(
            error.to_string(),
            "web.yaml:3: Deployment shop/web: spec.replica: unknown field: \"2\"\n  remedy: write spec.replicas"
        );
    }

    #[test]
    fn a_value_that_the_message_quotes_is_not_said_twice() {
        let error = InputError::new("\"1,5\" is not a quantity").value("1,5");
        assert_eq!(error.to_string(), "\"1,5\" is not a quantity");
    }
}
