//! The field names and types of Kubernetes' own kinds, from a table, and a walk over an object by them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::OnceLock;

use planner::model::Quantity;
use serde_json::{Number, Value};

use super::names;
use super::near::nearest;

/// The table; its head says where it comes from.
const CORE: &str = include_str!("core.schema");

/// What is wrong at one place.
pub(crate) struct Fault {
    pub(crate) path: String,
    pub(crate) message: String,
    pub(crate) value: Option<String>,
    pub(crate) remedy: Option<String>,
    /// An API server passes it over or puts it right, unless it is asked to be strict; any other cannot be read.
    pub(crate) unknown: bool,
}

impl Fault {
    /// At this place.
    pub(super) fn at(self, path: String) -> Self {
        Self { path, ..self }
    }
}

pub(super) enum Type {
    Text,
    /// Of 64 bits.
    Integer,
    /// Of 32 bits.
    Int32,
    Number,
    Flag,
    Time,
    Quantity,
    IntOrText,
    Any,
    List(Box<Self>),
    Map(Box<Self>),
    Labels,
    LabelValue,
    Struct(usize),
}

pub(super) struct Struct {
    /// Unlisted fields are no error here and below.
    pub(super) lenient: bool,
    pub(super) fields: BTreeMap<&'static str, Type>,
}

/// All types of a table.
pub(crate) struct Schema {
    pub(super) structs: Vec<Struct>,
    pub(super) by_name: BTreeMap<&'static str, usize>,
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
            (Type::Labels, Value::Object(fields)) => {
                for (name, value) in fields {
                    path.push(Step::Field(name));
                    faults.extend(names::no_label_key(name).map(|fault| fault.at(render(path))));
                    self.step(&Type::LabelValue, value, lenient, path, faults);
                    path.pop();
                }
            }
            (Type::LabelValue, Value::String(text)) => {
                faults.extend(names::no_label_value(text).map(|fault| fault.at(render(path))));
            }
            (Type::Any, _)
            | (Type::Text | Type::IntOrText, Value::String(_))
            | (Type::Flag, Value::Bool(_))
            | (Type::Number, Value::Number(_)) => {}
            (Type::Integer, Value::Number(number)) if number.is_i64() => {}
            (Type::Int32, Value::Number(number)) if number.as_i64().is_some_and(is_int32) => {}
            (Type::IntOrText, Value::Number(number)) if number.is_i64() || number.is_u64() => {}
            (Type::Time, Value::String(text)) => faults.extend(no_time(text, path)),
            (Type::Quantity, Value::Number(_) | Value::String(_)) => faults.extend(no_quantity(&scalar(value), path)),
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
        "int32" => Type::Int32,
        "labels" => Type::Labels,
        "num" => Type::Number,
        "bool" => Type::Flag,
        "time" => Type::Time,
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

/// From here on no number has a fraction, and none fits into 64 bits.
const BEYOND: f64 = 9.3e18;

/// Does the number fit into 32 bits?
pub(super) fn is_int32(number: i64) -> bool {
    i32::try_from(number).is_ok()
}

fn wrong(kind: &Type, value: &Value, path: &[Step<'_>]) -> Fault {
    let is_fraction = value.as_number().is_some_and(Number::is_f64);
    // Whole numbers beyond 64 bits are read as fractions, too.
    let is_whole = !is_fraction || value.as_f64().is_some_and(|number| number.abs() >= BEYOND);
    if let (Type::Integer | Type::Int32, Value::Number(number), true) = (kind, value, is_whole) {
        let (least, most) =
            if matches!(kind, Type::Int32) { (i32::MIN.into(), i32::MAX.into()) } else { (i64::MIN, i64::MAX) };
        return Fault {
            path: render(path),
            message: "is out of range".into(),
            value: Some(number.to_string()),
            remedy: Some(format!("write a whole number from {least} to {most}")),
            unknown: false,
        };
    }
    let want = match kind {
        Type::Text | Type::LabelValue => "a text",
        Type::Integer | Type::Int32 => "a whole number",
        Type::Number => "a number",
        Type::Flag => "true or false",
        Type::Time => "a time",
        Type::Quantity => "a quantity",
        Type::IntOrText => "a whole number or a text",
        Type::List(_) => "a list",
        Type::Map(_) | Type::Struct(_) | Type::Labels => "an object with fields",
        Type::Any => "anything",
    };
    let text = scalar(value);
    let remedy = match (kind, value) {
        // How a fraction was written is lost: 1e5 reads as 100000.0.
        (Type::Text | Type::LabelValue, Value::Number(_)) if is_fraction => "put it in quotes, as it is written".into(),
        (Type::Text | Type::LabelValue, Value::Number(_) | Value::Bool(_)) => format!("put it in quotes: \"{text}\""),
        (Type::Flag, Value::String(_)) => "write true or false, without quotes".into(),
        (Type::Integer | Type::Int32, Value::Number(_)) => "write a whole number, without a fraction".into(),
        (Type::Integer | Type::Int32 | Type::Number, Value::String(text)) if text.parse::<f64>().is_ok() => {
            "write it without quotes".into()
        }
        (Type::List(_), _) => "begin each entry with \"- \"".into(),
        (Type::Map(_) | Type::Struct(_) | Type::Labels, _) => "write fields below it, each as NAME: VALUE".into(),
        _ => format!("write {want}"),
    };
    let message = format!("must be {want}, is {}", kind_of(value));
    let is_lost = is_fraction && matches!(kind, Type::Text | Type::LabelValue);
    let value = (!matches!(value, Value::Array(_) | Value::Object(_)) && !is_lost).then_some(text);
    Fault { path: render(path), message, value, remedy: Some(remedy), unknown: false }
}

/// What a value is, in words.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object with fields",
    }
}

fn no_time(text: &str, path: &[Step<'_>]) -> Option<Fault> {
    (!is_time(text)).then(|| Fault {
        path: render(path),
        message: "is no time".into(),
        value: Some(text.into()),
        remedy: Some("write it like 2026-01-31T12:00:00Z".into()),
        unknown: false,
    })
}

fn no_quantity(text: &str, path: &[Step<'_>]) -> Option<Fault> {
    let (message, remedy, unknown) = match Quantity::parse(text) {
        Ok(_) if !is_vast(text) => return None,
        Ok(_) => (format!("is more than Kubernetes can count, which ends at {MOST}"), "write what is needed", true),
        Err(error) => (error.to_string(), "write a number with an optional unit: 500m, 1.5, 512Mi, 2Gi, 1e3", false),
    };
    Some(Fault { path: render(path), message, value: Some(text.into()), remedy: Some(remedy.into()), unknown })
}

/// The largest number of whole units, either way.
const MOST: &str = "9223372036854775807";

/// More than an API server can keep: it would write down the largest number there is instead.
pub(super) fn is_vast(text: &str) -> bool {
    Quantity::parse(text).is_ok_and(Quantity::is_capped) && text.trim_start_matches(['+', '-']) != MOST
}

/// A time as RFC 3339 writes it, and one that there is.
pub(super) fn is_time(text: &str) -> bool {
    const SHAPE: &[u8; 19] = b"0000-00-00T00:00:00";
    let bytes = text.as_bytes();
    let fits = |shape: u8, byte: u8| if shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
    let matches = |shape: &[u8], bytes: &[u8]| {
        shape.len() == bytes.len() && shape.iter().zip(bytes).all(|(shape, byte)| fits(*shape, *byte))
    };
    let Some((moment, rest)) = bytes.split_at_checked(SHAPE.len()) else { return false };
    let digits = rest.strip_prefix(b".").map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_digit()).count());
    let zone = if digits > 0 { &rest[1 + digits..] } else { rest };
    let is_zone = zone == b"Z" || matches(b"+00:00", zone) || matches(b"-00:00", zone);
    // A leap second is more than Go's reader takes.
    let is_moment = || text[..SHAPE.len()].parse::<jiff::civil::DateTime>().is_ok();
    matches(SHAPE, moment) && !moment.ends_with(b"60") && is_zone && is_moment()
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
            let scalar =
                ["str", "int", "int32", "labels", "num", "bool", "time", "quantity", "intstr", "any"].contains(&name);
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
        assert_eq!(
            faults("Pod", r#"{"metadata":{"labels":["a"]},"spec":[]}"#),
            [
                "metadata.labels: must be an object with fields, is a list | write fields below it, each as NAME: VALUE",
                "spec: must be an object with fields, is a list | write fields below it, each as NAME: VALUE",
            ]
        );
    }

    #[test]
    fn how_a_fraction_was_written_is_not_made_up() {
        let found = faults("Pod", r#"{"metadata":{"labels":{"v":1e5}}}"#);
        assert_eq!(found, ["metadata.labels.v: must be a text, is a number | put it in quotes, as it is written"]);
    }

    #[test]
    fn a_number_beyond_its_field_is_told_with_the_range() {
        let small = "is out of range | write a whole number from -2147483648 to 2147483647";
        assert_eq!(faults("Pod", r#"{"spec":{"priority":99999999999}}"#), [format!("spec.priority: {small}")]);
        assert_eq!(faults("PriorityClass", r#"{"value":-2147483649}"#), [format!("value: {small}")]);
        let large = faults("Pod", r#"{"spec":{"terminationGracePeriodSeconds":9223372036854775808}}"#);
        assert_eq!(large.len(), 1, "{large:?}");
        assert_eq!(faults("Pod", r#"{"spec":{"priority":2000001000}}"#), [""; 0]);
    }

    #[test]
    fn labels_that_an_api_server_refuses_are_told() {
        let found = faults("Pod", r#"{"metadata":{"labels":{"a":"b c","-x":"","example.com/a.b_c":"1.2-x"}}}"#);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("metadata.labels.-x: is no label key"), "{found:?}");
        assert!(found[1].starts_with("metadata.labels.a: is no label value"), "{found:?}");
        let template = r#"{"spec":{"template":{"metadata":{"labels":{"a":"-"}}},
            "volumeClaimTemplates":[{"metadata":{"labels":{"a":"-"}}}]}}"#;
        assert_eq!(faults("StatefulSet", template).len(), 1, "an API server does not look at the claims");
    }

    #[test]
    fn a_quantity_that_is_none_is_told() {
        let found =
            faults("Pod", r#"{"spec":{"containers":[{"resources":{"requests":{"cpu":"1,5","memory":1024}}}]}}"#);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("spec.containers[0].resources.requests.cpu: \"1,5\""), "{found:?}");
    }

    #[test]
    fn a_time_that_is_none_is_told() {
        let found = faults(
            "Pod",
            r#"{"metadata":{"deletionTimestamp":"tomorrow"},"status":{"startTime":"2026-02-30T00:00:00Z"}}"#,
        );
        assert_eq!(
            found,
            [
                "metadata.deletionTimestamp: is no time | write it like 2026-01-31T12:00:00Z",
                "status.startTime: is no time | write it like 2026-01-31T12:00:00Z",
            ]
        );
        for good in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00.123456789+02:00",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
        ] {
            assert!(is_time(good), "{good}");
        }
        for bad in [
            "",
            "2026-01-31",
            "2026-01-31T12:00:00",
            "2026-01-31 12:00:00Z",
            "2026-01-31T12:00:60Z",
            "2026-01-31T12:00:00.Z",
            "2026-01-31T12:00:00é",
            "20260131T120000Z",
            "2026-13-01T00:00:00Z",
        ] {
            assert!(!is_time(bad), "{bad}");
        }
    }

    #[test]
    fn a_quantity_beyond_all_measure_is_told_and_the_largest_one_is_not() {
        let cpu = |text: &str| faults("Pod", &format!(r#"{{"spec":{{"overhead":{{"cpu":"{text}"}}}}}}"#));
        assert!(cpu("1e30")[0].contains("more than Kubernetes can count"), "{:?}", cpu("1e30"));
        assert!(cpu("1e99999999999999999999")[0].contains("not a quantity"), "{:?}", cpu("1e99999999999999999999"));
        assert_eq!(cpu("9223372036854775807"), [""; 0]);
    }

    #[test]
    fn status_and_metadata_may_hold_what_later_versions_add() {
        assert_eq!(faults("Pod", r#"{"metadata":{"new":1},"status":{"conditions":[{"new":1}]}}"#), [""; 0]);
    }
}
