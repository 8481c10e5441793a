//! What an identity may do: an IAM policy, evaluated as far as the product's own policy goes.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::filter::glob;
use super::refusal::Refusal;

/// A policy that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("the policy is no JSON of the form that IAM takes: {0}")]
    Json(#[from] serde_json::Error),
    /// Not evaluating a condition would allow too much.
    #[error(
        "condition operator {0} is not known here; use StringEquals, StringLike, their IfExists, or ForAllValues:StringEquals"
    )]
    Operator(String),
}

/// Statements that allow or deny.
#[derive(Clone, Debug, Default)]
pub struct Policy(Vec<Statement>);

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    statement: Vec<Statement>,
}

/// What a statement that applies comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    /// For people.
    #[serde(default, rename = "Sid")]
    _sid: String,
    effect: Effect,
    action: OneOrMany,
    resource: OneOrMany,
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, OneOrMany>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Value")]
struct OneOrMany(Vec<String>);

impl From<Value> for OneOrMany {
    fn from(value: Value) -> Self {
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        match value {
            Value::Array(all) => Self(all.into_iter().map(text).collect()),
            one => Self(vec![text(one)]),
        }
    }
}

/// Something that is to be done.
#[derive(Clone, Debug)]
pub struct Question {
    /// `ec2:CreateFleet`
    pub action: String,
    /// An ARN, or `*`.
    pub resource: String,
    /// Condition keys and their values.
    pub keys: BTreeMap<String, Vec<String>>,
}

impl Policy {
    /// Reads a policy document. Several may be joined with [`Policy::and`].
    ///
    /// # Errors
    /// When it is none, or has a condition that cannot be evaluated.
    pub fn parse(json: &str) -> Result<Self, PolicyError> {
        let document: Document = serde_json::from_str(json)?;
        let operators = document.statement.iter().flat_map(|statement| statement.condition.keys());
        if let Some(unknown) = operators.into_iter().find(|operator| !is_known(operator)) {
            return Err(PolicyError::Operator(unknown.clone()));
        }
        Ok(Self(document.statement))
    }

    /// Both policies' statements.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// # Errors
    /// `UnauthorizedOperation` when nothing allows it, or something denies it.
    pub fn answer(&self, question: &Question) -> Result<(), Refusal> {
        let mut is_allowed = false;
        for statement in self.0.iter().filter(|statement| statement.applies(question)) {
            match statement.effect {
                Effect::Deny => return Err(refusal(question)),
                Effect::Allow => is_allowed = true,
            }
        }
        if is_allowed { Ok(()) } else { Err(refusal(question)) }
    }
}

fn refusal(question: &Question) -> Refusal {
    let Question { action, resource, .. } = question;
    let message = format!(
        "You are not authorized to perform this operation. User: arn:aws:sts::{}:assumed-role/millwright/session is not \
         authorized to perform: {action} on resource: {resource} because no identity-based policy allows the {action} action",
        super::land::ACCOUNT
    );
    Refusal::with_status(403, "UnauthorizedOperation", message)
}

fn is_known(operator: &str) -> bool {
    let plain = operator.strip_suffix("IfExists").unwrap_or(operator);
    matches!(plain, "StringEquals" | "StringLike" | "ArnEquals") || operator == "ForAllValues:StringEquals"
}

impl Statement {
    fn applies(&self, question: &Question) -> bool {
        self.action.0.iter().any(|action| glob(&action.to_lowercase(), &question.action.to_lowercase()))
            && self.resource.0.iter().any(|resource| resource == "*" || glob(resource, &question.resource))
            && self.condition.iter().all(|(operator, keys)| {
                keys.iter().all(|(key, wanted)| holds(operator, question.keys.get(key), &wanted.0))
            })
    }
}

fn holds(operator: &str, values: Option<&Vec<String>>, wanted: &[String]) -> bool {
    let (plain, may_be_missing) = match operator.strip_suffix("IfExists") {
        Some(plain) => (plain, true),
        None => (operator, false),
    };
    let matches = |value: &String| {
        wanted.iter().any(|wanted| if plain == "StringLike" { glob(wanted, value) } else { wanted == value })
    };
    match values {
        // Nothing to object to, as IAM has it.
        None => may_be_missing || operator.starts_with("ForAllValues:"),
        Some(values) => values.iter().all(matches),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"{ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": ["ec2:RunInstances", "ec2:CreateFleet"],
          "Resource": "arn:aws:ec2:us-east-1:*:instance/*",
          "Condition": { "StringEquals": { "aws:RequestTag/owner": "c" }, "StringLike": { "aws:RequestTag/pool": "*" } } },
        { "Effect": "Allow", "Action": "ec2:CreateTags", "Resource": "*",
          "Condition": { "ForAllValues:StringEquals": { "aws:TagKeys": ["Name"] }, "StringEqualsIfExists": { "aws:RequestTag/x": "1" } } },
        { "Effect": "Deny", "Action": "ec2:*", "Resource": "arn:aws:ec2:us-east-1:1:instance/i-sacred" } ] }"#;

    fn ask(action: &str, resource: &str, keys: &[(&str, &str)]) -> bool {
        let keys = keys.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()])).collect();
        let question = Question { action: action.to_owned(), resource: resource.to_owned(), keys };
        Policy::parse(POLICY).unwrap().answer(&question).is_ok()
    }

    #[test]
    fn a_call_without_the_tags_that_the_policy_demands_is_refused() {
        let fleet = |keys: &[(&str, &str)]| ask("ec2:CreateFleet", "arn:aws:ec2:us-east-1:1:instance/*", keys);
        assert!(fleet(&[("aws:RequestTag/owner", "c"), ("aws:RequestTag/pool", "")]));
        assert!(!fleet(&[("aws:RequestTag/owner", "d"), ("aws:RequestTag/pool", "")]));
        assert!(!fleet(&[("aws:RequestTag/owner", "c")]));
        assert!(!ask(
            "ec2:CreateFleet",
            "arn:aws:ec2:us-east-1:1:volume/*",
            &[("aws:RequestTag/owner", "c"), ("aws:RequestTag/pool", "")]
        ));
    }

    #[test]
    fn tag_keys_beyond_those_listed_are_refused_and_a_denial_wins() {
        assert!(ask("ec2:CreateTags", "arn:aws:ec2:us-east-1:1:instance/i-1", &[("aws:TagKeys", "Name")]));
        assert!(!ask("ec2:CreateTags", "arn:aws:ec2:us-east-1:1:instance/i-1", &[("aws:TagKeys", "Other")]));
        assert!(!ask("ec2:CreateTags", "arn:aws:ec2:us-east-1:1:instance/i-1", &[("aws:RequestTag/x", "2")]));
        assert!(!ask("ec2:CreateTags", "arn:aws:ec2:us-east-1:1:instance/i-sacred", &[("aws:TagKeys", "Name")]));
    }

    #[test]
    fn a_condition_that_cannot_be_evaluated_is_no_condition_to_ignore() {
        let odd = r#"{ "Statement": [ { "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": { "IpAddress": {} } } ] }"#;
        assert!(Policy::parse(odd).unwrap_err().to_string().contains("IpAddress"));
        // Neither is a word that is no effect, nor an element that nobody reads.
        for (odd, told) in [
            (r#"{ "Statement": [ { "Effect": "deny", "Action": "*", "Resource": "*" } ] }"#, "unknown variant `deny`"),
            (
                r#"{ "Statement": [ { "Effect": "Allow", "NotAction": "*", "Resource": "*", "Action": [] } ] }"#,
                "NotAction",
            ),
        ] {
            let error = Policy::parse(odd).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
