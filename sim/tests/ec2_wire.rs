//! EC2 at the wire: what a client may rely on, said in raw requests.
#![expect(clippy::unwrap_used, reason = "what is not there has failed the test")]

#[path = "ec2/beside.rs"]
mod beside;
#[path = "ec2/fleets.rs"]
mod fleets;
#[path = "ec2/life.rs"]
mod life;
#[path = "ec2/manners.rs"]
mod manners;
#[path = "ec2/placements.rs"]
mod placements;
#[path = "ec2/prices.rs"]
mod prices;
#[path = "ec2/reservations.rs"]
mod reservations;
#[path = "ec2/wire.rs"]
mod wire;
