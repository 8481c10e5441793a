//! How EC2 finds its own machines: status checks that fail, and what is scheduled for them.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-system-instance-status-check.html>.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{Filter, InstanceStatus, InstanceStatusDetails, StatusType};
use planner::model::Str;

use super::call::pages;
use super::client::Clients;
use super::fault::Fault;
use crate::{Notice, NoticeKind};

/// Machines of a page.
const PAGE: i32 = 1000;
/// How long a check has to fail before it counts, seconds.
const FAILED_FOR: i64 = 120;
/// What may be scheduled for a machine that ends its work.
const EVENTS: [&str; 5] =
    ["instance-reboot", "system-reboot", "system-maintenance", "instance-retirement", "instance-stop"];

/// The machines of the account whose checks fail at `now` or for which something is scheduled, one notice for each way.
/// There is nothing to acknowledge: what lasts is told again.
///
/// # Errors
/// When EC2 cannot be asked.
pub(super) async fn ailing(clients: &Clients, now: i64) -> Result<Vec<Notice>, Fault> {
    // EC2 wants all filters to be met, so that each way is a question of its own.
    let impaired = |name: &str| Filter::builder().name(name).values("impaired").build();
    let scheduled = Filter::builder().name("event.code").set_values(Some(EVENTS.map(str::to_owned).into())).build();
    let mut notices = Vec::new();
    for (kind, filter) in [
        (NoticeKind::InstanceImpaired, impaired("instance-status.status")),
        (NoticeKind::SystemImpaired, impaired("system-status.status")),
        (NoticeKind::ScheduledEvent, scheduled),
    ] {
        let found = find(clients, filter).await?;
        let ids: BTreeSet<Str> = found.iter().filter(|one| counts(one, kind, now)).filter_map(id).collect();
        if !ids.is_empty() {
            let instances = ids.into_iter().collect();
            notices.push(Notice { receipt: "".into(), kind, instances, deadline: None, sent_at: None });
        }
    }
    Ok(notices)
}

async fn find(clients: &Clients, filter: Filter) -> Result<Vec<InstanceStatus>, Fault> {
    let mut found = Vec::new();
    let send = |token| {
        let call = clients.ec2.describe_instance_status().max_results(PAGE).filters(filter.clone());
        call.set_next_token(token).send()
    };
    pages(clients, "ec2:DescribeInstanceStatus", send, |page| {
        found.extend(page.instance_statuses.unwrap_or_default());
        page.next_token
    })
    .await?;
    Ok(found)
}

fn id(status: &InstanceStatus) -> Option<Str> {
    status.instance_id().map(Str::from)
}

/// What is scheduled counts at once; a check when it has failed for a while.
fn counts(status: &InstanceStatus, kind: NoticeKind, now: i64) -> bool {
    let summary = match kind {
        NoticeKind::InstanceImpaired => status.instance_status(),
        NoticeKind::SystemImpaired => status.system_status(),
        _ => return true,
    };
    let has_lasted = |details: &InstanceStatusDetails| {
        let since = details.impaired_since().map(aws_smithy_types::DateTime::secs);
        details.status() == Some(&StatusType::Failed) && since.is_some_and(|since| now - since >= FAILED_FOR)
    };
    summary.is_some_and(|summary| summary.details().iter().any(has_lasted))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::InstanceStatusSummary;

    use super::*;

    #[test]
    fn a_check_counts_when_it_has_failed_for_two_minutes_and_what_is_scheduled_at_once() {
        let details = |status: StatusType, since| {
            let since = aws_smithy_types::DateTime::from_secs(since);
            let details = InstanceStatusDetails::builder().status(status).impaired_since(since).build();
            let summary = InstanceStatusSummary::builder().details(details).build();
            InstanceStatus::builder().instance_id("i-1").instance_status(summary).build()
        };
        let failed = details(StatusType::Failed, 1000);
        assert!(!counts(&failed, NoticeKind::InstanceImpaired, 1119));
        assert!(counts(&failed, NoticeKind::InstanceImpaired, 1120));
        assert!(!counts(&failed, NoticeKind::SystemImpaired, 2000), "the system under it is well");
        assert!(!counts(&details(StatusType::Initializing, 0), NoticeKind::InstanceImpaired, 2000));
        assert!(counts(&failed, NoticeKind::ScheduledEvent, 1000));
    }
}
