//! The parameters of a call: flat keys such as `LaunchTemplateConfigs.1.Overrides.2.SubnetId`, read as a tree.
//!
//! The wire form: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html>.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::refusal::Refusal;

/// A value, members, or elements of a list; lists are members whose names are numbers from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    value: Option<String>,
    members: BTreeMap<String, Params>,
    was_read: Mark,
}

/// Whether somebody has looked. No part of what a parameter says.
#[derive(Clone, Debug, Default)]
struct Mark(Cell<bool>);

impl PartialEq for Mark {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Mark {}

/// What a plain value has to be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Text,
    Bool,
    Number,
    OneOf(&'static [&'static str]),
}

impl Params {
    /// Reads a form body.
    pub fn parse(body: &[u8]) -> Self {
        let mut root = Self::default();
        for (key, value) in form_urlencoded::parse(body) {
            let mut at = &mut root;
            for part in key.split('.') {
                at = at.members.entry(part.to_owned()).or_default();
            }
            at.value = Some(value.into_owned());
        }
        root
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.members.get(name)
    }

    /// The text of a member; nothing if it has none or is empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        Some(self.get(name)?.own_text()).filter(|text| !text.is_empty())
    }

    /// The text of this parameter itself.
    pub fn own_text(&self) -> &str {
        self.was_read.0.set(true);
        self.value.as_deref().unwrap_or_default()
    }

    /// Whether a member says `true`.
    pub fn is_true(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// # Errors
    /// When the member is there and is no whole number.
    pub fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse();
        number.map(Some).map_err(|_| Refusal::invalid_value(&format!("Invalid value '{text}' for {name}.")))
    }

    /// The elements of a list, by their numbers.
    pub fn list(&self, name: &str) -> Vec<&Self> {
        let Some(list) = self.get(name) else { return Vec::new() };
        let numbered = list.members.iter().filter_map(|(at, element)| Some((at.parse::<u32>().ok()?, element)));
        let mut numbered: Vec<_> = numbered.collect();
        numbered.sort_by_key(|(at, _)| *at);
        numbered.into_iter().map(|(_, element)| element).collect()
    }

    /// The texts of a list of plain values.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        self.list(name).into_iter().map(Self::own_text).collect()
    }

    /// # Errors
    /// `MissingParameter` when the member is not there.
    pub fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| Refusal::missing(name))
    }

    /// The first parameter that is none of `known`, in which `#` stands for a number. A known name that ends with `.*`
    /// stands for everything below it.
    pub fn unknown(&self, known: &[&str]) -> Option<String> {
        self.leaves().into_iter().map(|(key, _)| key).find(|key| {
            let form = form(key);
            !known.iter().any(|known| match known.strip_suffix(".*") {
                Some(prefix) => form.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.')),
                None => form == *known,
            })
        })
    }

    /// The first parameter that nobody has looked at.
    pub fn unread(&self) -> Option<String> {
        self.leaves().into_iter().find(|(_, leaf)| !leaf.was_read.0.get()).map(|(key, _)| key)
    }

    /// Looks at all parameters, each of which has to be known and of its kind; `#` in a name stands for a number.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self, known: &[(&str, Kind)], prefix: &str) -> Result<(), Refusal> {
        for (key, leaf) in self.leaves() {
            let form = form(&key);
            let Some((_, kind)) = known.iter().find(|(name, _)| *name == form) else {
                return Err(Refusal::unknown_parameter(&format!("{prefix}.{key}")));
            };
            let text = leaf.own_text();
            let is_good = match kind {
                Kind::Text => true,
                Kind::Bool => matches!(text, "true" | "false"),
                Kind::Number => text.parse::<i64>().is_ok(),
                Kind::OneOf(values) => values.contains(&text),
            };
            if !is_good {
                return Err(Refusal::invalid_value(&format!("Invalid value '{text}' for {prefix}.{key}.")));
            }
        }
        Ok(())
    }

    /// Every parameter with its full name, sorted.
    fn leaves(&self) -> Vec<(String, &Self)> {
        let mut found = Vec::new();
        self.collect(&mut String::new(), &mut found);
        found
    }

    fn collect<'a>(&'a self, path: &mut String, found: &mut Vec<(String, &'a Self)>) {
        if self.value.is_some() {
            found.push((path.clone(), self));
        }
        for (name, member) in &self.members {
            let length = path.len();
            let dot = if path.is_empty() { "" } else { "." };
            let _ = write!(path, "{dot}{name}");
            member.collect(path, found);
            path.truncate(length);
        }
    }

    /// Everything but one member, as one text: two calls with the same text ask for the same.
    pub fn fingerprint(&self, without: &str) -> String {
        let leaves = self.leaves().into_iter().filter(|(key, _)| key != without);
        let mut text = String::new();
        for (key, leaf) in leaves {
            let _ = writeln!(text, "{key}={}", leaf.value.as_deref().unwrap_or_default());
        }
        text
    }
}

/// A name with `#` for each number.
fn form(key: &str) -> String {
    let parts: Vec<&str> = key.split('.').map(|part| if part.parse::<u32>().is_ok() { "#" } else { part }).collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> Params {
        Params::parse(text.as_bytes())
    }

    #[test]
    fn lists_are_read_by_their_numbers() {
        let read = params("Id.10=k&Id.2=b&Id.1=a&Spec.1.Tag.1.Key=x&Spec.1.Tag.1.Value=%2F");
        assert_eq!(read.texts("Id"), ["a", "b", "k"]);
        let tag = read.list("Spec")[0].list("Tag")[0];
        assert_eq!((tag.text("Key"), tag.text("Value")), (Some("x"), Some("/")));
        assert!(read.list("Missing").is_empty());
    }

    #[test]
    fn a_parameter_nobody_reads_is_found() {
        let read = params("Action=X&Filter.1.Value.2=a&Data.Deep.1.Er=1&Odd.1=1");
        assert_eq!(read.unknown(&["Action", "Filter.#.Value.#", "Data.*"]).as_deref(), Some("Odd.1"));
        assert_eq!(read.unknown(&["Action", "Filter.#.Value.#", "Data.*", "Odd.#"]), None);
    }

    #[test]
    fn what_was_looked_at_is_known() {
        let read = params("A=1&B.1.C=2&B.2.C=3&D=");
        let mut unread = vec![read.unread()];
        read.text("A");
        read.list("B")[0].text("C");
        unread.push(read.unread());
        read.list("B").iter().for_each(|one| drop(one.number("C")));
        unread.push(read.unread());
        read.text("D");
        unread.push(read.unread());
        assert_eq!(unread, ["A", "B.2.C", "D", ""].map(|key| Some(key.to_owned()).filter(|key| !key.is_empty())));
        assert_eq!(read.clone(), params("A=1&B.1.C=2&B.2.C=3&D="), "looking changes nothing");
    }

    #[test]
    fn values_have_to_be_of_their_kind() {
        let known = [
            ("On", Kind::Bool),
            ("N.#", Kind::Number),
            ("State", Kind::OneOf(&["enabled", "disabled"])),
            ("Name", Kind::Text),
        ];
        let check = |text: &str| params(text).check(&known, "Data").map_err(|refusal| refusal.message);
        assert_eq!(check("On=true&N.1=4&N.2=-1&State=enabled&Name=x"), Ok(()));
        for (odd, told) in [
            ("On=yes", "Invalid value 'yes' for Data.On."),
            ("N.1=x", "Invalid value 'x' for Data.N.1."),
            ("State=on", "Invalid value 'on' for Data.State."),
            ("Colour=red", "The parameter Data.Colour is not recognized"),
        ] {
            assert_eq!(check(odd), Err(told.to_owned()));
        }
    }

    #[test]
    fn a_number_that_is_none_is_refused() {
        assert_eq!(params("A=12").number("A").unwrap(), Some(12));
        assert_eq!(params("A=12").number("B").unwrap(), None);
        assert!(params("A=x").number("A").is_err());
    }

    #[test]
    fn the_token_is_no_part_of_what_is_asked_for() {
        let (a, b) = (params("ClientToken=1&B=2"), params("B=2&ClientToken=9"));
        assert_eq!(a.fingerprint("ClientToken"), b.fingerprint("ClientToken"));
        assert_ne!(a.fingerprint("ClientToken"), params("B=3").fingerprint("ClientToken"));
    }
}
