//! Our own kinds, checked against their CRDs: form, rules, defaults.

use serde_json::Value;

use super::super::error::{InputError, Origin};
use super::super::kinds::Served;
use super::super::objects::Validate;
use super::judge;
use super::schema::Fault;

/// What the schema says of a field it does not have.
const UNKNOWN: &str = "unknown field";

/// Fills in the defaults of an object of ours and checks it as an API server would.
pub(super) fn check(
    served: &Served,
    value: Value,
    validate: Validate,
    origin: &Origin,
    object: &str,
    notes: &mut Vec<String>,
    collected: &mut Vec<InputError>,
) -> Result<Value, InputError> {
    let Some(kind) = crds::Kind::ALL.into_iter().find(|kind| kind.as_str() == served.name) else { return Ok(value) };
    let value = crds::schema::with_defaults(kind, value);
    let mut faults = crds::schema::validate(kind, &value);
    if faults.iter().all(|fault| fault.message.starts_with(UNKNOWN)) {
        faults.extend(crds::cel::explain(kind, &value));
    }
    // A field that is not known is often why another one is missing.
    faults.sort_by_key(|fault| !fault.message.starts_with(UNKNOWN));
    for fault in faults {
        let unknown = fault.message.starts_with(UNKNOWN);
        // The path says already which field it is.
        let message = if unknown { UNKNOWN.to_string() } else { fault.message };
        let remedy = Some(fault.remedy).filter(|remedy| !remedy.is_empty());
        let fault = Fault { path: fault.path, message, value: None, remedy, unknown };
        let strictly = if validate == Validate::Collect { Validate::Strict } else { validate };
        match judge(fault, strictly, origin, object, notes) {
            Some(error) if validate == Validate::Collect => collected.push(error),
            Some(error) => return Err(error),
            None => {}
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::kinds::{Kind, SERVED};
    use super::*;

    fn read(validate: Validate, change: impl FnOnce(&mut Value)) -> Result<Value, InputError> {
        let mut pool = json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "a"},
            "spec": {"template": {"spec": {
                "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"},
                "requirements": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}],
            }}},
        });
        change(&mut pool);
        let origin = Origin { file: "f.yaml".into(), line: 1 };
        check(&SERVED[Kind::NodePool as usize], pool, validate, &origin, "NodePool a", &mut Vec::new(), &mut Vec::new())
    }

    #[test]
    fn defaults_are_filled_in() {
        let pool = read(Validate::Strict, |_| {}).unwrap();
        assert_eq!(pool["spec"]["template"]["spec"]["expireAfter"], "720h");
    }

    #[test]
    fn an_unknown_field_is_an_error_in_strict_mode_only() {
        let slip = |pool: &mut Value| pool["spec"]["wieght"] = 5.into();
        let error = read(Validate::Strict, slip).unwrap_err().to_string();
        assert!(error.contains("spec.wieght: unknown field") && error.contains("weight"), "{error}");
        assert!(read(Validate::Ignore, slip).is_ok());
    }

    #[test]
    fn a_slip_in_a_required_field_is_told_before_the_lack_of_it() {
        let slip = |pool: &mut Value| {
            let terms = pool.pointer_mut("/spec/template/spec").unwrap().as_object_mut().unwrap();
            let class = terms.remove("nodeClassRef").unwrap();
            terms.insert("nodeClasRef".into(), class);
        };
        let error = read(Validate::Strict, slip).unwrap_err().to_string();
        assert!(error.contains("nodeClasRef: unknown field"), "{error}");
    }

    #[test]
    fn a_broken_rule_is_an_error_in_every_mode() {
        let requirement = "/spec/template/spec/requirements/0";
        let empty = |pool: &mut Value| pool.pointer_mut(requirement).unwrap()["values"] = json!([]);
        let error = read(Validate::Ignore, empty).unwrap_err().to_string();
        let place =
            "spec.template.spec.requirements[0]: {\"key\":\"kubernetes.io/arch\",\"operator\":\"In\",\"values\":[]}";
        assert!(error.contains(place) && error.contains("remedy: requirements with operator 'In'"), "{error}");
        let operator = |pool: &mut Value| pool.pointer_mut(requirement).unwrap()["operator"] = "Is".into();
        assert!(read(Validate::Warn, operator).unwrap_err().to_string().contains("operator"));
    }

    #[test]
    fn requirements_that_exclude_each_other_are_no_input_error() {
        let twice = json!({"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]});
        let add = |pool: &mut Value| {
            pool.pointer_mut("/spec/template/spec/requirements").unwrap().as_array_mut().unwrap().push(twice);
        };
        assert!(read(Validate::Strict, add).is_ok());
    }
}
