//! The certificate authority of a cluster, byte for byte as it is written: nodes are told it, and the drift hash of EC2 node
//! classes is made from it, so that another spelling of the same certificate would replace every node.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Uri;
use kube::config::Kubeconfig;

/// Where a pod finds that of its cluster.
const OF_POD: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// What a kubeconfig has under a context, by default its current one.
pub(super) fn of(kubeconfig: &Kubeconfig, context: Option<&str>) -> Option<String> {
    let name = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|one| one.name == name)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|one| one.name == context.cluster)?.cluster.as_ref()?;
    match (&cluster.certificate_authority_data, &cluster.certificate_authority) {
        // Lines may have been broken.
        (Some(data), _) => Some(data.split_whitespace().collect()),
        (None, Some(path)) => in_file(path),
        (None, None) => None,
    }
}

/// What the kubeconfig has that is found without being named, if it is about the server at `url`, or else what the pod has.
pub(super) fn of_inferred(url: &Uri) -> Option<String> {
    let found = Kubeconfig::read().ok().filter(|kubeconfig| server(kubeconfig).as_ref() == Some(url));
    match found {
        Some(kubeconfig) => of(&kubeconfig, None),
        None => in_file(OF_POD),
    }
}

/// The server under the current context.
fn server(kubeconfig: &Kubeconfig) -> Option<Uri> {
    let name = kubeconfig.current_context.as_deref()?;
    let context = kubeconfig.contexts.iter().find(|one| one.name == name)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|one| one.name == context.cluster)?.cluster.as_ref()?;
    cluster.server.as_ref()?.parse().ok()
}

fn in_file(path: &str) -> Option<String> {
    std::fs::read(path).ok().map(|bytes| BASE64_STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubeconfig(authority: &str) -> Kubeconfig {
        Kubeconfig::from_yaml(&format!(
            "current-context: one\ncontexts: [{{ name: one, context: {{ cluster: a, user: u }} }}]\nclusters: [{{ name: b, \
             cluster: {{ server: 'https://b', certificate-authority-data: Qg== }} }}, {{ name: a, cluster: {{ server: \
             'https://a', {authority} }} }}]"
        ))
        .unwrap()
    }

    #[test]
    fn what_is_written_is_not_read_and_written_anew() {
        let data = of(&kubeconfig("certificate-authority-data: \"TEV0IGl0\\nIGJl\""), None);
        assert_eq!(data.as_deref(), Some("TEV0IGl0IGJl"), "whatever it is");
        let path = std::env::temp_dir().join(format!("millwright-authority-{}", std::process::id()));
        std::fs::write(&path, "PEM\n\n").unwrap();
        let file = of(&kubeconfig(&format!("certificate-authority: {}", path.display())), Some("one"));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.as_deref(), Some("UEVNCgo="), "line ends count");
        assert_eq!(of(&kubeconfig("insecure-skip-tls-verify: true"), None), None);
        assert_eq!(of(&kubeconfig("certificate-authority-data: QQ=="), Some("two")), None);
    }
}
