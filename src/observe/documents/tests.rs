//! Documents of every form, and of none.

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
    let found =
        read("x.json", r#"{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"a"}},{"kind":"Node"}]}"#);
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
    let text = "kind: A\n---\napiVersion: apps/v1\nkind: Deployment\nspec:\n  replicas: 2\n   selector:\n    x: y\n";
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

fn kinds(file: &str, text: &str) -> Vec<(u32, String)> {
    read(file, text).unwrap().iter().map(|(line, value)| (*line, value["kind"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn documents_of_json_and_of_yaml_may_stand_in_one_file() {
    let text = "{\"kind\": \"A\"}\n---\nkind: B\n--- {\"kind\": \"C\"}\n---\n{\"kind\":\n \"D\"} {\"kind\": \"E\"}\n# end\n...\n";
    let expected: Vec<(u32, String)> =
        [(1, "A"), (3, "B"), (4, "C"), (6, "D"), (7, "E")].map(|(l, k)| (l, k.into())).into();
    assert_eq!(kinds("x.yaml", text), expected);
    assert_eq!(kinds("<stdin>", text), expected);
    let json = "# head\n---\n{\"kind\": \"A\"}\n---\n---\n{\"kind\": \"B\"}\n";
    assert_eq!(kinds("x.json", json), [(3, "A".to_owned()), (6, "B".to_owned())]);
    let error = read("x.yaml", "{\"kind\": \"A\"}\n---\n{\"kind\": \"B\"}\n{\"b\":\n }\n").unwrap_err();
    assert_eq!(error.line, Some(5), "{error}");
}

#[test]
fn a_list_without_a_list_of_items_is_an_error() {
    for (file, text) in [
        ("x.yaml", "kind: List\napiVersion: v1\nitems: foo\n"),
        ("x.json", "{\"kind\": \"PodList\", \"apiVersion\": \"v1\", \"items\": {\"a\": 1}}"),
    ] {
        let error = read(file, text).unwrap_err().to_string();
        assert!(error.contains("List: items: must be a list, is ") && error.contains("remedy"), "{error}");
    }
    assert_eq!(kinds("x.yaml", "kind: PlayList\nitems: {a: 1}\n"), [(1, "PlayList".to_owned())]);
    assert_eq!(kinds("x.yaml", "kind: List\nitems: null\n"), []);
}

#[test]
fn a_number_that_was_written_otherwise_is_not_given_to_be_quoted() {
    let of = |number: &str| {
        InputError::new("must be a text").value(number).remedy(format!("put it in quotes: \"{number}\""))
    };
    let told = as_written(of("31"), "labels: {a: 0x1F, b: 131}").to_string();
    assert_eq!(told, "must be a text\n  remedy: put it in quotes, as it is written");
    assert_eq!(as_written(of("31"), "labels: {a: 31}"), of("31"));
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
