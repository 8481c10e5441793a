//! Windows: a `PowerShell` script that calls EKS' bootstrap script.

use std::fmt::Write as _;

use super::UserData;
use super::kubelet::arguments;

pub(super) fn text(data: &UserData<'_>) -> String {
    let cluster = data.cluster;
    let custom = data.custom.map(str::trim_end).filter(|custom| !custom.is_empty());
    let custom = custom.map(|custom| format!("{custom}\n")).unwrap_or_default();
    let mut call = format!(
        "& $EKSBootstrapScriptFile -EKSClusterName '{}' -APIServerEndpoint '{}' -Base64ClusterCA '{}' -KubeletExtraArgs '{}'",
        cluster.name,
        cluster.endpoint,
        cluster.ca_bundle,
        arguments(data).join(" ")
    );
    if let Some(dns) = data.dns().first() {
        let _ = write!(call, " -DNSClusterIP '{dns}'");
    }
    format!(
        "<powershell>\n{custom}[string]$EKSBootstrapScriptFile = \"$env:ProgramFiles\\Amazon\\EKS\\Start-EKSBootstrap.ps1\"\n{call}\n</powershell>"
    )
}
