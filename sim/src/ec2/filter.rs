//! Filters and pages, the same for every `Describe` action.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>

use std::collections::BTreeMap;

use super::params::Params;
use super::refusal::Refusal;

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// The most filters of one call.
const MOST_FILTERS: usize = 50;
/// The most values of one filter.
const MOST_VALUES: usize = 200;

/// Something that can be found by filters.
pub trait Filtered {
    /// Every filter that there is, tags aside.
    const FILTERS: &'static [&'static str];
    /// Whether it can be found by its tags.
    const HAS_TAGS: bool = true;

    /// The values under a filter's name, tags aside; nothing if there is no such filter.
    fn values(&self, filter: &str) -> Option<Vec<String>>;

    fn tags(&self) -> &Tags;
}

/// The filters of a call: a thing has to match one value of each.
#[derive(Clone, Debug, Default)]
pub struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    /// Reads them for a kind of thing, of which there may be none.
    ///
    /// # Errors
    /// When a filter has no name or no value, is none for this kind of thing, or there are too many.
    pub fn read<T: Filtered>(params: &Params) -> Result<Self, Refusal> {
        let filters = params.list("Filter");
        if filters.len() > MOST_FILTERS || filters.iter().any(|filter| filter.list("Value").len() > MOST_VALUES) {
            let message = format!("At most {MOST_FILTERS} filters of at most {MOST_VALUES} values each");
            return Err(Refusal::new("FilterLimitExceeded", message));
        }
        let read = filters.into_iter().map(|filter| {
            let name = filter.required("Name")?.to_owned();
            let is_of_tags = matches!(&*name, "tag-key" | "tag-value") || name.starts_with("tag:");
            let is_known = T::FILTERS.contains(&&*name) || (T::HAS_TAGS && is_of_tags);
            if !is_known {
                return Err(unknown(&name));
            }
            let values: Vec<String> = filter.texts("Value").into_iter().map(str::to_owned).collect();
            if values.is_empty() {
                return Err(Refusal::invalid_value(&format!("The filter '{name}' has no value")));
            }
            Ok((name, values))
        });
        read.collect::<Result<_, _>>().map(Self)
    }

    /// # Errors
    /// When a filter's name is not of the kind of thing.
    pub fn matches<T: Filtered>(&self, thing: &T) -> Result<bool, Refusal> {
        for (name, wanted) in &self.0 {
            let values = match name.as_str() {
                "tag-key" => thing.tags().keys().cloned().collect(),
                "tag-value" => thing.tags().values().cloned().collect(),
                name => match name.strip_prefix("tag:") {
                    Some(key) => thing.tags().get(key).cloned().into_iter().collect(),
                    None => thing.values(name).ok_or_else(|| unknown(name))?,
                },
            };
            if !wanted.iter().any(|pattern| values.iter().any(|value| glob(pattern, value))) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn unknown(name: &str) -> Refusal {
    Refusal::invalid_value(&format!("The filter '{name}' is invalid"))
}

/// `*` stands for any text, `?` for one character, `\` takes what follows as it is.
pub fn glob(pattern: &str, text: &str) -> bool {
    fn at(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skip| at(rest, &text[skip..])),
            Some(('?', rest)) => text.split_first().is_some_and(|(_, text)| at(rest, text)),
            Some(('\\', rest)) if !rest.is_empty() => text.first() == rest.first() && at(&rest[1..], &text[1..]),
            Some((c, rest)) => text.split_first().is_some_and(|(first, text)| first == c && at(rest, text)),
        }
    }
    if !pattern.contains(['*', '?', '\\']) {
        return pattern == text;
    }
    at(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>())
}

/// How many results an action gives at a time.
#[derive(Clone, Copy, Debug)]
pub struct Pages {
    /// The least and the most that may be asked for.
    pub bounds: (i64, i64),
    /// Without being asked.
    pub usual: usize,
}

/// One page of results, and the token of the next.
#[derive(Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

impl Pages {
    /// Cuts a page out of results, in the order of a key that stays theirs. The token holds the last key given, so that
    /// things which come or go between two pages shift nothing.
    ///
    /// # Errors
    /// When `MaxResults` is out of bounds, or the token is none of ours.
    pub fn cut<T>(self, params: &Params, mut results: Vec<T>, key: impl Fn(&T) -> String) -> Result<Page<T>, Refusal> {
        let (least, most) = self.bounds;
        let asked = params.number("MaxResults")?;
        if let Some(asked) = asked.filter(|asked| !(least..=most).contains(asked)) {
            let message = format!(
                "Value ( {asked} ) for parameter maxResults is invalid. Expecting a value between {least} and {most}."
            );
            return Err(Refusal::invalid_value(&message));
        }
        let size = asked.and_then(|asked| usize::try_from(asked).ok()).unwrap_or(self.usual);
        let after = match params.text("NextToken") {
            None => None,
            Some(token) => Some(
                read_token(token)
                    .ok_or_else(|| Refusal::new("InvalidNextToken", format!("The token '{token}' is invalid")))?,
            ),
        };
        results.sort_by_cached_key(&key);
        let mut rest = results.into_iter().filter(|item| after.as_ref().is_none_or(|after| key(item) > *after));
        let items: Vec<T> = rest.by_ref().take(size).collect();
        let is_more = rest.next().is_some();
        let next = items.last().filter(|_| is_more).map(|last| token(&key(last)));
        Ok(Page { items, next })
    }
}

/// A key made opaque: hexadecimal, behind a mark.
fn token(key: &str) -> String {
    let digits = key.bytes().map(|byte| format!("{byte:02x}"));
    format!("mw{}", digits.collect::<String>())
}

fn read_token(token: &str) -> Option<String> {
    let digits = token.strip_prefix("mw")?;
    if digits.len() % 2 == 1 || !digits.is_ascii() {
        return None;
    }
    let bytes = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok());
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(&'static str, Tags);

    impl Filtered for Thing {
        const FILTERS: &'static [&'static str] = &["name"];

        fn values(&self, filter: &str) -> Option<Vec<String>> {
            (filter == "name").then(|| vec![self.0.to_owned()])
        }

        fn tags(&self) -> &Tags {
            &self.1
        }
    }

    fn matches(filters: &str) -> Result<bool, Refusal> {
        let tags = [("team".to_owned(), "a".to_owned())].into_iter().collect();
        Filters::read::<Thing>(&Params::parse(filters.as_bytes()))?.matches(&Thing("web-1", tags))
    }

    #[test]
    fn each_filter_has_to_match_with_one_of_its_values() {
        assert_eq!(matches("Filter.1.Name=name&Filter.1.Value.1=x&Filter.1.Value.2=web-*"), Ok(true));
        assert_eq!(
            matches("Filter.1.Name=tag:team&Filter.1.Value.1=a&Filter.2.Name=name&Filter.2.Value.1=x"),
            Ok(false)
        );
        assert_eq!(matches("Filter.1.Name=tag-key&Filter.1.Value.1=team"), Ok(true));
        assert_eq!(matches("Filter.1.Name=tag:other&Filter.1.Value.1=*"), Ok(false));
    }

    #[test]
    fn an_unknown_filter_is_an_error_and_never_ignored() {
        let refusal = matches("Filter.1.Name=colour&Filter.1.Value.1=red").unwrap_err();
        assert_eq!((refusal.status, refusal.code.as_str()), (400, "InvalidParameterValue"));
        assert_eq!(refusal.message, "The filter 'colour' is invalid");
        // Also behind one that matches nothing.
        let behind = "Filter.1.Name=name&Filter.1.Value.1=x&Filter.2.Name=colour&Filter.2.Value.1=red";
        assert_eq!(matches(behind).unwrap_err().message, refusal.message);
        let many = (1..=201).map(|at| format!("Filter.1.Value.{at}=x"));
        let many = format!("Filter.1.Name=name&{}", many.collect::<Vec<_>>().join("&"));
        assert_eq!(matches(&many).unwrap_err().code, "FilterLimitExceeded");
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, text, want) in [
            ("m5.*", "m5.large", true),
            ("m5.*", "m5a.large", false),
            ("m?.large", "m5.large", true),
            ("*large", "m5.xlarge", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("a\\", "a", false),
            ("", "", true),
        ] {
            assert_eq!(glob(pattern, text), want, "{pattern} on {text}");
        }
    }

    #[test]
    fn pages_go_on_after_the_last_key_whatever_came_and_went() {
        let pages = Pages { bounds: (1, 10), usual: 2 };
        let cut = |params: &str, items: &[&'static str]| {
            pages.cut(&Params::parse(params.as_bytes()), items.to_vec(), |item| (*item).to_owned())
        };
        let first = cut("", &["a", "c", "e"]).unwrap();
        assert_eq!(first.items, ["a", "c"]);
        let token = first.next.unwrap();
        let second = cut(&format!("NextToken={token}"), &["a", "d", "e"]).unwrap();
        assert_eq!((second.items, second.next), (vec!["d", "e"], None));
        assert_eq!(cut("NextToken=abc", &[]).unwrap_err().code, "InvalidNextToken");
        assert!(cut("MaxResults=11", &[]).is_err() && cut("MaxResults=0", &[]).is_err());
    }
}
