//! What every object carries, and the scalar types of the API.

use std::collections::BTreeMap;
use std::fmt;

use planner::model::{Labels, Str};
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// Name, labels and life of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectMeta {
    pub name: Str,
    /// Empty where none is written: `default` for namespaced kinds.
    pub namespace: Str,
    pub uid: Str,
    pub labels: Labels,
    pub annotations: Labels,
    pub owner_references: Vec<OwnerReference>,
    pub finalizers: Vec<Str>,
    /// Empty in files.
    pub resource_version: Str,
    pub generation: i64,
    /// RFC 3339.
    pub creation_timestamp: Option<Str>,
    /// RFC 3339; set while the object is being deleted.
    pub deletion_timestamp: Option<Str>,
}

impl ObjectMeta {
    /// The namespace, `default` where none is written.
    pub fn namespace(&self) -> &str {
        if self.namespace.is_empty() { "default" } else { &self.namespace }
    }

    /// Is it being deleted?
    pub fn deleting(&self) -> bool {
        self.deletion_timestamp.is_some()
    }

    /// The owner that manages it.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller)
    }

    /// Does an object of this kind own it?
    pub fn owned_by(&self, kind: &str) -> bool {
        self.owner_references.iter().any(|owner| *owner.kind == *kind)
    }
}

/// Who an object belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    pub api_version: Str,
    pub kind: Str,
    pub name: Str,
    pub uid: Str,
    pub controller: bool,
    pub block_owner_deletion: Option<bool>,
}

/// One entry of `status.conditions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: Str,
    /// `True`, `False` or `Unknown`.
    pub status: Str,
    pub reason: Str,
    pub message: Str,
    /// RFC 3339.
    pub last_transition_time: Option<Str>,
}

/// The condition of this type.
pub fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| *condition.kind == *kind)
}

/// A quantity, or an int-or-string, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Amount(pub Str);

/// Quantities by resource name.
pub type Amounts = BTreeMap<Str, Amount>;

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a text")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                Ok(Amount(text.into()))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Amount, E> {
                Ok(Amount(number.to_string().into()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Amount, E> {
                Ok(Amount(number.to_string().into()))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Amount, E> {
                Ok(Amount(number.to_string().into()))
            }
        }
        deserializer.deserialize_any(Text)
    }
}
