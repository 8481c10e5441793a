//! What AWS says when it says no, read into what can be done about it.
//!
//! EC2 has no modelled errors, so its codes decide:
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>.

use std::time::Duration;

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::{LaunchError, ListError, TerminateError};

/// A call that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{action}: {}{message}{}", if code.is_empty() { String::new() } else { format!("{code}: ") }, hint(*kind, action, message))]
pub struct Fault {
    /// `ec2:CreateFleet`
    pub action: &'static str,
    pub kind: Kind,
    /// AWS' code; empty when there was no answer.
    pub code: String,
    pub message: String,
}

/// What can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Asked too often: later.
    Throttled,
    /// The identity may not do it: somebody has to grant it.
    Unauthorized,
    /// What it is about is not there.
    NotFound,
    /// The launch template is not there: it has to be made again.
    TemplateNotFound,
    /// It is there already.
    AlreadyExists,
    /// The token was used for something else before.
    TokenMismatch,
    /// A dry run that went well.
    DryRun,
    /// Refused for what was asked: asking again changes nothing.
    Refused,
    /// A list that does not end: what was read of it is not the whole, and asking again changes nothing.
    Cut,
    /// No answer, or one that says that AWS is not well: it may have been executed or not.
    Unreachable,
}

/// Codes that mean the same whatever the service.
const THROTTLED: [&str; 5] =
    ["RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException", "EC2ThrottledException"];
const UNAUTHORIZED: [&str; 8] = [
    "UnauthorizedOperation",
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "MissingAuthenticationToken",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "ExpiredToken",
];
const NOT_FOUND: [&str; 9] = [
    "InvalidInstanceID.NotFound",
    "InvalidCapacityReservationId.NotFound",
    "InvalidSubnetID.NotFound",
    "InvalidAMIID.NotFound",
    "InvalidPlacementGroup.Unknown",
    "QueueDoesNotExist",
    "NoSuchEntity",
    "ResourceNotFoundException",
    "ParameterNotFound",
];
const TEMPLATE: [&str; 3] = [
    "InvalidLaunchTemplateName.NotFoundException",
    "InvalidLaunchTemplateId.NotFound",
    "InvalidLaunchTemplateId.NotFoundException",
];
const EXISTS: [&str; 2] = ["InvalidLaunchTemplateName.AlreadyExistsException", "EntityAlreadyExists"];

/// When to come back after a throttled call that does not say.
const PAUSE: Duration = Duration::from_secs(2);

impl Fault {
    /// Reads an error of the SDK.
    pub(super) fn of<E: ProvideErrorMetadata + std::error::Error + 'static>(
        action: &'static str,
        error: &SdkError<E, HttpResponse>,
    ) -> Self {
        let status = error.raw_response().map_or(0, |raw| raw.status().as_u16());
        let (code, message) = match error {
            SdkError::ServiceError(service) => {
                let meta = service.err().meta();
                (meta.code().unwrap_or_default().to_owned(), meta.message().unwrap_or_default().to_owned())
            }
            SdkError::TimeoutError(_) => (String::new(), "no answer in time".to_owned()),
            SdkError::DispatchFailure(failure) => (
                String::new(),
                failure.as_connector_error().map_or_else(|| "not sent".to_owned(), |error| source_of(error)),
            ),
            other => (String::new(), source_of(other)),
        };
        Self { action, kind: kind(&code, status), code, message }
    }

    /// Whether AWS gave no answer to what was asked: it was too busy, or not to be reached.
    pub fn is_unanswered(&self) -> bool {
        matches!(self.kind, Kind::Throttled | Kind::Unreachable)
    }

    /// The reason that goes into conditions, as Karpenter names it.
    pub fn reason(&self) -> &'static str {
        reason(&self.code, &self.message)
    }
}

/// The innermost cause of an error.
fn source_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn kind(code: &str, status: u16) -> Kind {
    let is_of = |codes: &[&str]| codes.contains(&code);
    match code {
        "DryRunOperation" => Kind::DryRun,
        "IdempotentParameterMismatch" => Kind::TokenMismatch,
        _ if is_of(&THROTTLED) => Kind::Throttled,
        _ if is_of(&UNAUTHORIZED) || code.starts_with("AuthFailure.") => Kind::Unauthorized,
        _ if is_of(&TEMPLATE) => Kind::TemplateNotFound,
        _ if is_of(&EXISTS) => Kind::AlreadyExists,
        _ if is_of(&NOT_FOUND) => Kind::NotFound,
        "" => Kind::Unreachable,
        _ if status >= 500 && status != 501 => Kind::Unreachable,
        _ => Kind::Refused,
    }
}

/// What to do about it, for people.
fn hint(kind: Kind, action: &str, message: &str) -> String {
    match kind {
        Kind::Unauthorized => {
            let missing = missing(message).unwrap_or(action);
            format!(" (grant {missing} to the controller's role, as deploy/aws/policies does)")
        }
        _ => String::new(),
    }
}

/// The action that is missing, where AWS names it: a call may take more than the action of its name, such as `iam:PassRole`.
fn missing(message: &str) -> Option<&str> {
    let (_, named) = message.split_once("is not authorized to perform: ")?;
    let action = named.split_whitespace().next()?.trim_end_matches(['.', ',']);
    action.contains(':').then_some(action)
}

/// What a part of code or message stands for, in Karpenter's order.
const REASONS: [(&str, &str); 15] = [
    ("belong to different networks", "SecurityGroupSubnetVPCMismatch"),
    ("iamInstanceProfile.name is invalid", "InstanceProfileNameInvalid"),
    ("InvalidLaunchTemplateId.NotFound", "LaunchTemplateNotFound"),
    ("InvalidLaunchTemplateName.NotFound", "LaunchTemplateNotFound"),
    ("User data is limited to", "UserDataSizeLimitExceeded"),
    ("InvalidAMIID.Malformed", "InvalidAMIID"),
    ("InvalidAMIID.NotFound", "AMINotFound"),
    ("RequestLimitExceeded", "RequestLimitExceeded"),
    ("InternalError", "InternalError"),
    ("not eligible for Free Tier", "FreeTierIneligible"),
    ("MaxFleetCountExceeded", "FleetQuotaExceeded"),
    ("PendingVerification", "AccountPendingVerification"),
    ("MaxSpotInstanceCountExceeded", "SpotQuotaExceeded"),
    ("VcpuLimitExceeded", "VCPULimitExceeded"),
    ("InsufficientFreeAddressesInSubnet", "InsufficientFreeAddressesInSubnet"),
];

/// Karpenter's reason for an error: the first that matches.
pub(super) fn reason(code: &str, message: &str) -> &'static str {
    let has = |part: &str| code.contains(part) || message.contains(part);
    if code == "AuthFailure.ServiceLinkedRoleCreationNotPermitted" {
        return "SpotSLRCreationFailed";
    }
    if has("UnauthorizedOperation") || has("AccessDenied") || has("AuthFailure") {
        return if has("Not authorized for images") {
            "AMIAuthorizationFailure"
        } else if has("permissions boundary") {
            "UnauthorizedPermissionBoundary"
        } else if has("service control policy") {
            "UnauthorizedServiceControlPolicy"
        } else {
            "Unauthorized"
        };
    }
    REASONS.iter().find(|(part, _)| has(part)).map_or(LaunchError::FAILED, |(_, reason)| reason)
}

impl From<Fault> for LaunchError {
    fn from(fault: Fault) -> Self {
        let (reason, message) = (fault.reason().to_owned(), fault.to_string());
        match fault.kind {
            Kind::Throttled => Self::Throttled { retry_after: PAUSE, reason, message },
            Kind::Unreachable | Kind::TokenMismatch | Kind::TemplateNotFound | Kind::Cut => {
                Self::Unreachable { reason, message }
            }
            _ => Self::Rejected { reason, message, refused: Vec::new() },
        }
    }
}

impl From<Fault> for ListError {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            Kind::Throttled => Self::Throttled { retry_after: PAUSE },
            Kind::Cut => Self::Cut { message: fault.to_string() },
            _ => Self::Unreachable { message: fault.to_string() },
        }
    }
}

impl From<Fault> for TerminateError {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            Kind::Throttled => Self::Throttled { retry_after: PAUSE },
            Kind::Unreachable | Kind::Cut => Self::Unreachable { message: fault.to_string() },
            _ => Self::Rejected { reason: fault.reason().to_owned(), message: fault.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: &str, status: u16, message: &str) -> Fault {
        Fault { action: "ec2:CreateFleet", kind: kind(code, status), code: code.into(), message: message.into() }
    }

    #[test]
    fn codes_say_what_can_be_done() {
        for (code, status, want) in [
            ("RequestLimitExceeded", 503, Kind::Throttled),
            ("UnauthorizedOperation", 403, Kind::Unauthorized),
            ("AuthFailure.ServiceLinkedRoleCreationNotPermitted", 400, Kind::Unauthorized),
            ("InvalidLaunchTemplateName.NotFoundException", 400, Kind::TemplateNotFound),
            ("InvalidInstanceID.NotFound", 400, Kind::NotFound),
            ("IdempotentParameterMismatch", 400, Kind::TokenMismatch),
            ("DryRunOperation", 412, Kind::DryRun),
            ("InvalidParameterValue", 400, Kind::Refused),
            ("InternalError", 500, Kind::Unreachable),
            ("NotImplemented", 501, Kind::Refused),
            ("", 0, Kind::Unreachable),
        ] {
            assert_eq!(kind(code, status), want, "{code}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_named_with_what_to_grant() {
        let fault = fault("UnauthorizedOperation", 403, "You are not authorized");
        let text = fault.to_string();
        assert!(
            text.contains("grant ec2:CreateFleet") && text.starts_with("ec2:CreateFleet: UnauthorizedOperation: You")
        );
        assert_eq!(fault.reason(), "Unauthorized");
        assert!(matches!(LaunchError::from(fault), LaunchError::Rejected { reason, .. } if reason == "Unauthorized"));
    }

    #[test]
    fn what_a_call_takes_beside_its_own_action_is_what_is_to_be_granted() {
        let message = "You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/m/s is not authorized to perform: \
                       iam:PassRole on resource: arn:aws:iam::1:role/n because no identity-based policy allows the iam:PassRole action";
        let text = fault("UnauthorizedOperation", 403, message).to_string();
        assert!(text.starts_with("ec2:CreateFleet: ") && text.contains("(grant iam:PassRole to"), "{text}");
        let text = fault("AccessDenied", 403, "m is not authorized to perform: this").to_string();
        assert!(text.contains("(grant ec2:CreateFleet to"), "{text}");
    }

    #[test]
    fn a_launch_that_is_tried_again_says_why_it_came_to_nothing() {
        for (code, status, want) in [
            ("RequestLimitExceeded", 503, "RequestLimitExceeded"),
            ("InternalError", 500, "InternalError"),
            ("InvalidLaunchTemplateName.NotFoundException", 400, "LaunchTemplateNotFound"),
            ("", 0, "LaunchFailed"),
        ] {
            match LaunchError::from(fault(code, status, "m")) {
                LaunchError::Throttled { reason, .. } | LaunchError::Unreachable { reason, .. } => {
                    assert_eq!(reason, want);
                }
                other => panic!("{code}: {other}"),
            }
        }
    }

    #[test]
    fn reasons_are_karpenters() {
        let image = "Not authorized for images: [ami-1]";
        assert_eq!(reason("AuthFailure", image), "AMIAuthorizationFailure");
        let profile = "Value (x) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name";
        assert_eq!(reason("InvalidParameterValue", profile), "InstanceProfileNameInvalid");
        assert_eq!(reason("InvalidParameterValue", "User data is limited to 16384 bytes"), "UserDataSizeLimitExceeded");
        assert_eq!(reason("InsufficientInstanceCapacity", "none"), "LaunchFailed");
    }
}
