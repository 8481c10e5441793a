//! Writes the XML of answers.

use std::fmt::{Display, Write as _};

/// An answer under construction.
#[derive(Debug, Default)]
pub struct Xml(String);

impl Xml {
    /// An element with text; nothing for a value that is not there.
    pub fn maybe(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.leaf(name, value);
        }
    }

    /// An element with text.
    pub fn leaf(&mut self, name: &str, value: impl Display) {
        let start = self.0.len();
        let _ = write!(self.0, "<{name}>");
        let from = self.0.len();
        let _ = write!(self.0, "{value}");
        if self.0[from..].contains(['<', '>', '&']) {
            let escaped = self.0[from..].replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            self.0.truncate(from);
            self.0.push_str(&escaped);
        }
        debug_assert!(start < from, "an element has a name");
        let _ = write!(self.0, "</{name}>");
    }

    /// An element with elements in it.
    pub fn node(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        let _ = write!(self.0, "<{name}>");
        fill(self);
        let _ = write!(self.0, "</{name}>");
    }

    /// A list: an `item` for each.
    pub fn list<T>(&mut self, name: &str, items: impl IntoIterator<Item = T>, mut fill: impl FnMut(&mut Self, T)) {
        self.node(name, |xml| {
            for item in items {
                xml.node("item", |xml| fill(xml, item));
            }
        });
    }

    /// A list of plain values.
    pub fn texts<T: Display>(&mut self, name: &str, items: impl IntoIterator<Item = T>) {
        self.node(name, |xml| items.into_iter().for_each(|item| xml.leaf("item", item)));
    }

    /// The tags of a thing.
    pub fn tags<'a>(&mut self, tags: impl IntoIterator<Item = (&'a String, &'a String)>) {
        self.list("tagSet", tags, |xml, (key, value)| {
            xml.leaf("key", key);
            xml.leaf("value", value);
        });
    }

    pub fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_what_is_not_there_is_left_out() {
        let mut xml = Xml::default();
        xml.leaf("a", "x<&>y");
        xml.maybe("b", None::<&str>);
        xml.texts("c", [1, 2]);
        assert_eq!(xml.into_text(), "<a>x&lt;&amp;&gt;y</a><c><item>1</item><item>2</item></c>");
    }
}
