//! Bytes to objects: YAML documents one by one, JSON values one by one, `List` kinds unpacked.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::error::{InputError, Origin};

/// How deep an object may be nested; the deepest known (CRDs with a pod template in them) need about 50.
const MAX_DEPTH: usize = 64;

/// Takes each object with where it stood.
pub(crate) type Sink<'a> = dyn FnMut(Origin, Value) -> Result<(), InputError> + 'a;

/// Hands every object in `bytes` to `sink`, in order. Each YAML document is parsed by itself, so the largest document
/// bounds the memory needed, not the file.
pub(crate) fn each(file: &str, bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), InputError> {
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

fn each_json(file: &str, text: &str, sink: &mut Sink<'_>) -> Result<(), InputError> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let (mut line, mut counted) = (1, 0);
    loop {
        let start = values.byte_offset();
        let blank = text[start..].len() - text[start..].trim_start().len();
        line += newlines(&text[counted..start + blank]);
        counted = start + blank;
        let Some(value) = values.next() else { return Ok(()) };
        let value = value.map_err(|error| {
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or(&message);
            InputError::new(format!("broken JSON: {message}, column {}", error.column()))
                .file(file)
                .line(number(error.line()))
                .remedy("check the brackets, commas and quotes up to this place")
        })?;
        unpack(&Origin { file: file.into(), line: number(line) }, value, sink)?;
    }
}

fn each_yaml(file: &str, text: &str, sink: &mut Sink<'_>) -> Result<(), InputError> {
    let file: planner::model::Str = file.into();
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
    match serde_saphyr::from_str_with_options::<Value>(document, options) {
        Ok(Value::Null) => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            let offset = error.location().map_or(0, |at| usize::try_from(at.line()).unwrap_or(1).max(1) - 1);
            let message = error.without_snippet().to_string();
            let message = message.split(" at line ").next().unwrap_or(&message).to_string();
            Err(InputError::new(format!("broken YAML: {message}"))
                .file(file)
                .line(number(line + offset))
                .remedy("check the indentation and quotes on this line and the one before"))
        }
    }
}

/// A `List` kind's items, or the object itself.
fn unpack(origin: &Origin, value: Value, sink: &mut Sink<'_>) -> Result<(), InputError> {
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
    let (Some(item_kind), true) =
        (list_of, object.get("items").is_none_or(|items| items.is_array() || items.is_null()))
    else {
        return sink(origin.clone(), Value::Object(object));
    };
    let version = object.get("apiVersion").cloned();
    let Some(Value::Array(items)) = object.remove("items") else { return Ok(()) };
    for mut item in items {
        // Items of a typed list, as the API server sends it, do not repeat kind and version.
        if let (Value::Object(fields), false) = (&mut item, item_kind.is_empty()) {
            fields.entry("kind").or_insert_with(|| item_kind.clone().into());
            if let Some(version) = &version {
                fields.entry("apiVersion").or_insert_with(|| version.clone());
            }
        }
        unpack(origin, item, sink)?;
    }
    Ok(())
}

fn newlines(text: &str) -> usize {
    text.split('\n').count() - 1
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
        each(file, text.as_bytes(), &mut |origin, value| {
            out.push((origin.line, value));
            Ok(())
        })?;
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
        let mut sink = |_, _| Ok(());
        let error = each("x.yaml", b"kind: A\nx: \xff\n", &mut sink).unwrap_err();
        assert_eq!(error.line, Some(2));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), json in any::<bool>()) {
            let mut sink = |_, _| Ok(());
            let _ = each(if json { "x.json" } else { "x.yaml" }, &bytes, &mut sink);
        }

        #[test]
        fn no_text_of_yaml_marks_makes_it_panic(text in "[-:{}\\[\\]&*!|>'\"#%@`,? a\n\t0.]{0,200}") {
            let mut sink = |_, _| Ok(());
            let _ = each("x.yaml", text.as_bytes(), &mut sink);
        }
    }
}
