//! Expressions in `spec.kubelet`: what a kubelet is told is reckoned for each instance type.

use cel::{Context, ExecutionError, Program, Value as Cel};
use cloud::catalog::TypeRow;
use serde_json::{Map, Value, json};

use crate::observe::kubelet::entries::{MAX_PODS, entries, path};

/// What an expression may name.
const NAMES: [&str; 6] = ["vcpus", "memory_mib", "default_enis", "ips_per_eni", "max_pods", "instance_type"];
/// Calls that give names of their own to what they are about.
const BINDING: [&str; 5] = ["all", "exists", "exists_one", "filter", "map"];

/// Why an expression comes to no number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It can come to none on any type: it is no expression, or one of other things than numbers.
    Invalid(String),
    /// Not on this type.
    NoValue(String),
}

impl Fault {
    fn map(self, tell: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Invalid(why) => Self::Invalid(tell(&why)),
            Self::NoValue(why) => Self::NoValue(tell(&why)),
        }
    }
}

/// The expressions of a class, compiled.
pub struct Expressions {
    max_pods: Option<Program>,
    /// With field and resource.
    reserved: Vec<(&'static str, String, Program)>,
    context: Context<'static>,
}

impl Expressions {
    /// Those of a class; none if it has none.
    ///
    /// # Errors
    /// Which one cannot be read, and why.
    pub fn read(kubelet: &Map<String, Value>) -> Result<Option<Self>, String> {
        let entries = entries(kubelet);
        if entries.is_empty() {
            return Ok(None);
        }
        let mut context = Context::default();
        context.add_function("max", |a: Cel, b: Cel| either(a, b, |a, b| a >= b));
        context.add_function("min", |a: Cel, b: Cel| either(a, b, |a, b| a <= b));
        let mut read = Self { max_pods: None, reserved: Vec::new(), context };
        for entry in entries {
            let program = compile(entry.text)
                .map_err(|why| format!("{} \"{}\" is no expression: {why}", entry.path(), entry.text))?;
            match entry.field {
                MAX_PODS => read.max_pods = Some(program),
                field => read.reserved.push((field, entry.resource.to_owned(), program)),
            }
        }
        Ok(Some(read))
    }

    /// What the kubelet of a machine of this type is told. `pods` are those that it takes by default.
    ///
    /// # Errors
    /// Which expression has no value there, and why.
    pub fn on(&self, kubelet: &Map<String, Value>, row: &TypeRow, pods: i64) -> Result<Map<String, Value>, Fault> {
        let mut told = kubelet.clone();
        let mut max_pods = whole(told.get(MAX_PODS)).unwrap_or(pods);
        if let Some(program) = &self.max_pods {
            let of_type = |fault: Fault| fault.map(|why| on_type(MAX_PODS, "", row, why));
            let value = self.value(program, row, pods).map_err(of_type)?;
            let beyond = || of_type(Fault::NoValue(format!("{value} is not from 0 to {}", i32::MAX)));
            max_pods = i64::from(i32::try_from(value).ok().filter(|value| *value >= 0).ok_or_else(beyond)?);
            told.insert(MAX_PODS.to_owned(), json!(max_pods));
        }
        for (field, resource, program) in &self.reserved {
            let of_type = |fault: Fault| fault.map(|why| on_type(field, resource, row, why));
            let value = self.value(program, row, max_pods).map_err(of_type)?;
            if value < 0 {
                return Err(of_type(Fault::NoValue(format!("{value} is less than 0"))));
            }
            told[*field][resource] = json!(amount(resource, value));
        }
        Ok(told)
    }

    fn value(&self, program: &Program, row: &TypeRow, max_pods: i64) -> Result<i64, Fault> {
        let mut context = self.context.new_inner_scope();
        let enis = row.card_enis.get(row.default_card).copied().unwrap_or(0);
        for (name, value) in [
            ("vcpus", row.vcpus),
            ("memory_mib", row.memory_mib),
            ("default_enis", enis),
            ("ips_per_eni", row.ipv4_per_eni),
            ("max_pods", max_pods),
        ] {
            context.add_variable_from_value(name, value);
        }
        context.add_variable_from_value("instance_type", row.name.clone());
        match program.execute(&context) {
            Ok(Cel::Int(value)) => Ok(value),
            #[expect(clippy::cast_possible_truncation, reason = "cut toward zero, as by Karpenter, and in bounds")]
            Ok(Cel::Float(value)) if value.abs() < 9e18 => Ok(value as i64),
            Ok(Cel::Float(value)) => Err(Fault::NoValue(format!("{value} is no number to go by"))),
            Ok(other) => Err(Fault::Invalid(format!("it comes to a {}, and has to come to a number", other.type_of()))),
            Err(error) if is_of_types(&error) => Err(Fault::Invalid(error.to_string())),
            Err(error) => Err(Fault::NoValue(error.to_string())),
        }
    }
}

/// An expression that names nothing but what there is.
fn compile(text: &str) -> Result<Program, String> {
    let program = Program::compile(text).map_err(|error| error.to_string())?;
    let mut unknown: Vec<String> = program.references().variables().into_iter().map(str::to_owned).collect();
    unknown.retain(|name| !NAMES.contains(&name.as_str()));
    unknown.sort_unstable();
    // Where names are given, an unknown one is found out when it is used.
    if let Some(name) = unknown.first()
        && !BINDING.iter().any(|call| text.contains(call))
    {
        return Err(format!("{name} is none of {}", NAMES.join(", ")));
    }
    Ok(program)
}

/// Whether an error is about names and types, which Karpenter's compiler, that knows the types of everything, would find.
fn is_of_types(error: &ExecutionError) -> bool {
    use ExecutionError as E;
    matches!(
        error,
        E::InvalidArgumentCount { .. }
            | E::UnsupportedTargetType { .. }
            | E::NotSupportedAsMethod { .. }
            | E::UnexpectedType { .. }
            | E::NoSuchOverload
            | E::UndeclaredReference(_)
            | E::MissingArgumentOrTarget
            | E::ValuesNotComparable(..)
            | E::UnsupportedUnaryOperator(..)
            | E::UnsupportedBinaryOperator(..)
    )
}

fn on_type(field: &str, resource: &str, row: &TypeRow, why: &str) -> String {
    format!("{} on {}: {why}", path(field, resource), row.name)
}

fn whole(value: Option<&Value>) -> Option<i64> {
    value.and_then(Value::as_i64)
}

/// The first if it is the one, else the second; a mix of whole and other numbers is other numbers.
fn either(a: Cel, b: Cel, is_first: fn(f64, f64) -> bool) -> Result<Cel, ExecutionError> {
    #[expect(clippy::cast_precision_loss, reason = "amounts of one machine")]
    let number = |value: &Cel| match value {
        Cel::Int(value) => Ok(*value as f64),
        Cel::Float(value) => Ok(*value),
        other => Err(ExecutionError::UnexpectedType { got: other.type_of().to_string(), want: "number".to_owned() }),
    };
    let (x, y) = (number(&a)?, number(&b)?);
    Ok(match (&a, &b) {
        (Cel::Int(_), Cel::Int(_)) => {
            if is_first(x, y) {
                a
            } else {
                b
            }
        }
        _ => Cel::Float(if is_first(x, y) { x } else { y }),
    })
}

/// An amount in the unit that the resource is reckoned in.
fn amount(resource: &str, value: i64) -> String {
    let up_to = |step: i64| value.saturating_add(step - 1) / step * step;
    match resource {
        "cpu" => format!("{}m", up_to(10)),
        "memory" => format!("{}Mi", up_to(16)),
        "ephemeral-storage" => format!("{value}Gi"),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use cloud::catalog::type_rows;

    use super::*;
    use crate::observe::kubelet::entries::of_catalog;

    fn on(kubelet: &Value, name: &str) -> Result<Value, String> {
        let kubelet = kubelet.as_object().unwrap();
        let row = type_rows().unwrap().iter().find(|row| row.name == name).unwrap();
        let read = Expressions::read(kubelet)?.unwrap();
        read.on(kubelet, row, 29).map(Value::Object).map_err(|fault| format!("{fault:?}"))
    }

    #[test]
    fn each_type_is_told_what_its_expressions_come_to() {
        let kubelet = json!({
            "maxPods": "min(110, default_enis * (ips_per_eni - 1) * 16 + 2)",
            "kubeReserved": { "cpu": "vcpus * 33", "memory": "max(255 + 11 * max_pods, double(memory_mib) * 0.05)", "pid": "1000" },
            "systemReserved": { "ephemeral-storage": "instance_type == 'm5.large' ? 2 : 3" },
        });
        // m5.large: 2 vCPUs, 8192 MiB, 3 interfaces of 10 addresses.
        let told = on(&kubelet, "m5.large").unwrap();
        assert_eq!(told["maxPods"], 110);
        assert_eq!(told["kubeReserved"], json!({ "cpu": "70m", "memory": "1472Mi", "pid": "1000" }));
        assert_eq!(told["systemReserved"], json!({ "ephemeral-storage": "2Gi" }));
        assert_eq!(of_catalog(told.as_object().unwrap()).max_pods, Some(110));
        assert_eq!(on(&kubelet, "c5.large").unwrap()["systemReserved"]["ephemeral-storage"], "3Gi");
    }

    #[test]
    fn what_is_no_expression_or_comes_to_no_number_is_said() {
        let told = |text: &str| on(&json!({ "maxPods": text }), "m5.large").unwrap_err();
        assert!(told("vcpus *").contains("kubelet.maxPods \"vcpus *\" is no expression"));
        for bad in ["nothing + 1", "vcpus > 0 ? 1 : nothing"] {
            let want = format!("kubelet.maxPods \"{bad}\" is no expression: nothing is none of vcpus, memory_mib");
            assert!(told(bad).contains(&want), "{bad}: {}", told(bad));
        }
        for bad in ["instance_type", "vcpus > 3", "vcpus + instance_type", "max(vcpus, instance_type)", "least(1, 2)"] {
            assert!(told(bad).starts_with("Invalid(\"kubelet.maxPods on m5.large: "), "{bad}: {}", told(bad));
        }
        for bad in ["1 / 0", "-1", "1.0 / 0.0", "vcpus * 9999999999", "int(instance_type)"] {
            assert!(told(bad).starts_with("NoValue(\"kubelet.maxPods on m5.large: "), "{bad}: {}", told(bad));
        }
        assert_eq!(on(&json!({ "maxPods": "[1, 2].filter(x, x > 1)[0]" }), "m5.large").unwrap()["maxPods"], 2);
        assert_eq!(on(&json!({ "maxPods": "29.9" }), "m5.large").unwrap()["maxPods"], 29, "cut");
        assert!(Expressions::read(json!({ "maxPods": 3 }).as_object().unwrap()).unwrap().is_none());
    }
}
