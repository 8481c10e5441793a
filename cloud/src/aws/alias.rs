//! Images by alias (`al2023@latest`) and by SSM parameter.
//!
//! Which parameters there are: <https://docs.aws.amazon.com/eks/latest/userguide/retrieve-ami-id.html>,
//! <https://bottlerocket.dev/en/os/latest/#/install/quickstart/aws/amis/>.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::call::again;
use super::client::Clients;
use super::fault::{Fault, Kind};
use super::resolve::Variant;
use crate::catalog::AmiFamily;

/// How long the value of an alias' parameter holds.
const ALIAS: Duration = Duration::from_hours(24);
/// How long that of a parameter of the user's holds.
const OWN: Duration = Duration::from_mins(5);
/// The most values kept.
const MOST: usize = 1000;

/// Values of parameters, as looked up.
#[derive(Debug, Default)]
pub struct Parameters(Mutex<BTreeMap<String, (Instant, Option<String>)>>);

impl Parameters {
    /// The images of an alias and what each is for. Images that are not published for this version of Kubernetes are
    /// not in it.
    ///
    /// # Errors
    /// When SSM cannot be asked: an image that was not seen because of it must not look as if it were not there.
    pub async fn of_alias(
        &self,
        clients: &Clients,
        alias: &str,
        kubernetes: &str,
    ) -> Result<Vec<(String, Variant)>, Fault> {
        let mut found = Vec::new();
        for (name, variants) in names(alias, kubernetes) {
            let Some(id) = self.value(clients, &name, ALIAS).await? else { continue };
            found.extend(variants.iter().map(|variant| (id.clone(), *variant)));
        }
        Ok(found)
    }

    /// The image id in a parameter of the user's; none if there is no such parameter, or no image id in it.
    ///
    /// # Errors
    /// When SSM cannot be asked.
    pub async fn own(&self, clients: &Clients, name: &str) -> Result<Option<String>, Fault> {
        Ok(self.value(clients, name, OWN).await?.filter(|value| value.starts_with("ami-")))
    }

    /// Forgets values of parameters that follow the newest image where the image was called back: what AWS publishes then is
    /// looked up at once, and not a day later. `now` is RFC 3339.
    ///
    /// # Errors
    /// When EC2 cannot be asked.
    pub async fn forget_deprecated(&self, clients: &Clients, now: &str) -> Result<(), Fault> {
        let images: Vec<String> = {
            let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let of_newest = all.iter().filter(|(name, _)| moves(name));
            of_newest.filter_map(|(_, (_, value))| value.clone()).collect()
        };
        if images.is_empty() {
            return Ok(());
        }
        let good = super::resolve::not_deprecated(clients, images, now).await?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|name, (_, value)| !moves(name) || value.as_ref().is_none_or(|value| good.contains(value)));
        Ok(())
    }

    async fn value(&self, clients: &Clients, name: &str, holds: Duration) -> Result<Option<String>, Fault> {
        if let Some((at, value)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            // What is not there may be published any day.
            let holds = if value.is_none() { OWN } else { holds };
            if at.elapsed() < holds {
                return Ok(value.clone());
            }
        }
        let value = match again(clients, "ssm:GetParameter", || clients.ssm.get_parameter().name(name).send()).await {
            Ok(answer) => answer.parameter().and_then(|parameter| parameter.value()).map(str::to_owned),
            Err(Fault { kind: Kind::NotFound, .. }) => None,
            Err(fault) => return Err(fault),
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(name.to_owned(), (Instant::now(), value.clone()));
        Ok(value)
    }
}

/// Whether the parameter may come to name another image.
fn moves(name: &str) -> bool {
    name.contains("/recommended/") || name.contains("/latest/") || name.contains("/ami-windows-latest/")
}

/// The parameters of an alias, each with what its image is for.
fn names(alias: &str, kubernetes: &str) -> Vec<(String, Vec<Variant>)> {
    use Variant::{Neuron, Nvidia, Standard};
    let version = alias.split_once('@').map_or("latest", |(_, version)| version);
    let is_latest = version == "latest";
    let eks = format!("/aws/service/eks/optimized-ami/{kubernetes}");
    let Some(family) = AmiFamily::parse(alias) else { return Vec::new() };
    match family {
        AmiFamily::Al2 => {
            let name = |folder: &str, image: &str, variants: &[Variant]| {
                let which =
                    if is_latest { "recommended".to_owned() } else { format!("{image}-{kubernetes}-{version}") };
                (format!("{eks}/{folder}/{which}/image_id"), variants.to_vec())
            };
            vec![
                name("amazon-linux-2", "amazon-eks-node", &[Standard]),
                name("amazon-linux-2-arm64", "amazon-eks-arm64-node", &[Standard]),
                name("amazon-linux-2-gpu", "amazon-eks-gpu-node", &[Neuron, Nvidia]),
            ]
        }
        AmiFamily::Al2023 => {
            let name = |arch: &str, folder: &str, variant: Variant| {
                let which = if is_latest {
                    "recommended".to_owned()
                } else {
                    format!("amazon-eks-node-al2023-{arch}-{folder}-{kubernetes}-{version}")
                };
                (format!("{eks}/amazon-linux-2023/{arch}/{folder}/{which}/image_id"), vec![variant])
            };
            vec![
                name("x86_64", "standard", Standard),
                name("x86_64", "nvidia", Nvidia),
                name("x86_64", "neuron", Neuron),
                name("arm64", "standard", Standard),
                name("arm64", "nvidia", Nvidia),
            ]
        }
        AmiFamily::Bottlerocket => {
            let version = version.strip_prefix('v').unwrap_or(version);
            let name = |flavour: &str, arch: &str, variants: &[Variant]| {
                let folder = format!("/aws/service/bottlerocket/aws-k8s-{kubernetes}{flavour}");
                (format!("{folder}/{arch}/{version}/image_id"), variants.to_vec())
            };
            vec![
                name("", "x86_64", &[Standard, Neuron]),
                name("", "arm64", &[Standard]),
                name("-nvidia", "x86_64", &[Nvidia]),
                name("-nvidia", "arm64", &[Nvidia]),
            ]
        }
        AmiFamily::Windows2019 | AmiFamily::Windows2022 | AmiFamily::Windows2025 => {
            let year = match family {
                AmiFamily::Windows2019 => 2019,
                AmiFamily::Windows2022 => 2022,
                _ => 2025,
            };
            let folder = "/aws/service/ami-windows-latest";
            vec![(
                format!("{folder}/Windows_Server-{year}-English-Core-EKS_Optimized-{kubernetes}/image_id"),
                family.windows_build().map(Variant::Windows).into_iter().collect(),
            )]
        }
        AmiFamily::Custom => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_name_the_parameters_that_aws_publishes() {
        let of = |alias: &str| names(alias, "1.34").into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(
            of("al2023@latest")[1],
            "/aws/service/eks/optimized-ami/1.34/amazon-linux-2023/x86_64/nvidia/recommended/image_id"
        );
        assert_eq!(
            of("al2023@v20261105")[3],
            "/aws/service/eks/optimized-ami/1.34/amazon-linux-2023/arm64/standard/amazon-eks-node-al2023-arm64-standard-1.34-v20261105/image_id"
        );
        assert_eq!(
            of("bottlerocket@v1.50.0")[2],
            "/aws/service/bottlerocket/aws-k8s-1.34-nvidia/x86_64/1.50.0/image_id"
        );
        assert_eq!(of("al2@latest")[2], "/aws/service/eks/optimized-ami/1.34/amazon-linux-2-gpu/recommended/image_id");
        assert_eq!(
            of("windows2022@latest"),
            ["/aws/service/ami-windows-latest/Windows_Server-2022-English-Core-EKS_Optimized-1.34/image_id"]
        );
        assert!(of("custom@1").is_empty());
        let variants = names("windows2022@latest", "1.35").remove(0).1;
        assert_eq!(variants, [Variant::Windows("10.0.20348")]);
        let follow = |alias: &str| names(alias, "1.35").iter().all(|(name, _)| moves(name));
        assert!(follow("al2023@latest") && follow("bottlerocket@latest") && follow("windows2025@latest"));
        assert!(!follow("al2023@v20261105") && !follow("bottlerocket@1.50.0"));
    }
}
