//! What the API server said, or what went wrong on the way to it, in words for people.

/// Down to the first cause, and without the names of our libraries.
pub(crate) fn cause(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return refusal(status);
    }
    let mut next = std::error::Error::source(error);
    let mut said = Vec::new();
    while let Some(cause) = next {
        said.push(cause.to_string());
        next = cause.source();
    }
    // Some causes repeat what stands below them.
    said.dedup_by(|below, above| above.contains(&**below));
    if said.is_empty() { error.to_string() } else { said.join(": ") }
}

/// Why the server does not do what it was asked.
pub(crate) fn refusal(status: &kube::core::Status) -> String {
    if status.message.is_empty() { format!("the server answers {}", status.code) } else { status.message.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_fails_is_told_with_its_first_cause() {
        #[derive(Debug, thiserror::Error)]
        #[error("client error (Connect)")]
        struct Outer(#[source] std::io::Error);
        let inner = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let error = kube::Error::Service(Box::new(Outer(inner)));
        assert_eq!(cause(&error), "client error (Connect): connection refused");
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_server() {
        let status = |message: &str| kube::core::Status { code: 403, message: message.into(), ..Default::default() };
        assert_eq!(cause(&kube::Error::Api(Box::new(status("leases is forbidden")))), "leases is forbidden");
        assert_eq!(cause(&kube::Error::Api(Box::new(status("")))), "the server answers 403");
    }
}
