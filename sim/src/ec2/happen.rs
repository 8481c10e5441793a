//! What time does: machines begin to run, are taken, end and let go of what they held; reservations end; all of it is told.

use super::holdings::Due;
use super::instance::Instance;
use super::news::{Piece, What, envelope};
use super::state::State;
use crate::clock::Micros;
use crate::market::Happening;
use planner::model::CapacityType;

/// How long a machine is told of after its end: about an hour.
const REMEMBERED: Micros = 3_600_000_000;
/// So long before a capacity block ends its machines begin to be ended, and so long before it is announced.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/capacity-blocks-how.html>
const BLOCK_ENDS: Micros = 1_800_000_000;
const BLOCK_WARNS: Micros = 2_400_000_000;

impl State {
    /// Lets happen what is due by now. Whoever looks late is told the same, in the same order, at the same times.
    pub fn tick(&mut self) {
        let now = self.now();
        loop {
            let own = self.due.first().map(|(at, _)| *at).filter(|at| *at <= now);
            let in_market = self.market.next().filter(|at| *at <= now);
            match (own, in_market) {
                (Some(own), in_market) if in_market.is_none_or(|at| own < at) => {
                    if let Some((at, due)) = self.due.pop_first() {
                        self.fall_due(at, due);
                    }
                }
                (_, Some(at)) => {
                    for (at, happening) in self.market.advance(at) {
                        self.happened(at, &happening);
                    }
                }
                _ => break,
            }
        }
        let is_remembered = |instance: &Instance| instance.gone_at.is_none_or(|gone| gone + REMEMBERED > now);
        if self.instances.values().any(|instance| !is_remembered(instance)) {
            self.instances.retain(|_, instance| is_remembered(instance));
        }
    }

    fn happened(&mut self, at: Micros, happening: &Happening) {
        match happening {
            Happening::Runs { id } if self.instances.get(id).is_some_and(|one| one.ends_at.is_none()) => {
                self.tell(id, at, What::State("running"));
            }
            Happening::Warned { id, gone_at } => {
                let is_spot = self.instances.get(id).is_some_and(Instance::is_spot);
                let gone_at = *gone_at;
                self.tell(
                    id,
                    at,
                    if is_spot { What::SpotWarning { gone_at } } else { What::ReservationWarning { gone_at } },
                );
            }
            Happening::Gone { id, was_taken: true } => {
                let is_spot = self.instances.get(id).is_some_and(Instance::is_spot);
                self.end(
                    id,
                    at,
                    if is_spot { "Server.SpotInstanceTermination" } else { "Server.CapacityReservationReclaimed" },
                );
            }
            _ => {}
        }
    }

    fn fall_due(&mut self, at: Micros, due: Due) {
        match due {
            Due::Released(id) => self.release(&id, at),
            Due::BlockWarns(id) => self.tell(&id, at, What::BlockEnds { at: at + BLOCK_WARNS }),
            Due::BlockEnds(id) => {
                for machine in self.machines_in(&id) {
                    self.end(&machine, at, "Server.CapacityBlockExpired");
                }
            }
            Due::Expires(id) => {
                for machine in self.machines_in(&id) {
                    if let Some(machine) = self.instances.get_mut(&machine) {
                        (machine.key.capacity_type, machine.key.reservation) = (CapacityType::OnDemand, None);
                    }
                }
            }
        }
    }

    /// Machines that live in a reservation.
    pub fn machines_in(&self, reservation: &str) -> Vec<String> {
        let there = self.instances.values().filter(|one| one.ends_at.is_none());
        there.filter(|one| one.key.reservation.as_deref() == Some(reservation)).map(|one| one.id.clone()).collect()
    }

    /// Has a reservation's end come in its time.
    pub fn will_end(&mut self, reservation: &str, ends_at: Micros, is_block: bool) {
        let id = reservation.to_owned();
        if is_block {
            self.due.insert((ends_at - BLOCK_WARNS, Due::BlockWarns(id.clone())));
            self.due.insert((ends_at - BLOCK_ENDS, Due::BlockEnds(id.clone())));
        }
        self.due.insert((ends_at, Due::Expires(id)));
    }

    /// Begins to shut a machine down; false when its end has begun before.
    pub fn end(&mut self, id: &str, at: Micros, reason: &'static str) -> bool {
        let Some(instance) = self.instances.get_mut(id).filter(|instance| instance.ends_at.is_none()) else {
            return false;
        };
        instance.ends_at = Some(at);
        instance.reason = reason;
        self.due.insert((at + self.options.shutting_down, Due::Released(id.to_owned())));
        self.tell(id, at, What::State("shutting-down"));
        true
    }

    /// Tells of a machine or a reservation, in both ways.
    pub fn tell(&mut self, thing: &str, at: Micros, what: What) {
        let piece = Piece { thing: thing.to_owned(), at, what };
        let id = self.queue.n_sent() + 1;
        self.queue.send(envelope(&piece, id, &self.region.name), at);
        self.news.add(piece);
    }

    /// The machine is terminated: what it held is free again.
    fn release(&mut self, id: &str, at: Micros) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        instance.gone_at = Some(at);
        let (subnet, addresses) = (instance.subnet.clone(), std::mem::take(&mut instance.addresses));
        self.market.give_back(at, id);
        if let Some(subnet) = self.land.subnets.get_mut(&subnet) {
            subnet.give_back(&addresses);
        }
        self.tell(id, at, What::State("terminated"));
    }
}
