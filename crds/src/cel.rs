//! The CEL rules of the CRDs (`x-kubernetes-validations`), evaluated here as an API server does it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kube_cel::{CompiledSchema, ErrorKind, ValidationError, ValidationErrors, compile_schema};
use serde_json::{Map, Value};

use crate::kind::{Kind, all};
use crate::schema::{Fault, excerpt};

/// The rules of one kind, ready to run.
struct Rules {
    compiled: CompiledSchema,
    message_by_rule: BTreeMap<String, String>,
}

static RULES: LazyLock<Vec<Rules>> = LazyLock::new(|| all().iter().map(|crd| read(&crd.schema)).collect());

fn read(schema: &Value) -> Rules {
    let mut message_by_rule = BTreeMap::new();
    collect_messages(schema, &mut message_by_rule);
    Rules { compiled: compile_schema(schema), message_by_rule }
}

/// The rules that the object breaks; defaults are filled in first. Rules about a change (`oldSelf`) are looked at only
/// with the object's old form. The object must have passed [`crate::schema::validate`], or rules may fail for want of
/// the fields they speak of.
pub fn validate(kind: Kind, object: &Value, old: Option<&Value>) -> Vec<Fault> {
    let rules = &RULES[kind as usize];
    broken(rules, object, old).into_iter().map(|error| fault(rules, error)).collect()
}

/// The rules that the object breaks by itself, for a person: each at the element or entry that breaks it, if there is
/// one, with the value there; the rule's message is the remedy.
pub fn explain(kind: Kind, object: &Value) -> Vec<Fault> {
    let rules = &RULES[kind as usize];
    broken(rules, object, None).iter().flat_map(|error| explained(rules, object, error)).collect()
}

fn broken(rules: &Rules, object: &Value, old: Option<&Value>) -> Vec<ValidationError> {
    kube_cel::validate_compiled(&rules.compiled, object, old).err().map_or_else(Vec::new, ValidationErrors::into_vec)
}

/// Elements that are tried one by one. The CRDs allow 100 requirements.
const MAX_ELEMENTS: usize = 200;

fn explained(rules: &Rules, object: &Value, error: &ValidationError) -> Vec<Fault> {
    let path = &error.field_path;
    let remedy = rules.message_by_rule.get(&error.rule).unwrap_or(&error.message);
    let one = |path: String, value: Option<&Value>| {
        let fields = value.and_then(Value::as_object).filter(|_| !path.ends_with(']'));
        let (place, message) = match (fields, value) {
            (Some(fields), _) => of_fields(&error.rule, remedy, fields),
            (None, Some(value)) => (String::new(), format!("{} is not allowed", excerpt(&value.to_string()))),
            (None, None) => (String::new(), NOT_SO.to_owned()),
        };
        Fault { path: path + &place, message, remedy: remedy.clone() }
    };
    let pointer = format!("/{}", path.replace(['.', '['], "/").replace(']', ""));
    let value = object.pointer(&pointer);
    // A rule for each element is broken by a list of this one alone, too.
    let is_broken_by = |part: Value| {
        let mut other = object.clone();
        if let Some(place) = other.pointer_mut(&pointer) {
            *place = part;
        }
        broken(rules, &other, None).iter().any(|other| other.rule == error.rule && other.field_path == *path)
    };
    let is_for_each = ["self.all(", "self.exists(", "!self.exists("].iter().any(|all| error.rule.starts_with(all));
    let parts: Vec<Fault> = match value.filter(|_| is_for_each) {
        Some(Value::Array(elements)) => {
            let each = elements.iter().take(MAX_ELEMENTS).enumerate();
            let bad = each.filter(|(_, element)| is_broken_by(Value::Array(vec![(*element).clone()])));
            bad.map(|(at, element)| one(format!("{path}[{at}]"), Some(element))).collect()
        }
        Some(Value::Object(fields)) => {
            let alone = |(key, field): &(&String, &Value)| {
                is_broken_by(Value::Object(std::iter::once(((*key).clone(), (*field).clone())).collect()))
            };
            let bad = fields.iter().take(MAX_ELEMENTS).filter(alone);
            bad.map(|(key, field)| one(format!("{path}[{key}]"), Some(field))).collect()
        }
        _ => Vec::new(),
    };
    if parts.is_empty() { vec![one(path.clone(), value)] } else { parts }
}

/// What is said of an object of which no more is known than that it breaks a rule.
const NOT_SO: &str = "is not allowed as it is written";

/// What is wrong with the fields of an object that breaks a rule: the place of the first below the object, and the message.
/// Of the fields that the rule speaks of, those count that its message names, if it names any that are there.
fn of_fields(rule: &str, message: &str, fields: &Map<String, Value>) -> (String, String) {
    let shown = |name: &str| fields.get(name).map_or_else(String::new, |value| excerpt(&value.to_string()));
    if let Some(key) = fields.keys().find(|key| rule.contains(&format!("'{key}' in self)"))) {
        return (format!("[{key}]"), format!("{} is not allowed", shown(key)));
    }
    let is_told = |name: &str| message.split(|c| !is_of_name(c)).any(|word| word.eq_ignore_ascii_case(name));
    let named = named(rule);
    let mut there: Vec<&str> = named.iter().copied().filter(|name| fields.contains_key(*name)).collect();
    if there.iter().any(|name| is_told(name)) {
        there.retain(|name| is_told(name));
    }
    let Some((first, others)) = there.split_first() else {
        let none = if named.is_empty() { NOT_SO.to_owned() } else { format!("has none of {}", named.join(", ")) };
        return (String::new(), none);
    };
    let others: Vec<String> = others.iter().map(|name| format!("{name} {}", shown(name))).collect();
    let beside = if others.is_empty() { String::new() } else { format!(" beside {}", others.join(", ")) };
    (format!(".{first}"), format!("{} is not allowed{beside}", shown(first)))
}

/// The fields that a rule speaks of (`self.NAME`), in its order.
fn named(rule: &str) -> Vec<&str> {
    let mut out = Vec::new();
    for (at, start) in rule.match_indices("self.") {
        let rest = &rule[at + start.len()..];
        let (name, next) = rest.split_at(rest.find(|c| !is_of_name(c)).unwrap_or(rest.len()));
        // What is called is no field.
        if !next.starts_with('(') && !out.contains(&name) {
            out.push(name);
        }
    }
    out
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

fn fault(rules: &Rules, error: ValidationError) -> Fault {
    let message = match (&error.kind, rules.message_by_rule.get(&error.rule)) {
        (ErrorKind::ValidationFailure, _) | (_, None) => error.message,
        // An API server puts it this way too when a rule stumbles over a value.
        (_, Some(message)) => format!("{} evaluating rule: {message}", error.message),
    };
    Fault { path: error.field_path, message, remedy: format!("it must hold that {}", error.rule) }
}

fn collect_messages(schema: &Value, into: &mut BTreeMap<String, String>) {
    match schema {
        Value::Object(fields) => {
            for rule in fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                if let (Some(rule), Some(message)) = (rule["rule"].as_str(), rule["message"].as_str()) {
                    into.insert(rule.to_owned(), message.to_owned());
                }
            }
            fields.values().for_each(|field| collect_messages(field, into));
        }
        Value::Array(elements) => elements.iter().for_each(|element| collect_messages(element, into)),
        _ => {}
    }
}
