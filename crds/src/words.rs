//! The words that Kubernetes takes for names, label keys and label values. Each check scans the bytes once; what is wrong
//! is said as the rule that is broken.

/// The rule that a word breaks.
pub type Broken = &'static str;

/// Names of most kinds: DNS-1123 subdomains.
///
/// # Errors
/// With the rule.
pub fn subdomain(name: &str) -> Result<(), Broken> {
    // What is between two dots is not limited in length.
    if name.len() <= 253 && name.split('.').all(is_part) {
        Ok(())
    } else {
        Err(
            "at most 253 lower-case letters, digits, '-' and '.', with a letter or digit at both ends and beside each dot",
        )
    }
}

/// Names of namespaces: DNS-1123 labels.
///
/// # Errors
/// With the rule.
pub fn dns_label(name: &str) -> Result<(), Broken> {
    if name.len() <= 63 && is_part(name) {
        Ok(())
    } else {
        Err("at most 63 lower-case letters, digits and '-', with a letter or digit at both ends")
    }
}

/// Any name that can stand in a path.
///
/// # Errors
/// With the rule.
pub fn path_segment(name: &str) -> Result<(), Broken> {
    let is_bad = name.is_empty() || name == "." || name == ".." || name.contains(['/', '%']);
    if is_bad { Err("neither empty nor '.' nor '..', and without '/' and '%'") } else { Ok(()) }
}

/// A label key: a name of up to 63 characters, with a DNS domain of up to 253 before it if it has a slash.
///
/// # Errors
/// With the rule.
pub fn label_key(key: &str) -> Result<(), Broken> {
    let name = match key.split_once('/') {
        None => key,
        Some((domain, name)) => {
            if subdomain(domain).is_err() {
                return Err("before the slash stands no lower-case DNS name of at most 253 characters");
            }
            name
        }
    };
    if name.is_empty() { Err("the name is empty") } else { word(name) }
}

/// A label value: empty, or a word.
///
/// # Errors
/// With the rule.
pub fn label_value(value: &str) -> Result<(), Broken> {
    if value.is_empty() { Ok(()) } else { word(value) }
}

/// Up to 63 letters, digits, dashes, underscores and dots, with a letter or digit at both ends.
fn word(text: &str) -> Result<(), Broken> {
    let bytes = text.as_bytes();
    let is_inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let is_outer = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    if text.len() > 63 {
        return Err("it has more than 63 characters");
    }
    if !bytes.iter().all(is_inner) || !is_outer(bytes.first()) || !is_outer(bytes.last()) {
        return Err("it must be letters, digits, '-', '_' and '.', with a letter or digit at both ends");
    }
    Ok(())
}

/// What may stand between two dots of a domain.
fn is_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    !bytes.is_empty() && bytes.iter().all(is_inner) && bytes.first() != Some(&b'-') && bytes.last() != Some(&b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_of_labels_are_told_from_other_words() {
        for good in ["a", "A.b_c-1", "example.com/a", "a.b-c.d/X", &format!("{}/{}", "a".repeat(253), "b".repeat(63))] {
            assert_eq!(label_key(good), Ok(()), "{good}");
        }
        for bad in ["", "/a", "a/", "a/b/c", "A.com/a", "a..b/c", "-a", "a b", &"a".repeat(64), "é"] {
            assert!(label_key(bad).is_err(), "{bad}");
        }
        for good in ["", "a", "1.0", "A_b-c", &"a".repeat(63)] {
            assert_eq!(label_value(good), Ok(()), "{good}");
        }
        for bad in ["-", "a b", "a/b", ".a", "a\n", &"a".repeat(64)] {
            assert!(label_value(bad).is_err(), "{bad}");
        }
    }
}
