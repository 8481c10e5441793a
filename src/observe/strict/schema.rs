//! The field names and types of Kubernetes' own kinds, from a table, and a walk over an object by them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::OnceLock;

use planner::model::Quantity;
use serde_json::Value;

use super::near::nearest;

/// The table; its head says where it comes from.
const CORE: &str = include_str!("core.schema");

/// What is wrong at one place.
pub(crate) struct Fault {
    pub(crate) path: String,
    pub(crate) message: String,
    pub(crate) value: Option<String>,
    pub(crate) remedy: Option<String>,
    /// The field is not known; otherwise its value cannot be read.
    pub(crate) unknown: bool,
}

enum Type {
    Text,
    Integer,
    Number,
    Flag,
    Quantity,
    IntOrText,
    Any,
    List(Box<Self>),
    Map(Box<Self>),
    Struct(usize),
}

struct Struct {
    /// Unlisted fields are no error here and below.
    lenient: bool,
    fields: BTreeMap<&'static str, Type>,
}

/// All types of a table.
pub(crate) struct Schema {
    structs: Vec<Struct>,
    by_name: BTreeMap<&'static str, usize>,
}

/// Where the walk stands.
enum Step<'a> {
    Field(&'a str),
    Index(usize),
}

impl Schema {
    /// Kubernetes' own kinds.
    pub(crate) fn core() -> &'static Self {
        static TABLE: OnceLock<Schema> = OnceLock::new();
        TABLE.get_or_init(|| Self::parse(CORE))
    }

    fn parse(table: &'static str) -> Self {
        let lines = || table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let heads = lines().filter(|line| !line.starts_with(' '));
        let by_name: BTreeMap<&str, usize> =
            heads.enumerate().map(|(at, head)| (head.strip_prefix('~').unwrap_or(head), at)).collect();
        let mut structs: Vec<Struct> = Vec::new();
        for line in lines() {
            match line.strip_prefix(' ').and_then(|field| field.split_once(' ')) {
                None => structs.push(Struct { lenient: line.starts_with('~'), fields: BTreeMap::new() }),
                Some((name, kind)) => {
                    if let Some(last) = structs.last_mut() {
                        last.fields.insert(name, type_of(kind, &by_name));
                    }
                }
            }
        }
        Self { structs, by_name }
    }

    /// Notes every fault of an object of this kind.
    pub(crate) fn walk(&self, kind: &str, value: &Value, faults: &mut Vec<Fault>) {
        if let Some(at) = self.by_name.get(kind) {
            self.step(&Type::Struct(*at), value, false, &mut Vec::new(), faults);
        }
    }

    fn step<'v>(
        &self,
        kind: &Type,
        value: &'v Value,
        lenient: bool,
        path: &mut Vec<Step<'v>>,
        faults: &mut Vec<Fault>,
    ) {
        match (kind, value) {
            (Type::Struct(at), Value::Object(fields)) => {
                let known = &self.structs[*at];
                let lenient = lenient || known.lenient;
                for (name, value) in fields {
                    path.push(Step::Field(name));
                    match known.fields.get(name.as_str()) {
                        Some(kind) => self.step(kind, value, lenient, path, faults),
                        None if lenient => {}
                        None => faults.push(unknown(name, path, &known.fields)),
                    }
                    path.pop();
                }
            }
            (Type::List(of), Value::Array(items)) => {
                for (at, item) in items.iter().enumerate() {
                    path.push(Step::Index(at));
                    self.step(of, item, lenient, path, faults);
                    path.pop();
                }
            }
            (Type::Map(of), Value::Object(fields)) => {
                for (name, value) in fields {
                    path.push(Step::Field(name));
                    self.step(of, value, lenient, path, faults);
                    path.pop();
                }
            }
            (Type::Any, _)
            | (Type::Text | Type::IntOrText, Value::String(_))
            | (Type::Flag, Value::Bool(_))
            | (Type::Number, Value::Number(_)) => {}
            (Type::Integer | Type::IntOrText, Value::Number(number)) if number.is_i64() || number.is_u64() => {}
            (Type::Quantity, Value::Number(_) | Value::String(_)) => {
                let text = scalar(value);
                if let Err(error) = Quantity::parse(&text) {
                    faults.push(Fault {
                        path: render(path),
                        message: error.to_string(),
                        value: Some(text),
                        remedy: Some("write a number with an optional unit: 500m, 1.5, 512Mi, 2Gi, 1e3".into()),
                        unknown: false,
                    });
                }
            }
            _ => faults.push(wrong(kind, value, path)),
        }
    }
}

fn type_of(text: &str, by_name: &BTreeMap<&str, usize>) -> Type {
    if let Some(of) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Type::List(Box::new(type_of(of, by_name)));
    }
    if let Some(of) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        return Type::Map(Box::new(type_of(of, by_name)));
    }
    match text {
        "str" => Type::Text,
        "int" => Type::Integer,
        "num" => Type::Number,
        "bool" => Type::Flag,
        "quantity" => Type::Quantity,
        "intstr" => Type::IntOrText,
        name => by_name.get(name).map_or(Type::Any, |at| Type::Struct(*at)),
    }
}

fn unknown(name: &str, path: &[Step<'_>], known: &BTreeMap<&'static str, Type>) -> Fault {
    let names: BTreeSet<&str> = known.keys().copied().collect();
    let remedy = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known here: {}", names.into_iter().collect::<Vec<_>>().join(", ")),
    };
    Fault { path: render(path), message: "unknown field".into(), value: None, remedy: Some(remedy), unknown: true }
}

fn wrong(kind: &Type, value: &Value, path: &[Step<'_>]) -> Fault {
    let want = match kind {
        Type::Text => "a text",
        Type::Integer => "a whole number",
        Type::Number => "a number",
        Type::Flag => "true or false",
        Type::Quantity => "a quantity",
        Type::IntOrText => "a whole number or a text",
        Type::List(_) => "a list",
        Type::Map(_) | Type::Struct(_) => "an object with fields",
        Type::Any => "anything",
    };
    let text = scalar(value);
    let have = match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object with fields",
    };
    let remedy = match (kind, value) {
        (Type::Text, Value::Number(_) | Value::Bool(_)) => Some(format!("put it in quotes: \"{text}\"")),
        (Type::Flag, Value::String(_)) => Some("write true or false, without quotes".into()),
        (Type::Integer | Type::Number, Value::String(_)) => Some("write it without quotes".into()),
        (Type::List(_), _) => Some("begin each entry with \"- \"".into()),
        _ => None,
    };
    let value = (!matches!(value, Value::Array(_) | Value::Object(_))).then_some(text);
    Fault { path: render(path), message: format!("must be {want}, is {have}"), value, remedy, unknown: false }
}

fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

/// `spec.containers[0].image`; map keys that hold dots are put in brackets.
fn render(path: &[Step<'_>]) -> String {
    let mut out = String::new();
    for step in path {
        let _ = match step {
            Step::Index(at) => write!(out, "[{at}]"),
            Step::Field(name) if name.contains(['.', '/']) => write!(out, "[{name}]"),
            Step::Field(name) if out.is_empty() => write!(out, "{name}"),
            Step::Field(name) => write!(out, ".{name}"),
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::kinds::SERVED;

    fn faults(kind: &str, value: &str) -> Vec<String> {
        let mut out = Vec::new();
        Schema::core().walk(kind, &serde_json::from_str(value).unwrap(), &mut out);
        out.into_iter().map(|f| format!("{}: {} | {}", f.path, f.message, f.remedy.unwrap_or_default())).collect()
    }

    #[test]
    fn every_core_kind_that_is_read_has_its_table() {
        for served in SERVED.iter().filter(|served| !served.custom) {
            assert!(Schema::core().by_name.contains_key(served.name), "{}", served.name);
        }
    }

    #[test]
    fn every_type_named_in_the_table_is_in_it() {
        for line in CORE.lines().filter_map(|line| line.strip_prefix(' ')) {
            let name = line.split(' ').nth(1).unwrap().trim_matches(['[', ']', '{', '}']);
            let scalar = ["str", "int", "num", "bool", "quantity", "intstr", "any"].contains(&name);
            assert!(scalar || Schema::core().by_name.contains_key(name), "{line}");
        }
    }

    #[test]
    fn an_unknown_field_is_told_with_the_name_that_was_meant() {
        let found =
            faults("Deployment", r#"{"kind":"Deployment","spec":{"replica":2,"template":{"spec":{"container":[]}}}}"#);
        assert_eq!(found[0], "spec.replica: unknown field | did you mean replicas?");
        assert!(
            found[1].contains("spec.template.spec.container: unknown field | did you mean containers?"),
            "{found:?}"
        );
    }

    #[test]
    fn a_wrong_type_is_told_with_what_to_write() {
        assert_eq!(
            faults("Pod", r#"{"metadata":{"labels":{"v":1}},"spec":{"priority":"9","tolerations":{}}}"#),
            [
                "metadata.labels.v: must be a text, is a number | put it in quotes: \"1\"",
                "spec.priority: must be a whole number, is a text | write it without quotes",
                "spec.tolerations: must be a list, is an object with fields | begin each entry with \"- \"",
            ]
        );
    }

    #[test]
    fn a_quantity_that_is_none_is_told() {
        let found =
            faults("Pod", r#"{"spec":{"containers":[{"resources":{"requests":{"cpu":"1,5","memory":1024}}}]}}"#);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("spec.containers[0].resources.requests.cpu: \"1,5\""), "{found:?}");
    }

    #[test]
    fn status_and_metadata_may_hold_what_later_versions_add() {
        assert_eq!(faults("Pod", r#"{"metadata":{"new":1},"status":{"conditions":[{"new":1}]}}"#), [""; 0]);
    }
}
