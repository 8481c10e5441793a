//! SQS: the queue of interruptions, with what `EventBridge` would put into it.

use serde_json::{Value, json};

use super::super::land::ACCOUNT;
use super::super::refusal::Refusal;
use super::super::state::State;
use super::fields::Fields;

/// How long a message that was received stays unseen when nobody says.
const UNSEEN: i64 = 30;

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
    let given = state.queue.receive(now, unseen, most);
    let given = given.map(|message| {
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
    state.queue.delete(id);
    Ok(json!({}))
}
