//! What is told of the seller's work to whoever counts it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use planner::model::CapacityType;

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Told<'a> {
    /// A pool of a fleet gave nothing; the reason is EC2's code.
    LaunchFailed { zone: &'a str, zone_id: &'a str, capacity_type: CapacityType, reason: &'a str },
    /// So many questions became one after so long.
    Batch { name: &'static str, size: usize, waited: Duration },
    /// A call was made so many times until it was settled. The action is `ec2:CreateFleet`, the status HTTP's, 0 without an answer.
    Call { action: &'static str, status: u16, n_tries: u32, took: Duration },
    /// One time of a call.
    Try { action: &'static str, status: u16, took: Duration },
    /// How long the user data of machines of a class are, before base64.
    UserData { class: &'a str, bytes: usize },
}

/// Who is told.
#[derive(Clone)]
pub struct Telling(Arc<dyn Fn(Told<'_>) + Send + Sync>);

impl Telling {
    pub fn new(tell: impl Fn(Told<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(super) fn tell(&self, told: Told<'_>) {
        (self.0)(told);
    }
}

impl Default for Telling {
    /// Nobody.
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl fmt::Debug for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Telling")
    }
}
