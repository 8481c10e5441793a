//! Names of Kubernetes' own kinds, and labels: what an API server takes, and no more.

use crds::words;
use serde_json::Value;

use super::super::kinds::{Kind, Served};
use super::schema::Fault;

/// Would an API server take this name, in this namespace?
pub(crate) fn is_sound(served: &Served, namespace: &str, name: &str) -> bool {
    no_name(served, name).is_none() && no_namespace(served, namespace).is_none()
}

/// What is wrong with the name and the namespace of an object, if they are texts; a lack of them is told elsewhere.
pub(super) fn faults(served: &Served, value: &Value) -> Vec<Fault> {
    let text = |field: &str| value.pointer(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let name = text("/metadata/name").and_then(|name| no_name(served, name));
    let namespace = text("/metadata/namespace").and_then(|namespace| no_namespace(served, namespace));
    name.into_iter().chain(namespace).collect()
}

fn no_name(served: &Served, name: &str) -> Option<Fault> {
    let verdict = match served.kind {
        Kind::Namespace | Kind::Service => words::dns_label(name),
        // Nothing looks at the names of budgets but what looks at any name.
        Kind::PodDisruptionBudget => words::path_segment(name),
        _ => words::subdomain(name),
    };
    verdict.err().map(|why| fault("metadata.name", "is no name for an object of this kind", name, why))
}

fn no_namespace(served: &Served, namespace: &str) -> Option<Fault> {
    if !served.namespaced || namespace.is_empty() {
        return None;
    }
    words::dns_label(namespace)
        .err()
        .map(|why| fault("metadata.namespace", "is no name of a namespace", namespace, why))
}

pub(super) fn is_label_key(key: &str) -> bool {
    words::label_key(key).is_ok()
}

pub(super) fn is_label_value(value: &str) -> bool {
    words::label_value(value).is_ok()
}

/// What is wrong with the key of a label; the place is the caller's.
pub(super) fn no_label_key(key: &str) -> Option<Fault> {
    words::label_key(key).err().map(|why| fault("", "is no label key", key, why))
}

/// What is wrong with the value of a label; the place is the caller's.
pub(super) fn no_label_value(value: &str) -> Option<Fault> {
    words::label_value(value).err().map(|why| fault("", "is no label value", value, why))
}

fn fault(path: &str, message: &str, value: &str, why: &str) -> Fault {
    let remedy = Some(format!("write another one: {why}"));
    Fault { path: path.into(), message: message.into(), value: Some(value.into()), remedy, unknown: false }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::kinds::SERVED;
    use super::*;

    fn told(kind: Kind, namespace: &str, name: &str) -> Vec<String> {
        let value = json!({"metadata": {"name": name, "namespace": namespace}});
        let served = &SERVED[kind as usize];
        let faults = faults(served, &value);
        assert_eq!(faults.is_empty(), is_sound(served, namespace, name));
        faults.into_iter().map(|fault| fault.path).collect()
    }

    #[test]
    fn names_are_those_that_an_api_server_takes() {
        let (long, longer) = ("a".repeat(253), "a".repeat(254));
        for good in ["a", "a.b-c", "10.0.0.1", "0", &long] {
            assert_eq!(told(Kind::Pod, "", good), [""; 0], "{good}");
        }
        for bad in ["P", "a_b", "-a", "a-", "a.", ".a", "a..b", "a.-b", "\u{1b}[31m", "é", &longer] {
            assert_eq!(told(Kind::Node, "", bad), ["metadata.name"], "{bad}");
        }
        assert_eq!(told(Kind::Service, "mill", "a.b"), ["metadata.name"]);
        assert_eq!(told(Kind::Namespace, "", &"a".repeat(64)), ["metadata.name"]);
        assert_eq!(told(Kind::PodDisruptionBudget, "mill", "My_Budget"), [""; 0]);
        assert_eq!(told(Kind::PodDisruptionBudget, "mill", "a/b"), ["metadata.name"]);
    }

    #[test]
    fn a_namespace_has_the_form_of_a_domains_part_where_it_counts() {
        assert_eq!(told(Kind::Pod, "a.b", "p"), ["metadata.namespace"]);
        assert_eq!(told(Kind::Pod, "Mill", "p"), ["metadata.namespace"]);
        assert_eq!(told(Kind::Node, "Mill", "n"), [""; 0]);
    }
}
