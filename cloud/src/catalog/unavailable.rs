//! Patterns that name offerings known to be out of capacity.

use planner::model::CapacityType;

use super::CatalogError;

/// `TYPE/ZONE/CAPACITY_TYPE`, where `*` stands for any run of characters: `m5.*/us-east-1a/spot`, `*/*/reserved`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnavailablePattern {
    instance_type: String,
    zone: String,
    capacity_type: String,
}

impl UnavailablePattern {
    /// Reads the text form.
    ///
    /// # Errors
    /// When it has not three parts, or the last can match no capacity type.
    pub fn parse(pattern: &str) -> Result<Self, CatalogError> {
        let wrong = || CatalogError::Pattern { pattern: pattern.into() };
        let parts: Vec<&str> = pattern.split('/').map(str::trim).collect();
        let [instance_type, zone, capacity_type] = parts[..] else { return Err(wrong()) };
        let known = [CapacityType::Reserved, CapacityType::Spot, CapacityType::OnDemand];
        if instance_type.is_empty() || zone.is_empty() || !known.iter().any(|c| matches(capacity_type, c.as_str())) {
            return Err(wrong());
        }
        let [instance_type, zone, capacity_type] = [instance_type, zone, capacity_type].map(str::to_owned);
        Ok(Self { instance_type, zone, capacity_type })
    }

    /// Does it name this offering?
    pub fn names(&self, instance_type: &str, zone: &str, capacity_type: CapacityType) -> bool {
        matches(&self.capacity_type, capacity_type.as_str())
            && matches(&self.zone, zone)
            && matches(&self.instance_type, instance_type)
    }
}

impl std::fmt::Display for UnavailablePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.instance_type, self.zone, self.capacity_type)
    }
}

/// Whether some pattern names the offering.
pub(crate) fn any_names(
    patterns: &[UnavailablePattern],
    instance_type: &str,
    zone: &str,
    capacity_type: CapacityType,
) -> bool {
    patterns.iter().any(|pattern| pattern.names(instance_type, zone, capacity_type))
}

/// `*` is any run of characters, everything else is itself.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut parts = rest.split('*').collect::<Vec<_>>();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        // The leftmost place leaves most for the parts that follow.
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, text, want) in [
            ("*", "", true),
            ("*", "m5.large", true),
            ("m5.*", "m5.large", true),
            ("m5.*", "m5d.large", false),
            ("*.large", "m5.large", true),
            ("*.large", "m5.xlarge", false),
            ("m*.*large", "m5.xlarge", true),
            ("a*a", "a", false),
            ("a*b*a", "aba", true),
            ("m5.large", "m5.large", true),
            ("m5.large", "m5.larger", false),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_pattern_that_can_name_nothing_is_refused() {
        for text in ["m5.large", "m5.large/us-east-1a", "a/b/c/d", "m5.large/us-east-1a/ondemand", "//spot", ""] {
            let error = UnavailablePattern::parse(text).unwrap_err();
            assert!(error.to_string().contains("TYPE/ZONE/CAPACITY_TYPE"), "{error}");
        }
    }

    #[test]
    fn all_three_parts_must_match() {
        let pattern = UnavailablePattern::parse("m5.*/us-east-1a/spot").unwrap();
        assert!(pattern.names("m5.large", "us-east-1a", CapacityType::Spot));
        assert!(!pattern.names("m5.large", "us-east-1b", CapacityType::Spot));
        assert!(!pattern.names("m5.large", "us-east-1a", CapacityType::OnDemand));
        assert!(!pattern.names("c5.large", "us-east-1a", CapacityType::Spot));
    }
}
