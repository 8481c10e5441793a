//! Amazon Linux 2, and images that boot like it: a shell script that calls EKS' bootstrap script.

use super::kubelet::arguments;
use super::mime::{self, Part};
use super::{UserData, UserDataError};

/// The class's parts first, ours last.
pub(super) fn text(data: &UserData<'_>) -> Result<String, UserDataError> {
    let mut parts = match data.custom.filter(|custom| !custom.trim().is_empty()) {
        None => Vec::new(),
        Some(custom) if mime::is_multipart(custom) => mime::parts(custom)?,
        Some(custom) => vec![Part::new(mime::SHELL, custom.to_owned())],
    };
    parts.push(Part::new(mime::SHELL, script(data)));
    Ok(mime::join(&parts))
}

fn script(data: &UserData<'_>) -> String {
    let cluster = data.cluster;
    let mut lines = vec![format!(
        "/etc/eks/bootstrap.sh '{}' --apiserver-endpoint '{}' --b64-cluster-ca '{}'",
        cluster.name, cluster.endpoint, cluster.ca_bundle
    )];
    let dns = data.dns();
    if dns.first().is_some_and(|dns| dns.contains(':')) {
        lines.push("--ip-family ipv6".to_owned());
    }
    if let Some(first) = dns.first() {
        lines.push(format!("--dns-cluster-ip '{first}'"));
    }
    lines.push("--use-max-pods false".to_owned());
    lines.push(format!("--kubelet-extra-args '{}'", arguments(data).join(" ")));
    if data.raid0 {
        lines.push("--local-disks raid0".to_owned());
    }
    format!(
        "#!/bin/bash -xe\nexec > >(tee /var/log/user-data.log|logger -t user-data -s 2>/dev/console) 2>&1\n{}\n",
        lines.join(" \\\n")
    )
}
