//! What happens to machines without anybody's asking, kept for whoever listens: as it is, and as messages in a queue, in
//! the form that `EventBridge` would put there.

use std::collections::VecDeque;

use serde_json::json;

use super::land::ACCOUNT;
use crate::clock::{Micros, text_of};

/// The most news kept; older news is dropped.
const MOST: usize = 100_000;
/// The most messages kept; older ones are dropped, as SQS does by age.
const MOST_MESSAGES: usize = 100_000;

/// One piece of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// An instance, or a capacity reservation.
    pub thing: String,
    pub at: Micros,
    pub what: What,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A spot machine will be taken at this moment.
    SpotWarning { gone_at: Micros },
    /// A machine in an interruptible capacity reservation will be taken back at this moment.
    ReservationWarning { gone_at: Micros },
    /// A capacity block's machines will begin to be ended soon; the block ends at this moment.
    BlockEnds { at: Micros },
    /// It changed to this state, in EC2's words.
    State(&'static str),
}

/// News in the order it came.
#[derive(Clone, Debug, Default)]
pub struct News(VecDeque<Piece>);

impl News {
    pub(super) fn add(&mut self, piece: Piece) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(piece);
    }

    /// Takes what came since the last time.
    pub fn take(&mut self) -> Vec<Piece> {
        self.0.drain(..).collect()
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: u64,
    pub body: String,
    visible_at: Micros,
    /// How often it was received: part of its receipt.
    pub n_received: u32,
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
        if self.messages.len() == MOST_MESSAGES {
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

    /// Gives out at most so many messages; nobody sees them again for so long.
    pub fn receive(&mut self, now: Micros, unseen: Micros, most: usize) -> impl Iterator<Item = &Message> {
        let visible = self.messages.iter_mut().filter(move |message| message.visible_at <= now).take(most);
        visible.map(move |message| {
            message.visible_at = now + unseen;
            message.n_received += 1;
            &*message
        })
    }

    pub fn delete(&mut self, id: u64) {
        self.messages.retain(|message| message.id != id);
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
