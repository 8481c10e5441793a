//! What the expressions in `spec.kubelet` come to. Whether the rest of it makes sense is told by
//! [`crate::observe::kubelet`].

pub(super) mod expressions;

use cloud::catalog::{AmiFamily, TypeRow};
use expressions::Fault;
use serde_json::{Map, Value};

use crate::observe::kubelet::{Told, fault, shape};

const INVALID_EXPRESSION: &str = "KubeletExpressionInvalid";
const NO_VALUE: &str = "KubeletExpressionEvaluationFailed";

/// What a condition says against settings of a kubelet; nothing against good ones. `reckoned` is what became of expressions; None where
/// they are not allowed.
pub(super) fn told(
    kubelet: &Map<String, Value>,
    family: Option<AmiFamily>,
    reckoned: Option<&Result<(), Told>>,
) -> Option<Told> {
    if let Some(Err(without_value)) = reckoned {
        return Some(shape(kubelet).map_or_else(|| without_value.clone(), Told::from));
    }
    fault(kubelet, family, reckoned.is_some()).map(Told::from)
}

/// What became of the expressions of a class on every type there is. `pods` says how many pods a type takes by default.
pub(super) fn reckon(
    kubelet: &Map<String, Value>,
    types: &[TypeRow],
    pods: impl Fn(&TypeRow) -> i64,
) -> Result<(), Told> {
    let read = expressions::Expressions::read(kubelet).map_err(|why| (INVALID_EXPRESSION, why))?;
    let Some(read) = read else { return Ok(()) };
    let fault = types.iter().find_map(|row| read.on(kubelet, row, pods(row)).err());
    match fault {
        None => Ok(()),
        Some(Fault::Invalid(why)) => Err((INVALID_EXPRESSION, why)),
        Some(Fault::NoValue(why)) => Err((NO_VALUE, why)),
    }
}
