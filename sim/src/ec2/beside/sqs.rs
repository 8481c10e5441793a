//! SQS: the queue of interruptions, with what `EventBridge` would put into it.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::super::land::ACCOUNT;
use super::super::news::{Piece, What};
use super::super::refusal::Refusal;
use super::super::state::State;
use super::fields::Fields;
use crate::clock::text_of;
use crate::market::Micros;

/// The most messages kept; older ones are dropped, as SQS does by age.
const MOST: usize = 100_000;
/// How long a message that was received stays unseen when nobody says.
const UNSEEN: i64 = 30;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    id: u64,
    body: String,
    visible_at: Micros,
    /// How often it was received: part of its receipt.
    n_received: u32,
}

/// The queue, named after the cluster.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    messages: VecDeque<Message>,
    n_sent: u64,
}

impl Queue {
    /// Puts a body into the queue as it is.
    pub fn send(&mut self, body: String, now: Micros) {
        if self.messages.len() == MOST {
            self.messages.pop_front();
        }
        self.n_sent += 1;
        self.messages.push_back(Message { id: self.n_sent, body, visible_at: now, n_received: 0 });
    }

    /// How many messages were ever sent.
    pub fn n_sent(&self) -> u64 {
        self.n_sent
    }

    /// Whether every message was deleted.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether a message waits to be received.
    pub fn has_visible(&self, now: Micros) -> bool {
        self.messages.iter().any(|message| message.visible_at <= now)
    }
}

/// A piece of news as `EventBridge` sends it.
pub fn envelope(piece: &Piece, id: u64, region: &str) -> String {
    let (kind, detail) = match piece.what {
        What::SpotWarning { .. } => (
            "EC2 Spot Instance Interruption Warning",
            json!({ "instance-id": piece.thing, "instance-action": "terminate" }),
        ),
        What::ReservationWarning { .. } => (
            "EC2 Capacity Reservation Instance Interruption Warning",
            json!({ "instance-id": piece.thing, "instance-action": "terminate" }),
        ),
        What::BlockEnds { at } => (
            "Capacity Block Reservation Expiration Warning",
            json!({ "capacity-reservation-id": piece.thing, "end-date": text_of(at.div_euclid(1_000_000)) }),
        ),
        What::State(state) => {
            ("EC2 Instance State-change Notification", json!({ "instance-id": piece.thing, "state": state }))
        }
    };
    let kind_of = if piece.thing.starts_with("cr-") { "capacity-reservation" } else { "instance" };
    json!({
        "version": "0",
        "id": format!("00000000-0000-4000-8000-{id:012x}"),
        "detail-type": kind,
        "source": "aws.ec2",
        "account": ACCOUNT,
        "time": text_of(piece.at.div_euclid(1_000_000)),
        "region": region,
        "resources": [format!("arn:aws:ec2:{region}:{ACCOUNT}:{kind_of}/{}", piece.thing)],
        "detail": detail,
    })
    .to_string()
}

fn url(state: &State) -> String {
    format!("https://sqs.{}.amazonaws.com/{ACCOUNT}/{}", state.region.name, state.options.cluster)
}

fn no_queue() -> Refusal {
    Refusal::new("QueueDoesNotExist", "The specified queue does not exist.")
}

/// `GetQueueUrl`.
pub fn get_queue_url(state: &State, body: &Value) -> Result<Value, Refusal> {
    let name = Fields::of(body, &["QueueName"])?.required("QueueName")?;
    authorize(state, "sqs:GetQueueUrl", name)?;
    if name != state.options.cluster {
        return Err(no_queue());
    }
    Ok(json!({ "QueueUrl": url(state) }))
}

fn authorize(state: &State, action: &str, queue: &str) -> Result<(), Refusal> {
    let arn = format!("arn:aws:sqs:{}:{}:{queue}", state.region.name, super::super::land::ACCOUNT);
    state.authorize_beside(action, arn, &[], None)
}

/// `ReceiveMessage`, without its waiting.
pub fn receive_message(state: &mut State, body: &Value) -> Result<Value, Refusal> {
    let fields = Fields::of(body, &["QueueUrl", "MaxNumberOfMessages", "VisibilityTimeout", "WaitTimeSeconds"])?;
    if fields.required("QueueUrl")? != url(state) {
        return Err(no_queue());
    }
    authorize(state, "sqs:ReceiveMessage", &state.options.cluster)?;
    // It has been waited before.
    fields.number("WaitTimeSeconds", (0, 20))?;
    let now = state.now();
    let most = fields.number("MaxNumberOfMessages", (1, 10))?.and_then(|most| usize::try_from(most).ok()).unwrap_or(1);
    let unseen = fields.number("VisibilityTimeout", (0, 43_200))?.unwrap_or(UNSEEN) * 1_000_000;
    let visible = state.queue.messages.iter_mut().filter(|message| message.visible_at <= now).take(most);
    let given = visible.map(|message| {
        message.visible_at = now + unseen;
        message.n_received += 1;
        json!({
            "MessageId": format!("{:032x}", message.id),
            "ReceiptHandle": format!("{}.{}", message.id, message.n_received),
            "Body": message.body,
        })
    });
    let given: Vec<Value> = given.collect();
    Ok(if given.is_empty() { json!({}) } else { json!({ "Messages": given }) })
}

/// `DeleteMessage`.
pub fn delete_message(state: &mut State, body: &Value) -> Result<Value, Refusal> {
    let fields = Fields::of(body, &["QueueUrl", "ReceiptHandle"])?;
    if fields.required("QueueUrl")? != url(state) {
        return Err(no_queue());
    }
    authorize(state, "sqs:DeleteMessage", &state.options.cluster)?;
    let receipt = fields.required("ReceiptHandle")?;
    let id = receipt.split_once('.').and_then(|(id, _)| id.parse::<u64>().ok());
    let id = id.ok_or_else(|| Refusal::new("ReceiptHandleIsInvalid", "The input receipt handle is invalid."))?;
    state.queue.messages.retain(|message| message.id != id);
    Ok(json!({}))
}
