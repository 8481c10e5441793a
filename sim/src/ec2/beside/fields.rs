//! The members of a JSON request: each is of the right kind, and none is there that nobody reads.

use serde_json::{Map, Value};

use super::super::refusal::Refusal;

/// The members of one object.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(&'a Map<String, Value>);

fn wrong(name: &str, value: &Value, wanted: &str) -> Refusal {
    Refusal::new("SerializationException", format!("{name}: {value} is not {wanted}"))
}

impl<'a> Fields<'a> {
    /// The members of `value`, all of them among the known ones.
    ///
    /// # Errors
    /// When it is no object, or has a member that is not known.
    pub fn of(value: &'a Value, known: &[&str]) -> Result<Self, Refusal> {
        let members = value.as_object().ok_or_else(|| wrong("the request", value, "an object"))?;
        match members.keys().find(|name| !known.contains(&name.as_str())) {
            Some(unknown) => Err(Refusal::unknown_parameter(unknown)),
            None => Ok(Self(members)),
        }
    }

    fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// # Errors
    /// When it is there and is no text.
    pub fn text(self, name: &str) -> Result<Option<&'a str>, Refusal> {
        let read = self.get(name).map(|value| value.as_str().ok_or_else(|| wrong(name, value, "a text")));
        read.transpose()
    }

    /// # Errors
    /// When it is not there, or is no text.
    pub fn required(self, name: &str) -> Result<&'a str, Refusal> {
        self.text(name)?.ok_or_else(|| Refusal::missing(name))
    }

    /// A whole number within bounds.
    ///
    /// # Errors
    /// When it is there and is none, or out of bounds.
    pub fn number(self, name: &str, (least, most): (i64, i64)) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_i64().ok_or_else(|| wrong(name, value, "a whole number"))?;
        if (least..=most).contains(&number) {
            return Ok(Some(number));
        }
        let message =
            format!("Value {number} for parameter {name} is invalid. Reason: Must be between {least} and {most}.");
        Err(Refusal::invalid_value(&message))
    }

    /// # Errors
    /// When it is there and is no list.
    pub fn list(self, name: &str) -> Result<&'a [Value], Refusal> {
        let Some(value) = self.get(name) else { return Ok(&[]) };
        value.as_array().map(Vec::as_slice).ok_or_else(|| wrong(name, value, "a list"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nobody_reads_or_is_of_the_wrong_kind_is_refused() {
        let body = json!({ "Name": "a", "Most": 11, "Odd": true, "Text": 5 });
        assert_eq!(Fields::of(&body, &["Name", "Most", "Text"]).unwrap_err().code, "UnknownParameter");
        let fields = Fields::of(&body, &["Name", "Most", "Odd", "Text"]).unwrap();
        assert_eq!((fields.required("Name"), fields.text("None")), (Ok("a"), Ok(None)));
        assert_eq!(fields.required("None").unwrap_err().code, "MissingParameter");
        assert_eq!(fields.text("Text").unwrap_err().code, "SerializationException");
        assert_eq!(fields.number("Most", (1, 11)), Ok(Some(11)));
        assert_eq!(fields.number("Most", (1, 10)).unwrap_err().code, "InvalidParameterValue");
        assert_eq!(fields.number("Odd", (1, 10)).unwrap_err().code, "SerializationException");
        assert_eq!(fields.list("Name").unwrap_err().code, "SerializationException");
    }
}
