//! The parameters of a call: flat keys such as `LaunchTemplateConfigs.1.Overrides.2.SubnetId`, read as a tree.
//!
//! The wire form: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html>.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::refusal::Refusal;

/// A value, members, or elements of a list; lists are members whose names are numbers from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    value: Option<String>,
    members: BTreeMap<String, Params>,
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
        self.get(name)?.value.as_deref().filter(|text| !text.is_empty())
    }

    /// The text of this parameter itself.
    pub fn own_text(&self) -> &str {
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
            let form: Vec<&str> =
                key.split('.').map(|part| if part.parse::<u32>().is_ok() { "#" } else { part }).collect();
            let form = form.join(".");
            !known.iter().any(|known| match known.strip_suffix(".*") {
                Some(prefix) => form.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.')),
                None => form == *known,
            })
        })
    }

    /// Every parameter with its full name, sorted.
    pub fn leaves(&self) -> Vec<(String, &str)> {
        let mut found = Vec::new();
        self.collect(&mut String::new(), &mut found);
        found
    }

    fn collect<'a>(&'a self, path: &mut String, found: &mut Vec<(String, &'a str)>) {
        if let Some(value) = &self.value {
            found.push((path.clone(), value));
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
        for (key, value) in leaves {
            let _ = writeln!(text, "{key}={value}");
        }
        text
    }
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
