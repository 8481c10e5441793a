//! What a class's selectors find: subnets, security groups, images.

use aws_sdk_ec2::types::Filter;
use planner::model::{Operator, Requirement, Requirements, Str};

use super::call::{again, pages};
use super::class::{Image, Subnet};
use super::client::Clients;
use super::fault::Fault;

/// Entries of a page; images and the others have different bounds.
const PAGE: i32 = 500;

/// One term of a selector. What is found by any term is selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Term {
    /// Goes before everything else.
    pub id: Option<String>,
    /// Of a security group or image.
    pub name: Option<String>,
    /// Of an image: an account, `self` or `amazon`.
    pub owner: Option<String>,
    /// Key and value; `*` for any value.
    pub tags: Vec<(String, String)>,
}

impl Term {
    fn filters(&self, id: &str, name: Option<&str>) -> Vec<Filter> {
        let filter = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
        if let Some(of) = &self.id {
            return vec![filter(id, of)];
        }
        if let (Some(key), Some(of)) = (name, &self.name) {
            return vec![filter(key, of)];
        }
        let tags = self.tags.iter();
        tags.map(|(key, value)| match value.as_str() {
            "*" => filter("tag-key", key),
            value => filter(&format!("tag:{key}"), value),
        })
        .collect()
    }
}

/// The subnets of a class: those with most free addresses first.
///
/// # Errors
/// When EC2 cannot be asked.
pub async fn subnets(clients: &Clients, terms: &[Term]) -> Result<Vec<Subnet>, Fault> {
    let mut found: Vec<Subnet> = Vec::new();
    for term in terms {
        let filters = term.filters("subnet-id", None);
        let send = |token| {
            let call = clients.ec2.describe_subnets().max_results(PAGE).set_next_token(token);
            call.set_filters(Some(filters.clone())).send()
        };
        pages(clients, "ec2:DescribeSubnets", send, |page| {
            found.extend(page.subnets().iter().filter_map(|subnet| {
                Some(Subnet {
                    id: subnet.subnet_id()?.into(),
                    zone: subnet.availability_zone()?.into(),
                    zone_id: subnet.availability_zone_id().unwrap_or_default().into(),
                    available: subnet.available_ip_address_count().map_or(0, i64::from),
                    look: 0,
                })
            }));
            page.next_token
        })
        .await?;
    }
    Ok(by_room(found))
}

/// Each subnet once, those with most free addresses first. Two terms may have found the same one at two moments, with
/// different counts.
fn by_room(mut found: Vec<Subnet>) -> Vec<Subnet> {
    found.sort_by(|a, b| a.id.cmp(&b.id).then_with(|| a.available.cmp(&b.available)));
    found.dedup_by(|later, first| later.id == first.id);
    found.sort_by(|a, b| b.available.cmp(&a.available).then_with(|| a.id.cmp(&b.id)));
    found
}

/// The security groups of a class: id and name, by id.
///
/// # Errors
/// When EC2 cannot be asked.
pub async fn security_groups(clients: &Clients, terms: &[Term]) -> Result<Vec<(Str, String)>, Fault> {
    let mut found: Vec<(Str, String)> = Vec::new();
    for term in terms {
        let filters = term.filters("group-id", Some("group-name"));
        let send = |token| {
            let call = clients.ec2.describe_security_groups().max_results(PAGE).set_next_token(token);
            call.set_filters(Some(filters.clone())).send()
        };
        pages(clients, "ec2:DescribeSecurityGroups", send, |page| {
            found.extend(page.security_groups().iter().filter_map(|group| {
                Some((group.group_id()?.into(), group.group_name().unwrap_or_default().to_owned()))
            }));
            page.next_token
        })
        .await?;
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// An image found, and for which machines it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    image: Image,
    /// RFC 3339, as EC2 writes it.
    created: String,
}

/// What an image of an alias is for, beside its architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variant {
    Standard,
    Nvidia,
    Neuron,
    /// For one build of Windows, such as `10.0.20348`.
    Windows(&'static str),
}

impl Variant {
    fn requirements(self) -> Vec<Requirement> {
        const GPUS: &str = "karpenter.k8s.aws/instance-gpu-count";
        const ACCELERATORS: &str = "karpenter.k8s.aws/instance-accelerator-count";
        let say = |key: &str, operator| Requirement::new(key, operator, Vec::<&str>::new());
        match self {
            Self::Standard => vec![say(ACCELERATORS, Operator::DoesNotExist), say(GPUS, Operator::DoesNotExist)],
            Self::Nvidia => vec![say(GPUS, Operator::Exists)],
            Self::Neuron => vec![say(ACCELERATORS, Operator::Exists)],
            Self::Windows(build) => vec![
                Requirement::equal(planner::model::labels::OS, "windows"),
                Requirement::equal("node.kubernetes.io/windows-build", build),
            ],
        }
    }
}

/// The images that terms find, newest first. `variants` says of image ids what they are for; others are for every machine
/// of their architecture. For each kind of machine the best is kept: not deprecated, then newest, then by name.
///
/// # Errors
/// When EC2 cannot be asked.
pub async fn images(
    clients: &Clients,
    terms: &[Term],
    variants: &[(String, Variant)],
    now: &str,
) -> Result<Vec<Image>, Fault> {
    let mut found: Vec<Found> = Vec::new();
    let ids: Vec<String> = terms.iter().filter_map(|term| term.id.clone()).collect();
    let mut queries: Vec<(Vec<Filter>, Vec<String>)> = Vec::new();
    if !ids.is_empty() {
        queries.push((vec![Filter::builder().name("image-id").set_values(Some(ids)).build()], Vec::new()));
    }
    for term in terms.iter().filter(|term| term.id.is_none()) {
        let owners = match (&term.owner, &term.name) {
            (Some(owner), _) => vec![owner.clone()],
            (None, Some(_)) => vec!["self".to_owned(), "amazon".to_owned()],
            (None, None) => Vec::new(),
        };
        let mut filters = Term { name: None, ..term.clone() }.filters("image-id", None);
        filters.extend(term.name.as_ref().map(|name| Filter::builder().name("name").values(name).build()));
        queries.push((filters, owners));
    }
    for (mut filters, owners) in queries {
        filters.push(Filter::builder().name("state").values("available").build());
        let send = |token| {
            let call = clients.ec2.describe_images().include_deprecated(true).max_results(PAGE);
            let call = call.set_owners(Some(owners.clone()).filter(|owners| !owners.is_empty()));
            call.set_next_token(token).set_filters(Some(filters.clone())).send()
        };
        pages(clients, "ec2:DescribeImages", send, |page| {
            found.extend(page.images().iter().flat_map(|image| read(image, variants, now)));
            page.next_token
        })
        .await?;
    }
    Ok(best(found))
}

/// Those of the images that are there and not deprecated.
pub(super) async fn not_deprecated(
    clients: &Clients,
    ids: Vec<String>,
    now: &str,
) -> Result<std::collections::BTreeSet<String>, Fault> {
    let answer = again(clients, "ec2:DescribeImages", || {
        let filter = Filter::builder().name("image-id").set_values(Some(ids.clone())).build();
        clients.ec2.describe_images().include_deprecated(true).filters(filter).send()
    })
    .await?;
    let good = answer.images().iter().filter(|image| image.deprecation_time().is_none_or(|at| at > now));
    Ok(good.filter_map(|image| image.image_id().map(str::to_owned)).collect())
}

/// One entry for each kind of machine that the image is for.
fn read(image: &aws_sdk_ec2::types::Image, variants: &[(String, Variant)], now: &str) -> Vec<Found> {
    let (Some(id), Some(arch)) = (image.image_id(), image.architecture()) else { return Vec::new() };
    let arch = match arch.as_str() {
        "x86_64" => "amd64",
        "arm64" => "arm64",
        _ => return Vec::new(),
    };
    let of_image: Vec<Variant> = variants.iter().filter(|(of, _)| of == id).map(|(_, variant)| *variant).collect();
    let kinds: Vec<Vec<Requirement>> =
        if of_image.is_empty() { vec![Vec::new()] } else { of_image.into_iter().map(Variant::requirements).collect() };
    // Both are RFC 3339 in UTC, which sorts as text.
    let is_deprecated = image.deprecation_time().is_some_and(|at| at <= now);
    kinds
        .into_iter()
        .map(|kind| {
            let mut requirements = Requirements::new();
            requirements.add(Requirement::equal(planner::model::labels::ARCH, arch));
            for requirement in kind {
                requirements.add(requirement);
            }
            let image =
                Image { id: id.into(), name: image.name().unwrap_or_default().to_owned(), requirements, is_deprecated };
            Found { image, created: String::new() }
        })
        .map(|found| Found { created: image.creation_date().unwrap_or_default().to_owned(), ..found })
        .collect()
}

fn best(mut found: Vec<Found>) -> Vec<Image> {
    found.sort_by(|a, b| {
        let of = |found: &Found| (!found.image.is_deprecated, found.created.clone(), found.image.name.clone());
        of(b).cmp(&of(a)).then_with(|| a.image.id.cmp(&b.image.id))
    });
    let mut kept: Vec<Found> = Vec::new();
    for one in found {
        if !kept.iter().any(|other| other.image.requirements == one.image.requirements) {
            kept.push(one);
        }
    }
    kept.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.image.id.cmp(&b.image.id)));
    kept.into_iter().map(|found| found.image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_that_two_terms_found_is_there_once_whatever_they_counted() {
        let subnet =
            |id: &str, available| Subnet { id: id.into(), zone: "a".into(), zone_id: "az1".into(), available, look: 0 };
        let found = by_room(vec![subnet("one", 9), subnet("two", 5), subnet("one", 3)]);
        let found: Vec<_> = found.iter().map(|subnet| (&*subnet.id, subnet.available)).collect();
        assert_eq!(found, [("two", 5), ("one", 3)]);
    }
}
