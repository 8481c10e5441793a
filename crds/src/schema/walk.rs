//! The walk of an object along its schema.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Fault;
use super::defaults::is_nullable;
use super::leaf::{self, Complaint, excerpt};
use super::nearest::{elsewhere, nearest};
use super::path::{Place, Step};

/// All faults of the form of `object` under a structural schema (an `openAPIV3Schema` without `$ref`): unknown fields,
/// wrong types, values out of range or form, missing and repeated ones. Objects whose schema names no fields at all are
/// open. A null where none is allowed counts as missing, and so does nothing where there is a default.
pub fn walk(schema: &Value, object: &Value) -> Vec<Fault> {
    let mut walk = Walk { root: schema, faults: Vec::new() };
    walk.value(schema, object, &Place::ROOT, true);
    walk.faults
}

struct Walk<'a> {
    root: &'a Value,
    faults: Vec<Fault>,
}

impl Walk<'_> {
    fn complain(&mut self, at: &Place<'_>, (message, remedy): Complaint) {
        self.faults.push(Fault { path: at.text(), message, remedy });
    }

    /// `names_all` is false inside `anyOf` and its like, whose parts name only some of the fields.
    fn value(&mut self, schema: &Value, value: &Value, at: &Place<'_>, names_all: bool) {
        if value.is_null() && is_nullable(schema) {
            return;
        }
        let is_int_or_string = has(schema, "x-kubernetes-int-or-string");
        if let Some(complaint) = wrong_type(schema, value, is_int_or_string) {
            return self.complain(at, complaint);
        }
        if let Some(complaint) = leaf::enumerated(schema, value) {
            return self.complain(at, complaint);
        }
        let complaints = match value {
            Value::String(text) => leaf::text(schema, text),
            Value::Number(number) => leaf::number(schema, number),
            _ => Vec::new(),
        };
        for complaint in complaints {
            self.complain(at, complaint);
        }
        match value {
            Value::Object(fields) => self.object(schema, fields, at, names_all),
            Value::Array(elements) => self.array(schema, elements, at, names_all),
            _ => {}
        }
        self.parts(schema, value, at, is_int_or_string);
    }

    fn object(&mut self, schema: &Value, fields: &Map<String, Value>, at: &Place<'_>, names_all: bool) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let additional = schema.get("additionalProperties");
        let is_open = has(schema, "x-kubernetes-preserve-unknown-fields")
            || additional.is_some_and(|additional| additional == &Value::Bool(true))
            || properties.is_none() && additional.is_none();
        let n_fields = fields.len();
        for complaint in counts(schema, n_fields, "Properties", "entries") {
            self.complain(at, complaint);
        }
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            let inner = properties.and_then(|properties| properties.get(name));
            let is_missing = match fields.get(name) {
                None => true,
                Some(field) => field.is_null() && !inner.is_some_and(is_nullable),
            };
            if is_missing && inner.is_none_or(|inner| inner.get("default").is_none()) {
                self.complain(&at.then(Step::Field(name)), missing(name, inner));
            }
        }
        for (name, field) in fields {
            if let Some(inner) = properties.and_then(|properties| properties.get(name)) {
                if !field.is_null() || is_nullable(inner) {
                    self.value(inner, field, &at.then(Step::Field(name)), names_all);
                }
            } else if let Some(inner) = additional.filter(|additional| additional.is_object()) {
                if !field.is_null() || is_nullable(inner) {
                    self.value(inner, field, &at.then(Step::Key(name)), names_all);
                }
            } else if names_all && !is_open {
                let complaint = self.unknown(name, field, properties);
                self.complain(&at.then(Step::Field(name)), complaint);
            }
        }
    }

    fn unknown(&self, name: &str, field: &Value, properties: Option<&Map<String, Value>>) -> Complaint {
        let siblings = || properties.into_iter().flatten().map(|(sibling, _)| sibling.as_str());
        // Every object has these at its root: nobody who writes one elsewhere has misplaced it.
        let is_of_root = matches!(name, "apiVersion" | "kind" | "metadata");
        let group = siblings().find(|sibling| name == "apiVersion" && matches!(*sibling, "group" | "apiGroup"));
        let remedy = if let Some(group) = group {
            let version = field.as_str().and_then(|version| version.split_once('/'));
            version.map_or_else(
                || format!("write {group}, which is what stands before the slash of an apiVersion"),
                |(name, _)| format!("write {group}: {name}"),
            )
        } else if let Some(meant) = nearest(name, siblings()) {
            format!("did you mean {meant}?")
        } else if let Some(path) = elsewhere(self.root, name).filter(|_| !is_of_root) {
            format!("it belongs at {path}")
        } else {
            format!("remove it; known here are {}", siblings().collect::<Vec<_>>().join(", "))
        };
        (format!("unknown field {name:?}"), remedy)
    }

    fn array(&mut self, schema: &Value, elements: &[Value], at: &Place<'_>, names_all: bool) {
        for complaint in counts(schema, elements.len(), "Items", "elements") {
            self.complain(at, complaint);
        }
        if let Some(items) = schema.get("items") {
            for (index, element) in elements.iter().enumerate() {
                self.value(items, element, &at.then(Step::Item(index)), names_all);
            }
        }
        let list_type = schema.get("x-kubernetes-list-type").and_then(Value::as_str);
        let keys: Vec<&str> = match list_type {
            Some("map") => {
                let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
                keys.into_iter().flatten().filter_map(Value::as_str).collect()
            }
            Some("set") => Vec::new(),
            _ if has(schema, "uniqueItems") => Vec::new(),
            _ => return,
        };
        let identity = |element: &Value| -> String {
            if keys.is_empty() {
                return element.to_string();
            }
            keys.iter().map(|key| element[*key].to_string()).collect::<Vec<_>>().join(", ")
        };
        let mut seen = BTreeSet::new();
        for (index, element) in elements.iter().enumerate() {
            let identity = identity(element);
            let text = excerpt(&identity);
            if !seen.insert(identity) {
                let remedy = "name each of them once".to_owned();
                self.complain(&at.then(Step::Item(index)), (format!("{text} is there twice"), remedy));
            }
        }
    }

    /// `allOf`, `anyOf`, `oneOf` and `not`. Of an int-or-string, `anyOf` only says so again.
    fn parts(&mut self, schema: &Value, value: &Value, at: &Place<'_>, is_int_or_string: bool) {
        let parts = |name: &str| schema.get(name).and_then(Value::as_array);
        for part in parts("allOf").into_iter().flatten() {
            self.value(part, value, at, false);
        }
        let passes = |part: &Value| {
            let mut walk = Walk { root: self.root, faults: Vec::new() };
            walk.value(part, value, at, false);
            walk.faults.is_empty()
        };
        let mut complaint = None;
        if let Some(any) = parts("anyOf").filter(|any| !is_int_or_string && !any.iter().any(&passes)) {
            complaint = Some(format!("none of the {} allowed forms is met", any.len()));
        }
        if let Some(one) = parts("oneOf") {
            let n_met = one.iter().filter(|part| passes(part)).count();
            if n_met != 1 {
                complaint = Some(format!("{n_met} of the {} forms are met, where one must be", one.len()));
            }
        }
        if schema.get("not").is_some_and(&passes) {
            complaint = Some("the value has a form that is ruled out".to_owned());
        }
        if let Some(message) = complaint {
            let remedy = description(schema).unwrap_or("see the documentation of the field").to_owned();
            self.complain(at, (message, remedy));
        }
    }
}

fn has(schema: &Value, flag: &str) -> bool {
    schema.get(flag).and_then(Value::as_bool).unwrap_or_default()
}

fn description(schema: &Value) -> Option<&str> {
    schema.get("description").and_then(Value::as_str)
}

fn missing(name: &str, inner: Option<&Value>) -> Complaint {
    let what = inner.and_then(description).map(|text| text.split(". ").next().unwrap_or(text).trim_end_matches('.'));
    let remedy = what.map_or_else(|| format!("add {name}"), |what| format!("add {name}: {what}"));
    ("required field is missing".to_owned(), remedy)
}

fn counts(schema: &Value, n: usize, of: &str, unit: &str) -> Vec<Complaint> {
    let bound = |which: &str| {
        let bound = schema.get(format!("{which}{of}")).and_then(Value::as_u64);
        bound.and_then(|bound| usize::try_from(bound).ok())
    };
    let mut complaints = Vec::new();
    if let Some(max) = bound("max").filter(|max| n > *max) {
        complaints.push((format!("{n} {unit} are too many"), format!("write at most {max}")));
    }
    if let Some(min) = bound("min").filter(|min| n < *min) {
        complaints.push((format!("{n} {unit} are too few"), format!("write at least {min}")));
    }
    complaints
}

/// What is wrong if the value is of another type than the schema says.
fn wrong_type(schema: &Value, value: &Value, is_int_or_string: bool) -> Option<Complaint> {
    let is_integer = || value.is_i64() || value.is_u64();
    let expected = schema.get("type").and_then(Value::as_str);
    let (is_right, wanted) = if is_int_or_string {
        (value.is_string() || is_integer(), "integer or text")
    } else {
        match expected? {
            "object" => (value.is_object(), "object"),
            "array" => (value.is_array(), "list"),
            "string" => (value.is_string(), "text"),
            "boolean" => (value.is_boolean(), "true or false"),
            "integer" => (is_integer(), "integer"),
            "number" => (value.is_number(), "number"),
            _ => return None,
        }
    };
    if is_right {
        return None;
    }
    let found = match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    let shown = excerpt(&value.to_string());
    // How a fraction was written is lost: 1e5 reads as 100000.0.
    let is_fraction = value.as_number().is_some_and(serde_json::Number::is_f64);
    let message = match value {
        Value::Null => format!("expected {wanted}, found nothing"),
        Value::Number(_) if is_fraction && wanted == "text" => format!("expected {wanted}, found {found}"),
        _ => format!("expected {wanted}, found {found} {shown}"),
    };
    let remedy = match (value, wanted) {
        (Value::Number(_), "text") if is_fraction => "put it in quotes, as it is written".to_owned(),
        (Value::Number(_) | Value::Bool(_), "text" | "integer or text") => format!("put it in quotes: \"{value}\""),
        (Value::String(text), "integer" | "number") if text.parse::<f64>().is_ok() => format!("without quotes: {text}"),
        (Value::String(text), "true or false") if matches!(text.as_str(), "true" | "false") => {
            format!("without quotes: {text}")
        }
        (Value::Object(_) | Value::String(_), "list") => "put it in a list, with a dash before it".to_owned(),
        (_, "object") => "write fields below it, each as NAME: VALUE".to_owned(),
        _ => description(schema).map_or_else(|| format!("write {wanted}"), str::to_owned),
    };
    Some((message, remedy))
}
