//! Label and field selectors, of query parameters and of objects.

use serde_json::{Map, Value};

use super::event_form;
use super::object::{Object, text};
use super::resource::Id;
use super::status::Status;

/// Which labels an object must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
}

impl LabelSelector {
    /// Reads the form of query parameters: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
    pub fn parse(input: &str) -> Result<Self, Status> {
        let mut terms = Vec::new();
        for part in split(input) {
            terms.push(parse_term(&part).ok_or_else(|| {
                Status::bad_request(format!("unable to parse requirement: {part:?} of the label selector {input:?}"))
            })?);
        }
        Ok(Self { terms })
    }

    /// Reads the form of objects: `matchLabels` and `matchExpressions`. An empty one selects all.
    pub fn from_value(selector: &Value) -> Self {
        let mut terms = Vec::new();
        for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
            let values = vec![value.as_str().unwrap_or_default().to_owned()];
            terms.push(Term { key: key.clone(), test: Test::In(values) });
        }
        for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            let values = || {
                let values = expression["values"].as_array().into_iter().flatten();
                values.filter_map(Value::as_str).map(str::to_owned).collect()
            };
            let test = match text(expression, "/operator") {
                "In" => Test::In(values()),
                "NotIn" => Test::NotIn(values()),
                "Exists" => Test::Exists,
                _ => Test::DoesNotExist,
            };
            terms.push(Term { key: text(expression, "/key").to_owned(), test });
        }
        Self { terms }
    }

    pub fn matches(&self, labels: Option<&Map<String, Value>>) -> bool {
        self.terms.iter().all(|term| {
            let value = labels.and_then(|labels| labels.get(&term.key)).and_then(Value::as_str);
            match (&term.test, value) {
                (Test::In(values), Some(value)) => values.iter().any(|v| v == value),
                (Test::NotIn(values), Some(value)) => !values.iter().any(|v| v == value),
                (Test::Exists, value) => value.is_some(),
                (Test::DoesNotExist, value) => value.is_none(),
                (Test::In(_), None) => false,
                (Test::NotIn(_), None) => true,
            }
        })
    }

    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
}

/// Splits at commas outside parentheses.
fn split(input: &str) -> Vec<String> {
    let (mut parts, mut part, mut depth) = (Vec::new(), String::new(), 0);
    for c in input.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(c);
        }
    }
    parts.push(part);
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn parse_term(part: &str) -> Option<Term> {
    let is_key = |key: &str| !key.is_empty() && !key.contains([' ', '(', ')', '!', '=', '<', '>']);
    let term = |key: &str, test| is_key(key.trim()).then(|| Term { key: key.trim().to_owned(), test });
    if let Some(key) = part.strip_prefix('!') {
        return term(key, Test::DoesNotExist);
    }
    if let Some(head) = part.strip_suffix(')') {
        let (head, values) = head.split_once('(')?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let head = head.trim();
        return match head.strip_suffix(" notin") {
            Some(key) => term(key, Test::NotIn(values)),
            None => term(head.strip_suffix(" in")?, Test::In(values)),
        };
    }
    if let Some((key, value)) = part.split_once("!=") {
        return term(key, Test::NotIn(vec![value.trim().to_owned()]));
    }
    match part.split_once("==").or_else(|| part.split_once('=')) {
        Some((key, value)) => term(key, Test::In(vec![value.trim().to_owned()])),
        None => term(part, Test::Exists),
    }
}

/// Which values a few fields must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    /// JSON pointer, value, whether it must be equal.
    terms: Vec<(String, String, bool)>,
}

impl FieldSelector {
    /// Reads `metadata.name=x,spec.nodeName!=y`. Only the fields that a real server can select by are known.
    pub fn parse(id: Id, input: &str) -> Result<Self, Status> {
        let mut terms = Vec::new();
        for part in input.split(',').filter(|part| !part.is_empty()) {
            let (field, value, is_equal) = if let Some((field, value)) = part.split_once("!=") {
                (field, value, false)
            } else if let Some((field, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (field, value, true)
            } else {
                return Err(Status::bad_request(format!("invalid selector: '{input}'; can't understand '{part}'")));
            };
            let (head, tail) = field.split_once('.').unwrap_or((field, ""));
            let renamed = match (id, tail) {
                (Id::NEW_EVENT, "") => event_form::old_name(head).to_owned(),
                (Id::NEW_EVENT, tail) => format!("{}.{tail}", event_form::old_name(head)),
                _ => field.to_owned(),
            };
            if !is_selectable(id.stored(), &renamed) {
                let message = format!("field label not supported: {field}");
                return Err(Status::bad_request(message));
            }
            terms.push((format!("/{}", renamed.replace('.', "/")), value.to_owned(), is_equal));
        }
        Ok(Self { terms })
    }

    pub fn matches(&self, object: &Object) -> bool {
        self.terms.iter().all(|(pointer, value, is_equal)| {
            let found = object.at(pointer);
            let is_same = match found {
                Some(Value::String(text)) => text == value,
                Some(Value::Bool(flag)) => value == if *flag { "true" } else { "false" },
                Some(Value::Number(number)) => number.to_string() == *value,
                _ => value.is_empty() || value == "false" && pointer == "/spec/unschedulable",
            };
            is_same == *is_equal
        })
    }

    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
}

fn is_selectable(id: Id, field: &str) -> bool {
    let own: &[&str] = match id {
        Id::POD => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        Id::NODE => &["spec.unschedulable"],
        Id::NAMESPACE => &["status.phase"],
        Id::EVENT => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "reason",
            "reportingComponent",
            "type",
        ],
        Id::REPLICA_SET => &["status.replicas"],
        Id::JOB => &["status.successful"],
        _ => &[],
    };
    if field == "metadata.name" || own.contains(&field) {
        return true;
    }
    let resource = id.resource();
    if field == "metadata.namespace" {
        return resource.is_namespaced;
    }
    let Some(kind) = resource.crd else { return false };
    let selectable = kind.crd().definition.pointer("/spec/versions/0/selectableFields").and_then(Value::as_array);
    selectable.into_iter().flatten().any(|entry| entry["jsonPath"].as_str().is_some_and(|path| path[1..] == *field))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(selector: &str, labels: &Value) -> bool {
        LabelSelector::parse(selector).unwrap().matches(labels.as_object())
    }

    #[test]
    fn label_selectors_read_every_form() {
        let labels = json!({ "app": "web", "tier": "front" });
        for yes in
            ["app=web", "app==web,tier=front", "app in (api, web)", "app notin (api)", "app", "!gone", "gone!=x", ""]
        {
            assert!(matches(yes, &labels), "{yes}");
        }
        for no in ["app=api", "app!=web", "app in (api)", "app notin (web,api)", "!app", "gone", "app=web,gone"] {
            assert!(!matches(no, &labels), "{no}");
        }
        for bad in ["a b=c", "in (x)", "a=b)", "=x"] {
            assert_eq!(LabelSelector::parse(bad).unwrap_err().code, 400, "{bad}");
        }
    }

    #[test]
    fn selectors_of_objects_join_labels_and_expressions() {
        let selector = LabelSelector::from_value(&json!({
            "matchLabels": { "app": "web" }, "matchExpressions": [{ "key": "tier", "operator": "Exists" }] }));
        assert!(selector.matches(json!({ "app": "web", "tier": "x" }).as_object()));
        assert!(!selector.matches(json!({ "app": "web" }).as_object()));
        assert!(LabelSelector::from_value(&json!({})).matches(None));
    }

    #[test]
    fn only_fields_that_a_server_knows_can_be_selected() {
        let pod = json!({ "metadata": { "name": "a" }, "spec": {}, "status": { "phase": "Pending" } });
        let pod = Object::new(Id::POD, pod, 1);
        let matches = |selector: &str| FieldSelector::parse(Id::POD, selector).unwrap().matches(&pod);
        assert!(matches("spec.nodeName=,status.phase!=Running"));
        assert!(!matches("spec.nodeName!="));
        assert!(matches("metadata.name==a"));
        let refused = FieldSelector::parse(Id::POD, "spec.priority=1").unwrap_err();
        assert_eq!((refused.code, refused.message.as_str()), (400, "field label not supported: spec.priority"));
        assert!(FieldSelector::parse(Id::NODE, "metadata.namespace=x").is_err());
    }
}
