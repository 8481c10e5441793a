//! The Rust types and the schemas know the same fields, words and sizes, in both directions.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot build its object has failed")]

use std::cell::RefCell;
use std::collections::BTreeSet;

use crds::{CapacityBuffer, Ec2NodeClass, Kind, KwokNodeClass, NodeClaim, NodeOverlay, NodePool};
use serde::de::value::{MapDeserializer, StrDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::{Serialize, forward_to_deserialize_any};
use serde_json::{Map, Value, json};

/// An object with every field of the schema set.
fn full(schema: &Value) -> Value {
    if schema["x-kubernetes-int-or-string"] == true {
        return json!("1");
    }
    match schema["type"].as_str().unwrap() {
        "string" => schema["enum"].get(0).cloned().unwrap_or(json!("text")),
        "integer" => json!(1),
        "boolean" => json!(true),
        "array" => json!([full(&schema["items"])]),
        "object" if schema["additionalProperties"].is_object() => {
            json!({ "key": full(&schema["additionalProperties"]) })
        }
        "object" if schema["properties"].is_object() => {
            let fields = schema["properties"].as_object().unwrap();
            Value::Object(fields.iter().map(|(name, inner)| (name.clone(), full(inner))).collect())
        }
        "object" => json!({}),
        other => panic!("{other} in {schema}"),
    }
}

/// Reads a value into a type and compares, on the way, what the type asks for with what the schema says.
struct Tracer<'de> {
    value: &'de Value,
    schema: &'de Value,
    path: String,
    differences: &'de RefCell<Vec<String>>,
}

type Error = de::value::Error;

impl Tracer<'_> {
    fn expect(&self, is_right: bool, what: &str) {
        if !is_right {
            self.differences
                .borrow_mut()
                .push(format!("{}: the type has {what}, the schema {}", self.path, self.schema));
        }
    }

    fn compare(&self, ours: &[&str], theirs: &BTreeSet<&str>, what: &str) {
        let ours: BTreeSet<&str> = ours.iter().copied().collect();
        if ours != *theirs {
            let difference = format!("{}: {what} {ours:?} in the type, {theirs:?} in the schema", self.path);
            self.differences.borrow_mut().push(difference);
        }
    }
}

impl<'de> IntoDeserializer<'de, Error> for Tracer<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Tracer<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Object(_) => self.deserialize_map(visitor),
            Value::String(text) => visitor.visit_str(text),
            other => panic!("{}: {other} is read as anything", self.path),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.path != ".metadata" {
            let theirs = self.schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            self.compare(fields, &theirs, "fields");
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let entries = self.value.as_object().unwrap().iter().map(|(name, value)| {
            let named = self.schema["properties"].get(name);
            let schema = named.unwrap_or(&self.schema["additionalProperties"]);
            let path = format!("{}.{name}", self.path);
            (name.as_str(), Tracer { value, schema, path, differences: self.differences })
        });
        visitor.visit_map(MapDeserializer::new(entries))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        // Operators of resolved images are not a closed set in the schema.
        if let Some(words) = self.schema["enum"].as_array() {
            self.compare(variants, &words.iter().map(|word| word.as_str().unwrap()).collect(), "words");
        } else {
            self.expect(self.path.ends_with("amis.[].requirements.[].operator"), "a closed set of words");
        }
        visitor.visit_enum(StrDeserializer::<Error>::new(self.value.as_str().unwrap()))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.expect(self.schema["type"] == "array", "a list");
        let path = format!("{}.[]", self.path);
        let elements = self.value.as_array().unwrap().iter().map(|value| {
            let schema = &self.schema["items"];
            Tracer { value, schema, path: path.clone(), differences: self.differences }
        });
        visitor.visit_seq(de::value::SeqDeserializer::new(elements))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.expect(self.schema["type"] == "string", "text");
        self.expect(self.schema.get("enum").is_none(), "free text");
        visitor.visit_str(self.value.as_str().unwrap())
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.expect(self.schema["type"] == "boolean", "a truth value");
        visitor.visit_bool(true)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.expect(self.schema["type"] == "integer" && self.schema["format"] != "int64", "32 bits");
        visitor.visit_i32(1)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.expect(self.schema["format"] == "int64", "64 bits");
        visitor.visit_i64(1)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.expect(false, "no such field");
        visitor.visit_unit()
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.value.as_str().unwrap())
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u32 u64 u128 f32 f64 char str bytes byte_buf unit unit_struct tuple tuple_struct
    }
}

/// What differs between the type and the schema of the kind.
fn differences<T: DeserializeOwned + Serialize>(kind: Kind) -> Vec<String> {
    let schema = &kind.crd().schema;
    let mut object = full(schema);
    object["apiVersion"] = kind.api_version().into();
    object["kind"] = kind.as_str().into();
    if kind == Kind::Ec2NodeClass {
        object["status"]["amis"][0]["requirements"][0]["operator"] = "In".into();
    }
    let differences = RefCell::new(Vec::new());
    let tracer = Tracer { value: &object, schema, path: String::new(), differences: &differences };
    let mut found = match T::deserialize(tracer) {
        Ok(_) => differences.into_inner(),
        Err(error) => vec![error.to_string()],
    };
    let written = serde_json::to_value(serde_json::from_value::<T>(object.clone()).unwrap()).unwrap();
    if written != object {
        found.push(format!("{object} is written as {written}"));
    }
    found
}

#[test]
fn every_field_of_a_schema_is_in_its_type_and_none_else() {
    assert_eq!(differences::<NodePool>(Kind::NodePool), Vec::<String>::new());
    assert_eq!(differences::<NodeClaim>(Kind::NodeClaim), Vec::<String>::new());
    assert_eq!(differences::<NodeOverlay>(Kind::NodeOverlay), Vec::<String>::new());
    assert_eq!(differences::<CapacityBuffer>(Kind::CapacityBuffer), Vec::<String>::new());
    assert_eq!(differences::<KwokNodeClass>(Kind::KwokNodeClass), Vec::<String>::new());
    assert_eq!(differences::<Ec2NodeClass>(Kind::Ec2NodeClass), Vec::<String>::new());
}

#[test]
fn the_comparison_sees_a_field_that_only_one_side_has() {
    let found = differences::<KwokNodeClass>(Kind::NodeClaim);
    assert!(found.iter().any(|difference| difference.contains("nodeRegistrationDelay")), "{found:?}");
}

#[test]
fn a_type_ignores_fields_that_it_does_not_know() {
    let mut object = full(&Kind::NodePool.crd().schema);
    object["spec"]["template"]["spec"]["fromTheFuture"] = json!({ "a": [1] });
    object["metadata"] = json!({ "name": "p", "managedFields": [{}], "generation": 3 });
    let pool: NodePool = serde_json::from_value(object).unwrap();
    assert_eq!(pool.metadata.name(), "p");
    assert_eq!(pool.metadata.generation, Some(3));
}

#[test]
fn kubelet_settings_are_kept_as_they_were_written() {
    let spec = json!({ "kubelet": { "maxPods": "vcpus * 8", "evictionHard": { "memory.available": "5%" } } });
    let object = json!({ "apiVersion": "a", "kind": "k", "metadata": {}, "spec": spec });
    let class: Ec2NodeClass = serde_json::from_value(object).unwrap();
    let kubelet: &Map<String, Value> = class.spec.kubelet.as_ref().unwrap();
    assert_eq!(Value::from(kubelet.clone()), spec["kubelet"]);
}
