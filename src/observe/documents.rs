//! Bytes to objects: YAML documents one by one, JSON values one by one, `List` kinds unpacked.

use planner::model::Str;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::error::{InputError, Origin};
use super::kinds::SERVED;
use super::outline::{self, Top};
use super::plain::Plain;
use super::strict::kind_of;

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

/// Hands every object in `bytes` to `sink`, in order. Each document is parsed by itself, so the largest document bounds
/// the memory needed, not the file; each may be JSON or YAML, whatever the others are.
pub(crate) fn each(file: &str, bytes: &[u8], sink: &mut impl Sink) -> Result<(), InputError> {
    let text = text(file, bytes)?;
    let ending = file.strip_suffix(".gz").unwrap_or(file).rsplit('.').next();
    let is_json = ending.is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let file: Str = file.into();
    for (line, document) in split(text) {
        let start = content_start(document);
        let line_of_content = line + newlines(&document[..start]);
        match json(&document[start..], is_json) {
            Some(values) => each_json(&file, line_of_content, values, sink)?,
            None => yaml(&file, (line, line_of_content), document, sink)?,
        }
    }
    Ok(())
}

/// The JSON values that a document is made of, if it is: without its mark, and without comments at its end.
fn json(content: &str, is_json: bool) -> Option<&str> {
    let marked = content.strip_prefix("---").filter(|rest| rest.starts_with([' ', '\t']));
    let mut values = marked.unwrap_or(content).trim_end();
    if !values.trim_start().starts_with('{') && !is_json {
        return None;
    }
    while let Some((before, last)) = values.rsplit_once('\n')
        && (last.trim_start().starts_with('#') || last == "...")
    {
        values = before.trim_end();
    }
    (is_json || first_json(values)).then_some(values)
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

/// Hands on one value after the other of a text that begins on this line.
fn each_json(file: &Str, line: usize, text: &str, sink: &mut impl Sink) -> Result<(), InputError> {
    let mut place = Place { file: file.clone(), text, counted: 0, line };
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

/// Hands on the object of a document that begins on the first of these lines, and its content on the second.
fn yaml(file: &Str, (line, content): (usize, usize), document: &str, sink: &mut impl Sink) -> Result<(), InputError> {
    let Some(value) = parse_yaml(file, line, document)? else { return Ok(()) };
    let unpacked = unpack(&Origin { file: file.clone(), line: number(content) }, value, sink);
    unpacked.map_err(|error| as_written(error, document))
}

/// The error without a number that stands nowhere in the document: 0x1F reads as 31, and 31 in quotes is not what was
/// meant.
fn as_written(mut error: InputError, document: &str) -> InputError {
    const QUOTE: &str = "put it in quotes";
    let number = error.remedy.as_deref().and_then(|remedy| remedy.strip_prefix(QUOTE)?.strip_prefix(": \""));
    let Some(number) = number.and_then(|number| number.strip_suffix('"')) else { return error };
    let is_of_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
    if document.split(|c| !is_of_word(c)).any(|word| word == number) {
        return error;
    }
    if let Some(message) = error.message.strip_suffix(number) {
        error.message = message.trim_end().into();
    }
    error.value = None;
    error.remedy = Some(format!("{QUOTE}, as it is written").into());
    error
}

/// The documents of a stream with the line each begins on. A `---` at the beginning of a line can be nothing else: block
/// scalars are indented, and quoted ones, as JSON's, may not hold it there.
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
    if let Some(rest) = message.strip_prefix("duplicate mapping key") {
        let key =
            rest.strip_prefix(": ").and_then(|rest| rest.split_once(", set ")).map(|(key, _)| format!("field {key}"));
        let key = key.unwrap_or_else(|| "a field".into());
        return (format!("{key} is written twice"), "remove one; between two objects put a line ---");
    }
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
    if let Some(fault) = items_that_are_none(&object) {
        return Err(fault.at(origin));
    }
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

/// A list of a kind that is read, whose items are no list.
fn items_that_are_none(object: &serde_json::Map<String, Value>) -> Option<InputError> {
    let kind = object.get("kind").and_then(Value::as_str)?;
    let items = object.get("items").filter(|items| !items.is_array() && !items.is_null())?;
    let of = kind.strip_suffix("List").filter(|of| of.is_empty() || SERVED.iter().any(|served| served.name == *of));
    of.map(|_| {
        let shown = if items.is_object() { String::new() } else { items.to_string() };
        let fault = InputError::new(format!("must be a list, is {}", kind_of(items))).object(kind).field("items");
        fault.value(shown.trim_matches('"')).remedy("begin each entry with \"- \", or write items: [] for none")
    })
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

fn number(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
