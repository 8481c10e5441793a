//! Where the values of a JSON text begin and end, found without reading them: brackets are counted and texts passed
//! over. Whoever takes a value out of the outline reads it, and finds what is broken inside of it.

use std::ops::Range;

/// One value of a stream: an object, or something that is none.
pub(super) struct Top {
    /// The whole value.
    pub(super) whole: Range<usize>,
    /// Its `items`, when it is an object and has a list under that name.
    pub(super) items: Option<Items>,
}

/// A list under `items`.
pub(super) struct Items {
    /// From bracket to bracket.
    pub(super) list: Range<usize>,
    pub(super) each: Vec<Range<usize>>,
}

/// Outlines the object that begins at or after `from`; None when the text is not as it should be there.
pub(super) fn top(text: &str, from: usize) -> Option<Top> {
    let mut scan = Scan { bytes: text.as_bytes(), at: from };
    scan.blank();
    let start = scan.at;
    scan.expect(b'{')?;
    let mut items = None;
    if scan.peek()? == b'}' {
        scan.at += 1;
    } else {
        loop {
            scan.blank();
            let name = scan.value()?;
            scan.expect(b':')?;
            scan.blank();
            if &text[name] == "\"items\"" && scan.peek()? == b'[' {
                // Twice is for the slow reader to tell of.
                if items.is_some() {
                    return None;
                }
                items = Some(scan.items()?);
            } else {
                scan.value()?;
            }
            if !scan.goes_on(b'}')? {
                break;
            }
        }
    }
    Some(Top { whole: start..scan.at, items })
}

struct Scan<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl Scan<'_> {
    fn blank(&mut self) {
        while self.bytes.get(self.at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Option<u8> {
        self.blank();
        self.bytes.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// After an element: is there another one, or does `end` follow?
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == b',' { Some(true) } else { (byte == end).then_some(false) }
    }

    fn items(&mut self) -> Option<Items> {
        let start = self.at;
        self.expect(b'[')?;
        let mut each = Vec::new();
        if self.peek()? == b']' {
            self.at += 1;
        } else {
            loop {
                self.blank();
                each.push(self.value()?);
                if !self.goes_on(b']')? {
                    break;
                }
            }
        }
        Some(Items { list: start..self.at, each })
    }

    /// The value that begins here.
    fn value(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        match self.bytes.get(start)? {
            b'"' => self.text()?,
            b'{' | b'[' => self.nested()?,
            _ => {
                let is_end = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
                let length = self.bytes[start..].iter().position(is_end)?;
                self.at += length;
                if length == 0 {
                    return None;
                }
            }
        }
        Some(start..self.at)
    }

    fn nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.bytes.get(self.at)? {
                b'"' => {
                    self.text()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// A text in quotes.
    fn text(&mut self) -> Option<()> {
        let mut at = self.at + 1;
        loop {
            match self.bytes.get(at)? {
                b'\\' => at += 2,
                b'"' => {
                    self.at = at + 1;
                    return Some(());
                }
                _ => at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_items_of_a_list_are_found() {
        let text = r#" {"a": "]}\"", "items": [ {"b": [1, {"items": []}]} , 7,"x"], "c": {"items": [1]}} {"#;
        let found = top(text, 0).unwrap();
        assert_eq!(&text[found.whole.clone()], text[1..text.len() - 2].to_owned());
        let items = found.items.unwrap();
        let each: Vec<&str> = items.each.into_iter().map(|range| &text[range]).collect();
        assert_eq!(each, [r#"{"b": [1, {"items": []}]}"#, "7", "\"x\""]);
        assert!(text[items.list].ends_with(r#","x"]"#));
    }

    #[test]
    fn an_object_without_items_is_one_whole() {
        assert!(top("{}", 0).unwrap().items.is_none());
        assert_eq!(top("{\"items\": {}}\n{\"x\": 1}", 13).unwrap().whole, 14..22);
    }

    #[test]
    fn what_is_no_object_or_does_not_end_is_given_up() {
        for text in [
            "",
            "[",
            "7",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\": 1",
            "{\"items\": [1,]}",
            "{\"items\": [1 2]}",
            "{\"a\" 1}",
            "{,}",
            "{\"a\": \"\\",
        ] {
            assert!(top(text, 0).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[{}\\[\\]\",:\\\\ a1é]{0,60}") {
            let _ = top(&text, 0);
        }

        #[test]
        fn what_is_found_lies_on_the_borders_of_characters(text in "\\{\"items\":\\[[\"é1,{}]{0,12}\\]\\}") {
            if let Some(found) = top(&text, 0) {
                let ranges = found.items.into_iter().flat_map(|items| items.each).chain([found.whole]);
                for range in ranges {
                    prop_assert!(text.get(range).is_some());
                }
            }
        }
    }
}
