//! Bytes to objects: YAML documents one by one, JSON values one by one, `List` kinds unpacked.

use planner::model::Str;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::error::{InputError, Origin};
use super::outline::{self, Top};
use super::plain::Plain;

/// How deep an object may be nested; the deepest known (CRDs with a pod template in them) need about 50.
const MAX_DEPTH: usize = 64;

/// Takes each object with where it stood.
pub(crate) trait Sink {
    /// Takes an object.
    fn value(&mut self, origin: Origin, value: Value) -> Result<(), InputError>;

    /// Takes an object as JSON text, which saves the tree of values. False when it must come as a value.
    fn text(&mut self, _origin: &Origin, _text: &str, _of: &ItemOf) -> Result<bool, InputError> {
        Ok(false)
    }
}

impl<F: FnMut(Origin, Value) -> Result<(), InputError>> Sink for F {
    fn value(&mut self, origin: Origin, value: Value) -> Result<(), InputError> {
        self(origin, value)
    }
}

/// What the items of a typed list, as the API server sends it, do not repeat. Both empty for any other object.
#[derive(Clone, Debug, Default)]
pub(crate) struct ItemOf {
    pub(crate) kind: String,
    pub(crate) api_version: String,
}

/// Hands every object in `bytes` to `sink`, in order. Each YAML document is parsed by itself, so the largest document
/// bounds the memory needed, not the file.
pub(crate) fn each(file: &str, bytes: &[u8], sink: &mut impl Sink) -> Result<(), InputError> {
    let text = text(file, bytes)?;
    let ending = file.strip_suffix(".gz").unwrap_or(file).rsplit('.').next();
    let is_json = ending.is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    if is_json || (text.trim_start().starts_with('{') && first_json(text)) {
        each_json(file, text, sink)
    } else {
        each_yaml(file, text, sink)
    }
}

fn text<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, InputError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|b| *b == b'\n').count();
        InputError::new("is not UTF-8 text").file(file).line(number(line)).remedy("save the file as UTF-8")
    })
}

fn first_json(text: &str) -> bool {
    serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>().next().is_some_and(|first| first.is_ok())
}

fn each_json(file: &str, text: &str, sink: &mut impl Sink) -> Result<(), InputError> {
    let mut place = Place { file: file.into(), text, counted: 0, line: 1 };
    let mut at = 0;
    loop {
        if let Some(top) = outline::top(text, at)
            && each_of(&top, &mut place, sink)?
        {
            at = top.whole.end;
            continue;
        }
        // Broken, or no object, or a list of which the parts cannot be told: one value after the other.
        let start = at + (text[at..].len() - text[at..].trim_start().len());
        let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Plain>();
        let Some(value) = values.next() else { return Ok(()) };
        let Plain(value) = value.map_err(|error| place.broken(start, &error))?;
        unpack(&place.origin(start), value, sink)?;
        at = start + values.byte_offset();
    }
}

/// Hands on an object, or the items of a list. False when it must be read as a whole.
fn each_of(top: &Top, place: &mut Place<'_>, sink: &mut impl Sink) -> Result<bool, InputError> {
    let text = place.text;
    let Some(items) = &top.items else {
        one(top.whole.clone(), &ItemOf::default(), place, sink)?;
        return Ok(true);
    };
    let shell = [&text[top.whole.start..items.list.start], "[]", &text[items.list.end..top.whole.end]].concat();
    let Ok(Plain(Value::Object(shell))) = serde_json::from_str(&shell) else { return Ok(false) };
    let kind = |name: &str| shell.get(name).and_then(Value::as_str).unwrap_or_default();
    let Some(item_kind) = kind("kind").strip_suffix("List") else { return Ok(false) };
    let api_version = if item_kind.is_empty() { "" } else { kind("apiVersion") };
    let of = ItemOf { kind: item_kind.into(), api_version: api_version.into() };
    for item in &items.each {
        one(item.clone(), &of, place, sink)?;
    }
    Ok(true)
}

/// Hands on one value of a JSON text.
fn one(
    range: std::ops::Range<usize>,
    of: &ItemOf,
    place: &mut Place<'_>,
    sink: &mut impl Sink,
) -> Result<(), InputError> {
    let start = range.start;
    let text = &place.text[range];
    let origin = place.origin(start);
    if sink.text(&origin, text, of)? {
        return Ok(());
    }
    let Plain(mut value) = serde_json::from_str(text).map_err(|error| place.broken(start, &error))?;
    of.complete(&mut value);
    unpack(&origin, value, sink)
}

/// A JSON text, and how far its lines are counted.
struct Place<'t> {
    file: Str,
    text: &'t str,
    counted: usize,
    line: usize,
}

impl Place<'_> {
    /// Where an offset is, which must not lie before the one asked for last.
    fn origin(&mut self, at: usize) -> Origin {
        self.line += newlines(&self.text[self.counted..at]);
        self.counted = at;
        Origin { file: self.file.clone(), line: number(self.line) }
    }

    /// An error in the part of the text that begins at an offset.
    fn broken(&mut self, start: usize, error: &serde_json::Error) -> InputError {
        let line = self.origin(start).line.saturating_add(number(error.line().saturating_sub(1)));
        let message = error.to_string();
        let message = message.rsplit_once(" at line ").map_or(&*message, |(message, _)| message);
        InputError::new(format!("broken JSON: {message}, column {}", error.column()))
            .file(&self.file)
            .line(line)
            .remedy("check the brackets, commas and quotes up to this place")
    }
}

impl ItemOf {
    /// Writes into an item what its list says for all.
    fn complete(&self, item: &mut Value) {
        if let (Value::Object(fields), false) = (item, self.kind.is_empty()) {
            fields.entry("kind").or_insert_with(|| self.kind.clone().into());
            if !self.api_version.is_empty() {
                fields.entry("apiVersion").or_insert_with(|| self.api_version.clone().into());
            }
        }
    }
}

fn each_yaml(file: &str, text: &str, sink: &mut impl Sink) -> Result<(), InputError> {
    let file: Str = file.into();
    for (line, document) in split(text) {
        if let Some(value) = parse_yaml(&file, line, document)? {
            let shift = newlines(&document[..content_start(document)]);
            unpack(&Origin { file: file.clone(), line: number(line + shift) }, value, sink)?;
        }
    }
    Ok(())
}

/// The documents of a YAML stream with the line each begins on. A `---` at the beginning of a line can be nothing else:
/// block scalars are indented and quoted ones may not hold it there.
fn split(text: &str) -> Vec<(usize, &str)> {
    let mut out = Vec::new();
    let (mut start, mut first_line, mut at) = (0, 1, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let marks =
            line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if marks && at > start {
            out.push((first_line, &text[start..at]));
            (start, first_line) = (at, index + 1);
        }
        at += line.len();
    }
    out.push((first_line, &text[start..]));
    // What stands before the first mark may be directives, which belong to nobody's content, or comments.
    out.retain(|(_, document)| content_start(document) < document.len());
    out
}

/// Offset of the first line that holds more than a comment, a directive or a bare document mark.
fn content_start(document: &str) -> usize {
    let mut at = 0;
    for line in document.split_inclusive('\n') {
        let bare = line.strip_prefix("---").unwrap_or(line).trim();
        if !(bare.is_empty() || bare.starts_with('#') || line.starts_with('%') || bare == "...") {
            return at;
        }
        at += line.len();
    }
    document.len()
}

fn parse_yaml(file: &str, line: usize, document: &str) -> Result<Option<Value>, InputError> {
    let budget = serde_saphyr::budget! {
        max_reader_input_bytes: None,
        max_events: usize::MAX,
        max_nodes: usize::MAX,
        max_total_scalar_bytes: usize::MAX,
        max_total_comment_bytes: usize::MAX,
        max_depth: MAX_DEPTH,
    };
    let options = serde_saphyr::options! {
        budget: budget,
        emit_comments: false,
        with_snippet: false,
        // YAML 1.2: a node may be called n, and a label say yes.
        strict_booleans: true,
    };
    match serde_saphyr::from_str_with_options::<Plain>(document, options) {
        Ok(Plain(Value::Null)) => Ok(None),
        Ok(Plain(value)) => Ok(Some(value)),
        Err(error) => {
            let offset = error.location().map_or(0, |at| usize::try_from(at.line()).unwrap_or(1).max(1) - 1);
            let message = error.without_snippet().to_string();
            let message = message.split(" at line ").next().unwrap_or(&message).to_string();
            let (message, remedy) = in_words(message);
            Err(InputError::new(format!("broken YAML: {message}"))
                .file(file)
                .line(number(line + offset))
                .remedy(remedy))
        }
    }
}

/// What is wrong, and what to do about it; where a limit is passed the parser gives only the limit's name.
fn in_words(message: String) -> (String, &'static str) {
    match message.strip_prefix("budget breached: ") {
        Some(limit) if limit.contains("Depth") => {
            (format!("is nested deeper than {MAX_DEPTH} levels"), "nest less; no object of Kubernetes needs so much")
        }
        Some(_) => ("its aliases stand for too much".into(), "write out what the aliases stand for"),
        None => (message, "check the indentation and quotes on this line and the one before"),
    }
}

/// A `List` kind's items, or the object itself.
fn unpack(origin: &Origin, value: Value, sink: &mut impl Sink) -> Result<(), InputError> {
    let Value::Object(mut object) = value else {
        let what = match value {
            Value::Array(_) => "a list",
            Value::String(_) => "a text",
            _ => "a single value",
        };
        return Err(InputError::new(format!("holds {what}, not a Kubernetes object"))
            .at(origin)
            .remedy("begin with apiVersion and kind"));
    };
    let list_of =
        object.get("kind").and_then(Value::as_str).and_then(|kind| kind.strip_suffix("List")).map(str::to_string);
    let (Some(kind), true) = (list_of, object.get("items").is_none_or(|items| items.is_array() || items.is_null()))
    else {
        return sink.value(origin.clone(), Value::Object(object));
    };
    let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default().to_owned();
    let of = ItemOf { kind, api_version };
    let Some(Value::Array(items)) = object.remove("items") else { return Ok(()) };
    for mut item in items {
        of.complete(&mut item);
        unpack(origin, item, sink)?;
    }
    Ok(())
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

fn number(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(file: &str, text: &str) -> Result<Vec<(u32, Value)>, InputError> {
        let mut out = Vec::new();
        let mut sink = |origin: Origin, value| {
            out.push((origin.line, value));
            Ok(())
        };
        each(file, text.as_bytes(), &mut sink)?;
        Ok(out)
    }

    #[test]
    fn documents_are_told_apart_with_the_line_each_begins_on() {
        let text = "# head\n---\nkind: A\n---\n# nothing\n---\nkind: B\ntext: |\n  ---\n  x\n--- # note\nkind: C\n";
        let found = read("x.yaml", text).unwrap();
        let kinds: Vec<(u32, &str)> = found.iter().map(|(line, v)| (*line, v["kind"].as_str().unwrap())).collect();
        assert_eq!(kinds, [(3, "A"), (7, "B"), (12, "C")]);
        assert_eq!(found[1].1["text"], "---\nx\n");
    }

    #[test]
    fn a_list_is_unpacked_and_its_items_know_their_kind() {
        let found = read(
            "x.json",
            r#"{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"a"}},{"kind":"Node"}]}"#,
        );
        let found = found.unwrap();
        assert_eq!(found[0].1["kind"], "Pod");
        assert_eq!(found[0].1["apiVersion"], "v1");
        assert_eq!(found[1].1["kind"], "Node");
    }

    #[test]
    fn a_list_in_a_list_is_unpacked_too() {
        let found = read("x.yaml", "kind: List\nitems:\n- kind: List\n  items:\n  - kind: Pod\n").unwrap();
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn several_json_values_in_one_file_are_several_objects() {
        let found = read("x.json", "{\"kind\":\"A\"}\n\n{\"kind\":\"B\"}\n").unwrap();
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn wrong_indentation_is_named_by_its_line_in_the_file() {
        let text =
            "kind: A\n---\napiVersion: apps/v1\nkind: Deployment\nspec:\n  replicas: 2\n   selector:\n    x: y\n";
        let error = read("web.yaml", text).unwrap_err();
        assert_eq!(error.file.as_deref(), Some("web.yaml"));
        assert_eq!(error.line, Some(7), "{error}");
    }

    #[test]
    fn broken_json_is_named_by_its_line() {
        let error = read("x.json", "{\"kind\": \"A\",\n \"b\": }\n").unwrap_err();
        assert_eq!(error.line, Some(2), "{error}");
    }

    #[test]
    fn a_key_written_twice_is_an_error() {
        assert!(read("x.yaml", "kind: A\nkind: B\n").is_err());
    }

    #[test]
    fn only_true_and_false_are_booleans() {
        let found = read("x.yaml", "kind: A\na: [n, y, yes, off, true, False]\n").unwrap();
        assert_eq!(found[0].1["a"], serde_json::json!(["n", "y", "yes", "off", true, false]));
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_overflow() {
        assert!(read("x.yaml", &"[".repeat(100_000)).is_err());
        assert!(read("x.json", &"[".repeat(100_000)).is_err());
        assert!(read("x.yaml", &"- ".repeat(10_000)).is_err());
    }

    #[test]
    fn text_that_is_no_utf8_is_named_by_its_line() {
        let mut sink = |_: Origin, _: Value| Ok(());
        let error = each("x.yaml", b"kind: A\nx: \xff\n", &mut sink).unwrap_err();
        assert_eq!(error.line, Some(2));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), json in any::<bool>()) {
            let mut sink = |_: Origin, _: Value| Ok(());
            let _ = each(if json { "x.json" } else { "x.yaml" }, &bytes, &mut sink);
        }

        #[test]
        fn no_text_of_yaml_marks_makes_it_panic(text in "[-:{}\\[\\]&*!|>'\"#%@`,? a\n\t0.]{0,200}") {
            let mut sink = |_: Origin, _: Value| Ok(());
            let _ = each("x.yaml", text.as_bytes(), &mut sink);
        }
    }
}
