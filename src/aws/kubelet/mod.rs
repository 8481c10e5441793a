//! What the expressions in `spec.kubelet` come to. Whether the rest of it makes sense is told by
//! [`crate::observe::kubelet`].

pub(super) mod expressions;

use cloud::catalog::TypeRow;
use serde_json::{Map, Value};

use crate::observe::kubelet::Told;

const INVALID_EXPRESSION: &str = "KubeletExpressionInvalid";
const NO_VALUE: &str = "KubeletExpressionEvaluationFailed";

/// What became of the expressions of a class on every type there is. `pods` says how many pods a type takes by default.
pub(super) fn reckon(
    kubelet: &Map<String, Value>,
    types: &[TypeRow],
    pods: impl Fn(&TypeRow) -> i64,
) -> Result<(), Told> {
    let read = expressions::Expressions::read(kubelet).map_err(|why| (INVALID_EXPRESSION, why))?;
    let Some(read) = read else { return Ok(()) };
    let fault = types.iter().find_map(|row| read.on(kubelet, row, pods(row)).err());
    fault.map_or(Ok(()), |why| Err((NO_VALUE, why)))
}
