//! What happens to machines without anybody's asking, kept for whoever listens (`EventBridge`, in EC2).

use std::collections::VecDeque;

use crate::market::Micros;

/// The most news kept; older news is dropped.
const MOST: usize = 100_000;

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
