//! The services beside EC2, as far as a seller of nodes uses them: SSM, IAM, EKS, SQS, price
//! lists, ARC's zonal shifts.

pub(super) mod arc;
pub(super) mod eks;
mod fields;
pub(super) mod iam;
pub(super) mod pricing;
pub(super) mod sqs;
pub(super) mod ssm;
