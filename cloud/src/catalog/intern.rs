//! One copy of every label key and value of a catalogue.

use std::collections::HashSet;

use planner::model::{Labels, Str};

/// Texts already seen. Looked up a hundred thousand times per catalogue, and never walked, so no order leaks.
#[derive(Default)]
pub(crate) struct Interner(HashSet<Str>);

impl Interner {
    /// The shared copy of `text`.
    pub(crate) fn get(&mut self, text: &str) -> Str {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let new: Str = text.into();
        self.0.insert(new.clone());
        new
    }

    /// Sets one label.
    pub(crate) fn label(&mut self, labels: &mut Labels, key: &str, value: &str) {
        let (key, value) = (self.get(key), self.get(value));
        labels.insert(key, value);
    }
}
