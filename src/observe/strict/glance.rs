//! One pass over the JSON text of an object of Kubernetes' own kinds that finds it without fault, or gives up: words for
//! faults are the slow reader's business.

use std::borrow::Cow;
use std::fmt;

use planner::model::{Quantity, Str};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::digest::{self, At, MANAGED};
use super::super::documents::ItemOf;
use super::names;
use super::schema::{Schema, Struct, Type, is_int32, is_time, is_vast};

/// What must be known of an object before it is kept.
#[derive(Debug, Default)]
pub(crate) struct Glance {
    /// Empty where it is not written.
    pub(crate) kind: Str,
    /// Empty where it is not written.
    pub(crate) api_version: Str,
    pub(crate) namespace: Str,
    pub(crate) name: Str,
    pub(crate) digest: u64,
}

/// Looks over the text of an object, most likely one of kind `guess`. None when there is anything about it that needs a
/// closer look: broken JSON, a field that is not known or written twice, a value of the wrong type. A null counts as not
/// there.
pub(crate) fn glance(guess: &str, text: &str, of: &ItemOf) -> Option<Glance> {
    #[derive(serde::Deserialize)]
    struct Head {
        kind: String,
    }
    let own = |found: &Glance| found.kind.is_empty() || *found.kind == *guess;
    let mut found = if let Some(found) = look(guess, text).filter(own) {
        found
    } else {
        let head: Head = serde_json::from_str(text).ok()?;
        if head.kind == guess {
            return None;
        }
        look(&head.kind, text)?
    };
    if found.kind.is_empty() {
        found.kind = (&*of.kind).into();
    }
    if found.api_version.is_empty() {
        found.api_version = (&*of.api_version).into();
    }
    Some(found)
}

fn look(kind: &str, text: &str) -> Option<Glance> {
    let schema = Schema::core();
    let kind = Type::Struct(*schema.by_name.get(kind)?);
    let mut found = Glance::default();
    let mut reader = serde_json::Deserializer::from_str(text);
    let walk = Walk { schema, kind: &kind, lenient: false, at: At::Root, found: &mut found };
    let digest = walk.deserialize(&mut reader).ok()??;
    reader.end().ok()?;
    found.digest = digest;
    Some(found)
}

/// Reads one value and gives its digest; None for a null.
struct Walk<'s, 'f> {
    schema: &'s Schema,
    kind: &'s Type,
    lenient: bool,
    at: At,
    found: &'f mut Glance,
}

/// Fields of an object.
enum Fields<'s> {
    Of(&'s Struct),
    Each(&'s Type),
    Labels,
}

/// A field that is about to be read.
struct Field<'s> {
    digest: u64,
    kind: &'s Type,
    at: At,
    /// It is one of the few that are wanted as text.
    wanted: Option<Wanted>,
    /// It is passed over.
    left_out: bool,
}

#[derive(Clone, Copy)]
enum Wanted {
    Kind,
    ApiVersion,
    Namespace,
    Name,
}

fn wanted(at: At, name: &str) -> Option<Wanted> {
    match (at, name) {
        (At::Root, "kind") => Some(Wanted::Kind),
        (At::Root, "apiVersion") => Some(Wanted::ApiVersion),
        (At::Metadata, "namespace") => Some(Wanted::Namespace),
        (At::Metadata, "name") => Some(Wanted::Name),
        _ => None,
    }
}

/// Reads the name of a field and finds what it must hold.
struct Name<'s, 'a> {
    fields: &'a Fields<'s>,
    lenient: bool,
    at: At,
}

impl<'de, 's> DeserializeSeed<'de> for Name<'s, '_> {
    type Value = Field<'s>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Field<'s>, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'s> Visitor<'_> for Name<'s, '_> {
    type Value = Field<'s>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Field<'s>, E> {
        let kind = match self.fields {
            Fields::Each(kind) => kind,
            Fields::Labels if names::is_label_key(name) => &Type::LabelValue,
            Fields::Labels => return Err(E::custom("no label key")),
            Fields::Of(known) => match known.fields.get(name) {
                Some(kind) => kind,
                None if self.lenient => &Type::Any,
                None => return Err(E::custom("unknown field")),
            },
        };
        Ok(Field {
            digest: digest::text(name),
            kind,
            at: self.at.then(name),
            wanted: wanted(self.at, name),
            left_out: self.at == At::Metadata && name == MANAGED,
        })
    }
}

/// A short text.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Cow<'de, str>, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = Option<u64>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<u64>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without fault")
    }

    fn visit_unit<E: Error>(self) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Option<u64>, E> {
        if matches!(self.kind, Type::Flag | Type::Any) {
            Ok(Some(digest::flag(flag)))
        } else {
            Err(E::custom("a flag"))
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<u64>, E> {
        let is_int64 = i64::try_from(number).is_ok();
        let is_right = match self.kind {
            Type::IntOrText | Type::Number | Type::Any => true,
            Type::Integer | Type::Quantity => is_int64,
            Type::Int32 => i32::try_from(number).is_ok(),
            _ => false,
        };
        if is_right { Ok(Some(digest::unsigned(number))) } else { Err(E::custom("a number")) }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Option<u64>, E> {
        let is_right = match self.kind {
            Type::Integer | Type::IntOrText | Type::Number | Type::Any => true,
            Type::Int32 => is_int32(number),
            _ => false,
        };
        if is_right { Ok(Some(digest::signed(number))) } else { Err(E::custom("a negative number")) }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Option<u64>, E> {
        if matches!(self.kind, Type::Number | Type::Any) {
            Ok(Some(digest::fraction(number)))
        } else {
            Err(E::custom("a fraction"))
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<u64>, E> {
        let is_right = match self.kind {
            Type::Text | Type::IntOrText | Type::Any => true,
            Type::LabelValue => names::is_label_value(text),
            Type::Time => is_time(text),
            Type::Quantity => Quantity::parse(text).is_ok() && !is_vast(text),
            _ => false,
        };
        if is_right { Ok(Some(digest::text(text))) } else { Err(E::custom("a text")) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Option<u64>, A::Error> {
        let of = match self.kind {
            Type::List(of) => &**of,
            Type::Any => &Type::Any,
            _ => return Err(A::Error::custom("a list")),
        };
        let mut list = 0;
        loop {
            let (schema, lenient) = (self.schema, self.lenient);
            let item = Walk { schema, kind: of, lenient, at: At::Below, found: &mut *self.found };
            match items.next_element_seed(item)? {
                Some(Some(item)) => list = digest::then(list, item),
                Some(None) => return Err(A::Error::custom("a null in a list")),
                None => return Ok(Some(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<u64>, A::Error> {
        let mut lenient = self.lenient;
        let fields = match self.kind {
            Type::Struct(at) => {
                let known = &self.schema.structs[*at];
                lenient |= known.lenient;
                Fields::Of(known)
            }
            Type::Map(of) => Fields::Each(of),
            Type::Labels => Fields::Labels,
            Type::Any => Fields::Each(&Type::Any),
            _ => return Err(A::Error::custom("an object")),
        };
        let mut sum = 0;
        let mut names: Vec<u64> = Vec::new();
        while let Some(field) = map.next_key_seed(Name { fields: &fields, lenient, at: self.at })? {
            names.push(field.digest);
            if let Some(wanted) = field.wanted {
                let text = map.next_value_seed(Text)?;
                let value = digest::text(&text);
                match wanted {
                    Wanted::Kind => self.found.kind = text.into(),
                    Wanted::ApiVersion => self.found.api_version = text.into(),
                    Wanted::Namespace => self.found.namespace = text.into(),
                    Wanted::Name => self.found.name = text.into(),
                }
                if self.at == At::Metadata {
                    sum = digest::with(sum, field.digest, value);
                }
            } else if field.left_out {
                map.next_value::<IgnoredAny>()?;
            } else {
                let (schema, kind, at) = (self.schema, field.kind, field.at);
                let value = map.next_value_seed(Walk { schema, kind, lenient, at, found: &mut *self.found })?;
                sum = value.map_or(sum, |value| digest::with(sum, field.digest, value));
            }
        }
        names.sort_unstable();
        let is_twice = names.windows(2).any(|pair| pair[0] == pair[1]);
        if is_twice { Err(A::Error::custom("a field twice")) } else { Ok(Some(sum)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"mill","managedFields":[{"x":1}]},
        "spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"1","memory":1024}}}]},
        "status":{"phase":"Pending","later":{"x":[1,-2,0.5,true,"y"]}}}"#;

    fn find(guess: &str, text: &str) -> Option<Glance> {
        glance(guess, text, &ItemOf::default())
    }

    #[test]
    fn what_matters_of_an_object_is_found_and_its_digest_is_the_one_of_its_value() {
        let found = find("Pod", POD).unwrap();
        assert_eq!((&*found.api_version, &*found.kind), ("v1", "Pod"));
        assert_eq!((&*found.namespace, &*found.name), ("mill", "a"));
        assert_eq!(found.digest, digest::of(&serde_json::from_str(POD).unwrap()).0);
    }

    #[test]
    fn a_null_counts_as_not_there() {
        let with = POD.replacen(r#""name":"c""#, r#""name":"c","image":null"#, 1);
        assert_eq!(find("Pod", &with).unwrap().digest, find("Pod", POD).unwrap().digest);
    }

    #[test]
    fn a_wrong_guess_and_an_item_without_a_kind_are_put_right() {
        let found = find("Deployment", POD).unwrap();
        assert_eq!((&*found.kind, &*found.name), ("Pod", "a"));
        let of = ItemOf { kind: "Pod".into(), api_version: "v1".into() };
        let bare = POD.replace(r#""apiVersion":"v1","kind":"Pod","#, "");
        let bare = glance("Pod", &bare, &of).unwrap();
        assert_eq!((&*bare.api_version, &*bare.kind, bare.digest), ("v1", "Pod", found.digest));
    }

    #[test]
    fn whatever_needs_a_closer_look_is_given_up() {
        for (from, to) in [
            (r#""name":"c""#, r#""nam":"c""#),
            (r#""name":"c""#, r#""name":"c","name":"c""#),
            (r#""name":"a""#, r#""name":null"#),
            (r#"[{"name""#, r#"[null,{"name""#),
            (r#""name":"c""#, r#""name":7"#),
            (r#""cpu":"1""#, r#""cpu":"1,5""#),
            (r#""cpu":"1""#, r#""cpu":"1e99""#),
            (r#""name":"a""#, r#""name":"a","deletionTimestamp":"tomorrow""#),
            (r#""memory":1024"#, r#""memory":[]"#),
            (r#""name":"a""#, r#""name":"a","labels":{"a":"b c"}"#),
            (r#""name":"a""#, r#""name":"a","labels":{"a b":"c"}"#),
            (r#""name":"a""#, r#""name":"a","labels":{"a":1}"#),
            (r#""spec":{"#, r#""spec":{"priority":99999999999,"#),
            (r#"[{"name""#, r#"{"name""#),
            (r#""phase":"Pending""#, r#""phase":{}"#),
        ] {
            let text = POD.replacen(from, to, 1);
            assert_ne!(text, POD);
            assert!(find("Pod", &text).is_none(), "{to}");
        }
        assert!(find("Pod", &POD.replace('}', "")).is_none());
        assert!(find("Pod", &format!("{POD} {{}}")).is_none());
        assert!(look("NodePool", POD).is_none(), "ours have schemas of another kind");
    }
}
