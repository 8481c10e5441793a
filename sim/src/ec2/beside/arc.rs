//! ARC's zonal shifts: zones that somebody moves the cluster away from.
//!
//! <https://docs.aws.amazon.com/arc-zonal-shift/latest/api/API_GetManagedResource.html>

use serde_json::{Value, json};

use super::super::refusal::Refusal;
use super::super::state::State;
use super::eks;

/// `GetManagedResource`.
pub fn get_managed_resource(state: &State, path: &str) -> Result<Value, Refusal> {
    let encoded = path.trim_start_matches("/managedresources/");
    let decoded = form_urlencoded::parse(encoded.as_bytes()).next();
    let asked = decoded.map(|(key, _)| key.into_owned()).unwrap_or_default();
    let arn = eks::arn(state);
    if asked != arn {
        return Err(Refusal::with_status(
            404,
            "ResourceNotFoundException",
            format!("No resource found with identifier: {asked}."),
        ));
    }
    let key = Some(("arc-zonal-shift:ResourceIdentifier", arn.as_str()));
    state.authorize_beside("arc-zonal-shift:GetManagedResource", arn.clone(), &[], key)?;
    let now = state.seconds();
    let shifts = state.shifts.iter().enumerate().filter(|(_, shift)| shift.starts_at <= now && now < shift.ends_at);
    let shifts: Vec<Value> = shifts
        .map(|(at, shift)| {
            json!({
                "appliedStatus": "APPLIED",
                "awayFrom": shift.zone_id,
                "comment": "by script",
                "expiryTime": shift.ends_at,
                "resourceIdentifier": arn,
                "startTime": shift.starts_at,
                "zonalShiftId": format!("zs-{at}"),
            })
        })
        .collect();
    Ok(json!({ "arn": arn, "name": state.options.cluster, "appliedWeights": {}, "zonalShifts": shifts }))
}
