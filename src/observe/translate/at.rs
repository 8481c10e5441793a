//! Where in which object the translation stands, for errors.

use std::fmt::Display;

use planner::model::{Quantity, Resources, Str, resources};

use super::super::error::{InputError, Origin};
use super::super::k8s::{Amounts, ObjectMeta};
use super::super::kinds::is_namespaced;

/// An object, and the path below which fields are named.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    pub origin: &'a Origin,
    pub kind: &'a str,
    pub meta: &'a ObjectMeta,
    /// Such as `spec.template.spec`; may be empty.
    pub path: &'a str,
}

impl<'a> At<'a> {
    /// At the root of an object.
    pub fn new(origin: &'a Origin, kind: &'a str, meta: &'a ObjectMeta, path: &'a str) -> Self {
        Self { origin, kind, meta, path }
    }

    /// An error in a field below the path.
    pub fn fault(&self, field: impl Display, value: &str, message: impl Into<Box<str>>) -> InputError {
        let dot = if self.path.is_empty() { "" } else { "." };
        let namespace = if is_namespaced(self.kind) { self.meta.namespace() } else { "" };
        let slash = if namespace.is_empty() { "" } else { "/" };
        InputError::new(message)
            .at(self.origin)
            .object(format!("{} {}{slash}{}", self.kind, namespace, self.meta.name))
            .field(format!("{}{dot}{field}", self.path))
            .value(value)
    }

    /// Exact quantities of a resource list; none may be negative.
    pub fn quantities(&self, field: &str, amounts: &Amounts) -> Result<Quantities, InputError> {
        let mut out = Quantities::default();
        for (name, amount) in amounts {
            let place =
                || if name.contains(['.', '/']) { format!("{field}[{name}]") } else { format!("{field}.{name}") };
            let quantity = Quantity::parse(&amount.0).map_err(|error| {
                self.fault(place(), &amount.0, error.to_string())
                    .remedy("write a number with an optional unit: 500m, 1.5, 512Mi, 2Gi, 1e3")
            })?;
            if quantity.is_negative() {
                return Err(self.fault(place(), &amount.0, "must not be negative").remedy("write zero or more"));
            }
            out.0.push((name.clone(), quantity));
        }
        Ok(out)
    }

    /// A resource list in the units the planner counts in.
    pub fn resources(&self, field: &str, amounts: &Amounts) -> Result<Resources, InputError> {
        Ok(self.quantities(field, amounts)?.counted())
    }
}

/// Exact amounts by resource name, in name order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quantities(pub Vec<(Str, Quantity)>);

impl Quantities {
    /// The amount of `name`.
    pub fn get(&self, name: &str) -> Option<Quantity> {
        self.0.iter().find(|(have, _)| **have == *name).map(|(_, quantity)| *quantity)
    }

    fn merge(&mut self, other: &Self, combine: impl Fn(Quantity, Quantity) -> Quantity) {
        for (name, quantity) in &other.0 {
            match self.0.binary_search_by(|(have, _)| have.cmp(name)) {
                Ok(at) => self.0[at].1 = combine(self.0[at].1, *quantity),
                Err(at) => self.0.insert(at, (name.clone(), *quantity)),
            }
        }
    }

    /// Adds amount by amount.
    pub fn add(&mut self, other: &Self) {
        self.merge(other, Quantity::plus);
    }

    /// The larger amount of each.
    pub fn raise_to(&mut self, other: &Self) {
        self.merge(other, Ord::max);
    }

    /// The amounts of `other` where there is none yet.
    pub fn fill_from(&mut self, other: &Self) {
        self.merge(other, |have, _| have);
    }

    /// The amounts of `other` in place of those here.
    pub fn replace_by(&mut self, other: &Self) {
        self.merge(other, |_, new| new);
    }

    /// Rounded up to the planner's units.
    pub fn counted(&self) -> Resources {
        Resources(self.0.iter().map(|(name, quantity)| (name.clone(), resources::amount(name, *quantity))).collect())
    }
}
