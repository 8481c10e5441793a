//! The queue of interruptions: what `EventBridge` puts into SQS about our machines.
//!
//! Which messages there are: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html>,
//! <https://docs.aws.amazon.com/health/latest/ug/aws-health-concepts-and-terms.html>.

use planner::model::Str;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::call::again;
use super::client::Clients;
use super::fault::Fault;
use crate::{Notice, NoticeKind};

/// Messages received at once, the most that SQS gives.
const AT_ONCE: i32 = 10;
/// How long a message stays unseen after it was received, seconds: time to act on it before it comes again.
const UNSEEN: i32 = 20;
/// How long SQS waits for a message, seconds.
const WAIT: i32 = 20;
/// From the warning until a spot machine is taken, seconds.
const WARNING: i64 = 120;

/// The queue, found by its name once.
#[derive(Debug)]
pub struct Queue {
    name: String,
    url: OnceCell<String>,
}

impl Queue {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), url: OnceCell::new() }
    }

    async fn url(&self, clients: &Clients) -> Result<&str, Fault> {
        let ask = || async {
            let answer =
                again(clients, "sqs:GetQueueUrl", || clients.sqs.get_queue_url().queue_name(&self.name).send()).await?;
            Ok(answer.queue_url().unwrap_or_default().to_owned())
        };
        self.url.get_or_try_init(ask).await.map(String::as_str)
    }

    /// The next messages; none if none came while SQS waited. What says nothing about machines is to be deleted like the
    /// others.
    ///
    /// # Errors
    /// When SQS cannot be asked.
    pub async fn notices(&self, clients: &Clients) -> Result<Vec<Notice>, Fault> {
        let url = self.url(clients).await?;
        let answer = again(clients, "sqs:ReceiveMessage", || {
            let call = clients.sqs.receive_message().queue_url(url).max_number_of_messages(AT_ONCE);
            call.visibility_timeout(UNSEEN).wait_time_seconds(WAIT).send()
        })
        .await?;
        let with_receipt = answer.messages().iter().filter_map(|message| Some((message.receipt_handle()?, message)));
        Ok(with_receipt
            .map(|(receipt, message)| {
                let read = read(message.body().unwrap_or_default(), receipt);
                read.unwrap_or_else(|| Notice {
                    receipt: receipt.into(),
                    kind: NoticeKind::Other,
                    instances: Vec::new(),
                    deadline: None,
                    sent_at: None,
                })
            })
            .collect())
    }

    /// Deletes a message: it was acted on.
    ///
    /// # Errors
    /// When SQS cannot be asked.
    pub async fn delete(&self, clients: &Clients, receipt: &str) -> Result<(), Fault> {
        let url = self.url(clients).await?;
        let delete = || clients.sqs.delete_message().queue_url(url).receipt_handle(receipt).send();
        again(clients, "sqs:DeleteMessage", delete).await.map(drop)
    }
}

/// What `EventBridge` puts around everything.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Envelope {
    source: String,
    detail_type: String,
    #[serde(default)]
    time: String,
    #[serde(default)]
    detail: Value,
}

/// A message in our words; nothing for one that is no news about machines.
fn read(body: &str, receipt: &str) -> Option<Notice> {
    let envelope: Envelope = serde_json::from_str(body).ok()?;
    let detail = &envelope.detail;
    let kind = match (envelope.source.as_str(), envelope.detail_type.as_str()) {
        ("aws.ec2", "EC2 Spot Instance Interruption Warning") => NoticeKind::SpotInterruption,
        ("aws.ec2", "EC2 Instance Rebalance Recommendation") => NoticeKind::RebalanceRecommendation,
        ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning") => NoticeKind::ReservationEnds,
        ("aws.ec2", "EC2 Instance State-change Notification") => match detail["state"].as_str()? {
            "stopping" | "stopped" => NoticeKind::Stopped,
            "shutting-down" | "terminated" => NoticeKind::Terminated,
            _ => return None,
        },
        ("aws.health", "AWS Health Event") => {
            let is_ours = detail["service"] == "EC2" && detail["eventTypeCategory"] == "scheduledChange";
            is_ours.then_some(NoticeKind::ScheduledChange)?
        }
        _ => return None,
    };
    let instances: Vec<Str> = match kind {
        NoticeKind::ScheduledChange => {
            let entities = detail["affectedEntities"].as_array()?;
            entities.iter().filter_map(|entity| entity["entityValue"].as_str().map(Str::from)).collect()
        }
        _ => vec![detail["instance-id"].as_str()?.into()],
    };
    let said_at = aws_smithy_types::DateTime::from_str(&envelope.time, aws_smithy_types::date_time::Format::DateTime);
    let sent_at = said_at.ok().map(|at| at.secs());
    let deadline = sent_at.filter(|_| kind == NoticeKind::SpotInterruption).map(|at| at + WARNING);
    Some(Notice { receipt: receipt.into(), kind, instances, deadline, sent_at })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(source: &str, kind: &str, detail: &Value) -> Option<(NoticeKind, Vec<String>, Option<i64>)> {
        let body = json!({ "version": "0", "source": source, "detail-type": kind, "time": "2026-01-01T00:00:00Z", "detail": detail });
        let notice = read(&body.to_string(), "r")?;
        Some((notice.kind, notice.instances.iter().map(ToString::to_string).collect(), notice.deadline))
    }

    #[test]
    fn each_kind_of_message_is_understood() {
        let one = json!({ "instance-id": "i-1", "instance-action": "terminate" });
        assert_eq!(
            of("aws.ec2", "EC2 Spot Instance Interruption Warning", &one),
            Some((NoticeKind::SpotInterruption, vec!["i-1".into()], Some(1_767_225_720)))
        );
        let rebalance = of("aws.ec2", "EC2 Instance Rebalance Recommendation", &one).unwrap();
        assert_eq!((rebalance.0, rebalance.2), (NoticeKind::RebalanceRecommendation, None));
        let block = of("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning", &one).unwrap();
        assert_eq!(block.0, NoticeKind::ReservationEnds);
        let state = |state: &str| {
            of("aws.ec2", "EC2 Instance State-change Notification", &json!({ "instance-id": "i-1", "state": state }))
        };
        assert_eq!(state("stopping").unwrap().0, NoticeKind::Stopped);
        assert_eq!(state("terminated").unwrap().0, NoticeKind::Terminated);
        assert_eq!(state("running"), None);
        let health = |service: &str, category: &str| {
            let entities = json!([{ "entityValue": "i-1" }, { "entityValue": "i-2" }]);
            of(
                "aws.health",
                "AWS Health Event",
                &json!({ "service": service, "eventTypeCategory": category, "affectedEntities": entities }),
            )
        };
        assert_eq!(health("EC2", "scheduledChange").unwrap().1, ["i-1", "i-2"]);
        assert_eq!(health("RDS", "scheduledChange"), None);
        assert_eq!(health("EC2", "issue"), None);
        assert_eq!(of("aws.s3", "Object Created", &json!({})), None);
        assert!(read("", "r").is_none() && read("{}", "r").is_none());
    }
}
