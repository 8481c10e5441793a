//! Instance profiles for classes that name a role.
//!
//! The name follows from cluster, region, class and role, so that a profile which was made and not written down is found
//! again: nothing has to be remembered, and nothing is made twice. One that is written down already, under whatever name,
//! stays in use as long as it has the role: machines run under it, and a new one is not known to EC2 for some seconds.

use std::collections::BTreeMap;

use aws_sdk_iam::types::Tag;

use super::call::{again, pages};
use super::client::Clients;
use super::fault::{Fault, Kind};

/// Profiles read at a time.
const PAGE: i32 = 100;

/// The longest name that IAM takes, in characters.
const MOST_OF_A_NAME: usize = 128;
/// <http://www.isthe.com/chongo/tech/comp/fnv/>
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// For whom a profile is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    pub cluster: &'a str,
    pub class: &'a str,
    /// Of the class.
    pub uid: &'a str,
    /// `spec.tags`.
    pub tags: &'a BTreeMap<String, String>,
}

impl Owner<'_> {
    fn path(&self, region: &str) -> String {
        format!("/karpenter/{region}/{}/{}/", self.cluster, self.uid)
    }

    fn name(&self, region: &str, role: &str) -> String {
        let text = format!("{region}{}{}{role}", self.class, self.uid);
        format!("{}_{}", self.cluster, super::template::fnv(&text))
    }

    fn all_tags(&self, region: &str) -> Result<Vec<Tag>, Fault> {
        let mut tags = self.tags.clone();
        tags.insert(format!("kubernetes.io/cluster/{}", self.cluster), "owned".into());
        tags.insert("eks:eks-cluster-name".into(), self.cluster.into());
        tags.insert("karpenter.k8s.aws/ec2nodeclass".into(), self.class.into());
        tags.insert("topology.kubernetes.io/region".into(), region.into());
        let made = tags.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
        made.collect::<Result<_, _>>().map_err(|error| Fault {
            action: "iam:CreateInstanceProfile",
            kind: Kind::Refused,
            code: String::new(),
            message: error.to_string(),
        })
    }
}

/// Sees to it that a profile with the role is there; its name. `written` is the one that was used last, if there is one.
///
/// # Errors
/// When IAM cannot be asked or refuses, for example because there is no such role.
pub async fn ensure(clients: &Clients, owner: &Owner<'_>, role: &str, written: Option<&str>) -> Result<String, Fault> {
    // Profiles name roles without their path.
    let role = role.rsplit('/').next().unwrap_or(role);
    let region = clients.region();
    let name = owner.name(region, role);
    if let Some(written) = written.filter(|written| **written != name)
        && has_role(clients, written, role).await? == Some(true)
    {
        return Ok(written.to_owned());
    }
    let found = has_role(clients, &name, role).await?;
    if found.is_none() {
        let tags = owner.all_tags(region)?;
        let path = owner.path(region);
        let create = || {
            let call = clients.iam.create_instance_profile().instance_profile_name(&name).path(&path);
            call.set_tags(Some(tags.clone())).send()
        };
        match again(clients, "iam:CreateInstanceProfile", create).await {
            Ok(_) | Err(Fault { kind: Kind::AlreadyExists, .. }) => {}
            Err(fault) => return Err(fault),
        }
    }
    if found != Some(true) {
        let add = || clients.iam.add_role_to_instance_profile().instance_profile_name(&name).role_name(role).send();
        match again(clients, "iam:AddRoleToInstanceProfile", add).await {
            Ok(_) => {}
            // A profile has one role; the name says which.
            Err(fault) if fault.code == "LimitExceeded" => {}
            Err(fault) => {
                // One without a role is of no use. If it cannot be taken away either, it is found again by its name.
                if found.is_none() && !fault.is_unanswered() {
                    let _ = delete(clients, &name, Vec::new()).await;
                }
                return Err(fault);
            }
        }
    }
    Ok(name)
}

/// Whether a profile has a role; none if there is no such profile.
async fn has_role(clients: &Clients, name: &str, role: &str) -> Result<Option<bool>, Fault> {
    let get = || clients.iam.get_instance_profile().instance_profile_name(name).send();
    match again(clients, "iam:GetInstanceProfile", get).await {
        Ok(found) => {
            let profile = found.instance_profile();
            Ok(Some(profile.is_some_and(|profile| profile.roles().iter().any(|attached| attached.role_name() == role))))
        }
        Err(Fault { kind: Kind::NotFound, .. }) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Takes away every profile that was made for a class; none is made for it meanwhile.
///
/// # Errors
/// When IAM cannot be asked.
pub async fn delete_all(clients: &Clients, owner: &Owner<'_>) -> Result<(), Fault> {
    for (name, roles) in list(clients, &owner.path(clients.region())).await? {
        delete(clients, &name, roles).await?;
    }
    Ok(())
}

/// The name that earlier versions of Karpenter gave the profile of a class, which has no path to be found by; none if IAM takes no
/// such name.
pub fn legacy_name(clients: &Clients, owner: &Owner<'_>) -> Option<String> {
    // FNV-1, not the FNV-1a of our own names.
    let text = format!("{}{}", clients.region(), owner.class);
    let hash = text.bytes().fold(FNV_OFFSET, |hash, byte| hash.wrapping_mul(FNV_PRIME) ^ u64::from(byte));
    let name = format!("{}_{hash}", owner.cluster);
    let is_good = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    (name.len() <= MOST_OF_A_NAME && name.chars().all(is_good)).then_some(name)
}

/// Names of all profiles that were made for classes of a cluster.
///
/// # Errors
/// When IAM cannot be asked.
pub async fn of_cluster(clients: &Clients, cluster: &str) -> Result<Vec<String>, Fault> {
    let found = list(clients, &format!("/karpenter/{}/{cluster}/", clients.region())).await?;
    Ok(found.into_iter().map(|(name, _)| name).collect())
}

/// Takes away a profile.
///
/// # Errors
/// When IAM cannot be asked.
pub async fn remove(clients: &Clients, name: &str) -> Result<(), Fault> {
    let get = || clients.iam.get_instance_profile().instance_profile_name(name).send();
    let found = match again(clients, "iam:GetInstanceProfile", get).await {
        Err(Fault { kind: Kind::NotFound, .. }) => return Ok(()),
        found => found?,
    };
    let roles = found.instance_profile().map(aws_sdk_iam::types::InstanceProfile::roles).unwrap_or_default();
    delete(clients, name, roles.iter().map(|role| role.role_name().to_owned()).collect()).await
}

/// Profiles under a path, each with its roles.
async fn list(clients: &Clients, path: &str) -> Result<Vec<(String, Vec<String>)>, Fault> {
    let mut found = Vec::new();
    let send = |marker| {
        let call = clients.iam.list_instance_profiles().path_prefix(path).max_items(PAGE);
        call.set_marker(marker).send()
    };
    pages(clients, "iam:ListInstanceProfiles", send, |page| {
        for profile in page.instance_profiles() {
            let roles: Vec<String> = profile.roles().iter().map(|role| role.role_name().to_owned()).collect();
            found.push((profile.instance_profile_name().to_owned(), roles));
        }
        page.marker.filter(|_| page.is_truncated)
    })
    .await?;
    Ok(found)
}

async fn delete(clients: &Clients, name: &str, roles: Vec<String>) -> Result<(), Fault> {
    for role in roles {
        let remove =
            || clients.iam.remove_role_from_instance_profile().instance_profile_name(name).role_name(&role).send();
        gone(again(clients, "iam:RemoveRoleFromInstanceProfile", remove).await.map(drop))?;
    }
    let delete = || clients.iam.delete_instance_profile().instance_profile_name(name).send();
    gone(again(clients, "iam:DeleteInstanceProfile", delete).await.map(drop))
}

/// What is gone already is as good as taken away.
fn gone(answer: Result<(), Fault>) -> Result<(), Fault> {
    match answer {
        Err(Fault { kind: Kind::NotFound, .. }) => Ok(()),
        other => other,
    }
}
