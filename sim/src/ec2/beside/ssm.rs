//! SSM: parameters that hold the ids of images.

use serde_json::{Value, json};

use super::super::refusal::Refusal;
use super::super::state::State;
use super::fields::Fields;

/// `GetParameter`: those that the user has set, and those that AWS publishes for the images of the land.
pub fn get_parameter(state: &State, body: &Value) -> Result<Value, Refusal> {
    let name = Fields::of(body, &["Name"])?.required("Name")?;
    let region = &state.region.name;
    let account = if name.starts_with("/aws/") { "" } else { super::super::land::ACCOUNT };
    let arn = format!("arn:aws:ssm:{region}:{account}:parameter{name}");
    state.authorize_beside("ssm:GetParameter", arn.clone(), &[], None)?;
    let value = state.parameters.get(name).cloned().or_else(|| published(state, name));
    let value = value.ok_or_else(|| Refusal::new("ParameterNotFound", format!("Parameter {name} not found.")))?;
    Ok(
        json!({ "Parameter": { "Name": name, "Type": "String", "Value": value, "Version": 1, "ARN": arn, "DataType": "text" } }),
    )
}

/// The image behind a parameter of EKS or Bottlerocket.
fn published(state: &State, name: &str) -> Option<String> {
    let parts: Vec<&str> = name.trim_start_matches('/').split('/').collect();
    let wanted = match parts[..] {
        [
            "aws",
            "service",
            "eks",
            "optimized-ami",
            kubernetes,
            "amazon-linux-2023",
            arch,
            variant,
            which,
            "image_id",
        ] => {
            let start = format!("amazon-eks-node-al2023-{arch}-{variant}-{kubernetes}-");
            let pinned = (which != "recommended").then_some(which);
            newest(state, |image| image.starts_with(&start) && pinned.is_none_or(|pinned| image == pinned))
        }
        ["aws", "service", "bottlerocket", flavour, arch, version, "image_id"] => {
            let start = format!("bottlerocket-{flavour}-{arch}-v");
            let pinned = (version != "latest").then(|| format!("{start}{version}-"));
            newest(state, |image| {
                image.starts_with(&start) && pinned.as_ref().is_none_or(|pinned| image.starts_with(pinned))
            })
        }
        _ => None,
    };
    wanted.map(str::to_owned)
}

fn newest(state: &State, is_it: impl Fn(&str) -> bool) -> Option<&str> {
    let found = state.land.images.values().filter(|image| is_it(&image.name));
    found.max_by_key(|image| (image.created, &image.name)).map(|image| image.id.as_str())
}
