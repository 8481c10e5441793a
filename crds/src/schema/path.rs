//! Where in an object a fault is, written out only when there is one.

/// One step from a value to one inside it.
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    /// A field that the schema names.
    Field(&'a str),
    /// A key that the user chose.
    Key(&'a str),
    Item(usize),
}

/// A place, as a chain to its parent.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Option<Step<'a>>,
}

impl<'a> Place<'a> {
    pub(super) const ROOT: Place<'static> = Place { parent: None, step: None };

    pub(super) fn then<'b>(&'b self, step: Step<'b>) -> Place<'b>
    where
        'a: 'b,
    {
        Place { parent: Some(self), step: Some(step) }
    }

    pub(super) fn text(&self) -> String {
        let before = self.parent.map(Place::text).unwrap_or_default();
        match self.step {
            None => before,
            Some(Step::Field(name)) if before.is_empty() => name.to_owned(),
            Some(Step::Field(name)) => format!("{before}.{name}"),
            Some(Step::Key(key)) => format!("{before}[{key}]"),
            Some(Step::Item(index)) => format!("{before}[{index}]"),
        }
    }
}
