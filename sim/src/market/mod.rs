//! A market of machines: finite stock that changes over time, prices, boot times, interruptions.
//!
//! A plain value. Every method that depends on the time is told it (microseconds since 1970); the only randomness is that
//! of the seed, so the same calls give the same answers.

mod stock;

use std::collections::{BTreeMap, BTreeSet};

use cloud::OfferingKey;
use planner::model::MicroUsdPerHour;

use crate::clock::Micros;
use crate::rng::SplitMix64;

pub use stock::{Stock, UNLIMITED};

/// The warning time before an interrupted machine is taken: two minutes.
pub const WARNING: Micros = 120_000_000;

/// What a machine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Bought, not yet started.
    Booting,
    /// Started; it joins the cluster when `registers_at` comes.
    Running,
    /// It will be taken away at this moment.
    Interrupted { gone_at: Micros },
    /// Given back or taken away.
    Gone,
}

/// A machine that was bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub id: String,
    /// What the buyer called the purchase: buying again under it gives the same machine.
    pub token: String,
    pub key: OfferingKey,
    pub price: MicroUsdPerHour,
    pub bought_at: Micros,
    pub runs_at: Micros,
    pub registers_at: Micros,
    pub phase: Phase,
}

/// Why nothing was bought.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// None of the offerings has stock; all of them, in the order asked.
    #[error("no stock in {} offerings", refused.len())]
    NoStock { refused: Vec<OfferingKey> },
    /// The token was used to ask for other offerings.
    #[error("token {token} was used for another order")]
    TokenMismatch { token: String },
}

/// Something that happened, for the log and for whoever listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    Bought {
        id: String,
        key: OfferingKey,
    },
    Refused {
        token: String,
        n_offerings: usize,
    },
    Runs {
        id: String,
    },
    Registers {
        id: String,
    },
    /// The machine will be taken away.
    Warned {
        id: String,
        gone_at: Micros,
    },
    /// The machine is gone: given back, or taken away.
    Gone {
        id: String,
        was_taken: bool,
    },
}

/// How long machines take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub seed: u64,
    /// From purchase to running; varies by a quarter either way.
    pub boot: Micros,
    /// From running to joining the cluster; varies by a quarter either way.
    pub register: Micros,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1, boot: 20_000_000, register: 15_000_000 }
    }
}

/// The market.
#[derive(Clone, Debug)]
pub struct Market {
    options: Options,
    rng: SplitMix64,
    stock: BTreeMap<OfferingKey, Stock>,
    machines: BTreeMap<String, Machine>,
    /// Machines of each offering that are not gone.
    n_used: BTreeMap<OfferingKey, u32>,
    /// Token → machine and what was asked for.
    tokens: BTreeMap<String, (String, Vec<OfferingKey>)>,
    /// Machines that will be warned.
    warnings: BTreeSet<(Micros, String)>,
    /// What is due: running, joining, vanishing.
    due: BTreeMap<(Micros, u64), Due>,
    n_due: u64,
    log: Vec<(Micros, Happening)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Due {
    Runs(String),
    Registers(String),
    Taken(String),
}

impl Market {
    /// A market that sells nothing yet.
    pub fn new(options: Options) -> Self {
        Self {
            rng: SplitMix64::new(options.seed),
            options,
            stock: BTreeMap::new(),
            machines: BTreeMap::new(),
            n_used: BTreeMap::new(),
            tokens: BTreeMap::new(),
            warnings: BTreeSet::new(),
            due: BTreeMap::new(),
            n_due: 0,
            log: Vec::new(),
        }
    }

    /// Sells an offering.
    pub fn offer(&mut self, key: OfferingKey, stock: Stock) {
        self.stock.insert(key, stock);
    }

    /// Changes the stock of an offering from a moment on; one that is not sold stays unsold.
    pub fn schedule(&mut self, key: &OfferingKey, from: Micros, units: u32) {
        if let Some(stock) = self.stock.get_mut(key) {
            stock.schedule(from, units);
        }
    }

    /// Another price for an offering from a moment on.
    pub fn schedule_price(&mut self, key: &OfferingKey, from: Micros, price: MicroUsdPerHour) {
        if let Some(stock) = self.stock.get_mut(key) {
            stock.schedule_price(from, price);
        }
    }

    /// The price of an offering; nothing if it is not sold.
    pub fn price(&self, key: &OfferingKey, now: Micros) -> Option<MicroUsdPerHour> {
        self.stock.get(key).map(|stock| stock.price(now))
    }

    /// The prices of an offering from `start` to `end`, each with since when it held, oldest first; the one that holds at
    /// `start` is the first.
    pub fn prices(&self, key: &OfferingKey, start: Micros, end: Micros) -> Vec<(Micros, MicroUsdPerHour)> {
        self.stock.get(key).map(|stock| stock.prices(start, end)).unwrap_or_default()
    }

    /// Everything that is sold, in stock or not.
    pub fn offerings(&self) -> impl Iterator<Item = &OfferingKey> {
        self.stock.keys()
    }

    /// How many more machines of the offering can be bought.
    pub fn available(&self, key: &OfferingKey, now: Micros) -> u32 {
        let Some(stock) = self.stock.get(key) else { return 0 };
        stock.units(now).saturating_sub(self.n_used.get(key).copied().unwrap_or(0))
    }

    /// The offerings that are sold but have no stock now.
    pub fn sold_out(&self, now: Micros) -> Vec<OfferingKey> {
        self.stock.keys().filter(|key| self.available(key, now) == 0).cloned().collect()
    }

    /// Buys the first of the offerings that has stock. The same token for the same offerings gives the same machine, even
    /// one that is gone.
    pub fn buy(&mut self, now: Micros, token: &str, wanted: &[OfferingKey]) -> Result<Machine, Refusal> {
        if let Some((id, asked)) = self.tokens.get(token) {
            return match self.machines.get(id).filter(|_| asked == wanted) {
                Some(machine) => Ok(machine.clone()),
                None => Err(Refusal::TokenMismatch { token: token.to_owned() }),
            };
        }
        let Some(key) = wanted.iter().find(|key| self.available(key, now) > 0) else {
            self.note(now, Happening::Refused { token: token.to_owned(), n_offerings: wanted.len() });
            return Err(Refusal::NoStock { refused: wanted.to_vec() });
        };
        let id = format!("i-0{:016x}", self.rng.next_u64());
        let runs_at = now + self.vary(self.options.boot);
        let registers_at = runs_at + self.vary(self.options.register);
        let machine = Machine {
            id: id.clone(),
            token: token.to_owned(),
            key: key.clone(),
            price: self.price(key, now).unwrap_or_default(),
            bought_at: now,
            runs_at,
            registers_at,
            phase: Phase::Booting,
        };
        self.tokens.insert(token.to_owned(), (id.clone(), wanted.to_vec()));
        self.machines.insert(id.clone(), machine.clone());
        *self.n_used.entry(key.clone()).or_default() += 1;
        self.set_due(runs_at, Due::Runs(id.clone()));
        self.set_due(registers_at, Due::Registers(id.clone()));
        self.note(now, Happening::Bought { id, key: key.clone() });
        Ok(machine)
    }

    /// Gives a machine back; false if there is no such machine any longer.
    pub fn give_back(&mut self, now: Micros, id: &str) -> bool {
        self.end(now, id, false)
    }

    /// Has a machine warned at a moment and taken away after [`WARNING`].
    pub fn interrupt(&mut self, id: &str, at: Micros) {
        self.warnings.insert((at, id.to_owned()));
    }

    /// Does what is due by now; what happened and when, in order.
    pub fn advance(&mut self, now: Micros) -> Vec<(Micros, Happening)> {
        let begun = self.log.len();
        loop {
            let warning = self.warnings.first().map(|(at, _)| *at).filter(|at| *at <= now);
            let due = self.due.first_key_value().map(|((at, _), _)| *at).filter(|at| *at <= now);
            match (warning, due) {
                (Some(at), due) if due.is_none_or(|due| at <= due) => {
                    if let Some((at, id)) = self.warnings.pop_first() {
                        self.warn(at, &id);
                    }
                }
                (_, Some(_)) => {
                    if let Some(((at, _), due)) = self.due.pop_first() {
                        self.happen(at, &due);
                    }
                }
                _ => break,
            }
        }
        self.log[begun..].to_vec()
    }

    /// When something is due next.
    pub fn next(&self) -> Option<Micros> {
        let warning = self.warnings.first().map(|(at, _)| *at);
        let due = self.due.first_key_value().map(|((at, _), _)| *at);
        warning.into_iter().chain(due).min()
    }

    pub fn machine(&self, id: &str) -> Option<&Machine> {
        self.machines.get(id)
    }

    /// The machines that are not gone, by id.
    pub fn machines(&self) -> impl Iterator<Item = &Machine> {
        self.machines.values().filter(|machine| machine.phase != Phase::Gone)
    }

    /// What all machines cost together.
    pub fn hourly(&self) -> MicroUsdPerHour {
        MicroUsdPerHour(self.machines().map(|machine| machine.price.0).sum())
    }

    /// Everything that happened.
    pub fn log(&self) -> &[(Micros, Happening)] {
        &self.log
    }

    fn happen(&mut self, at: Micros, due: &Due) {
        let (Due::Runs(id) | Due::Registers(id) | Due::Taken(id)) = due;
        let Some(machine) = self.machines.get_mut(id).filter(|machine| machine.phase != Phase::Gone) else { return };
        let id = id.clone();
        match due {
            Due::Runs(_) => {
                if machine.phase == Phase::Booting {
                    machine.phase = Phase::Running;
                }
                self.note(at, Happening::Runs { id });
            }
            Due::Registers(_) => self.note(at, Happening::Registers { id }),
            Due::Taken(_) => drop(self.end(at, &id, true)),
        }
    }

    fn warn(&mut self, at: Micros, id: &str) {
        let Some(machine) = self.machines.get_mut(id) else { return };
        if !matches!(machine.phase, Phase::Booting | Phase::Running) {
            return;
        }
        let gone_at = at + WARNING;
        machine.phase = Phase::Interrupted { gone_at };
        self.set_due(gone_at, Due::Taken(id.to_owned()));
        self.note(at, Happening::Warned { id: id.to_owned(), gone_at });
    }

    fn end(&mut self, at: Micros, id: &str, was_taken: bool) -> bool {
        let Some(machine) = self.machines.get_mut(id).filter(|machine| machine.phase != Phase::Gone) else {
            return false;
        };
        machine.phase = Phase::Gone;
        if let Some(n_used) = self.n_used.get_mut(&machine.key) {
            *n_used = n_used.saturating_sub(1);
        }
        self.note(at, Happening::Gone { id: id.to_owned(), was_taken });
        true
    }

    fn set_due(&mut self, at: Micros, due: Due) {
        self.n_due += 1;
        self.due.insert((at, self.n_due), due);
    }

    fn note(&mut self, at: Micros, happening: Happening) {
        self.log.push((at, happening));
    }

    /// From three quarters to five quarters of a duration.
    fn vary(&mut self, duration: Micros) -> Micros {
        let quarter = duration / 4;
        self.rng.between(duration - quarter, duration + quarter)
    }
}

#[cfg(test)]
mod tests {
    use planner::model::CapacityType;

    use super::*;

    const SECOND: Micros = 1_000_000;

    fn key(instance_type: &str) -> OfferingKey {
        OfferingKey {
            instance_type: instance_type.into(),
            zone: "a".into(),
            capacity_type: CapacityType::Spot,
            reservation: None,
        }
    }

    fn market(units: u32) -> Market {
        let mut market = Market::new(Options::default());
        market.offer(key("small"), Stock::of(MicroUsdPerHour(10_000), units));
        market.offer(key("large"), Stock::of(MicroUsdPerHour(40_000), UNLIMITED));
        market
    }

    #[test]
    fn what_is_sold_out_is_passed_over_and_a_token_buys_once() {
        let mut market = market(1);
        let wanted = [key("small"), key("large")];
        let first = market.buy(0, "t1", &wanted).unwrap();
        assert_eq!(first.key, key("small"));
        assert_eq!(market.buy(9, "t1", &wanted), Ok(first));
        assert_eq!(market.buy(9, "t1", &wanted[1..]), Err(Refusal::TokenMismatch { token: "t1".into() }));
        assert_eq!(market.buy(9, "t2", &wanted).unwrap().key, key("large"));
        assert_eq!(market.buy(9, "t3", &wanted[..1]), Err(Refusal::NoStock { refused: vec![key("small")] }));
        assert_eq!(market.hourly(), MicroUsdPerHour(50_000));
        assert_eq!(market.sold_out(9), [key("small")]);
    }

    #[test]
    fn stock_comes_and_goes_as_scheduled() {
        let mut market = market(5);
        market.schedule(&key("small"), 100 * SECOND, 0);
        market.schedule(&key("small"), 200 * SECOND, 2);
        assert_eq!([0, 100, 199, 200].map(|at| market.available(&key("small"), at * SECOND)), [5, 0, 0, 2]);
        assert_eq!(market.available(&key("unknown"), 0), 0);
        let machine = market.buy(0, "t", &[key("small")]).unwrap();
        assert_eq!(market.available(&key("small"), 0), 4);
        assert!(market.give_back(SECOND, &machine.id) && !market.give_back(SECOND, &machine.id));
        assert_eq!(market.available(&key("small"), 2 * SECOND), 5);
    }

    #[test]
    fn a_machine_boots_joins_and_is_taken_after_its_warning() {
        let mut market = market(5);
        let machine = market.buy(0, "t", &[key("small")]).unwrap();
        let id = machine.id.clone();
        assert!((15 * SECOND..=25 * SECOND).contains(&machine.runs_at));
        market.interrupt(&id, 300 * SECOND);
        assert_eq!(market.next(), Some(machine.runs_at));
        let happened = market.advance(60 * SECOND);
        let runs = (machine.runs_at, Happening::Runs { id: id.clone() });
        assert_eq!(happened, [runs, (machine.registers_at, Happening::Registers { id: id.clone() })]);
        let warned = Happening::Warned { id: id.clone(), gone_at: 420 * SECOND };
        assert_eq!(market.advance(419 * SECOND), [(300 * SECOND, warned)]);
        assert_eq!(market.machines().count(), 1);
        assert_eq!(market.advance(500 * SECOND), [(420 * SECOND, Happening::Gone { id, was_taken: true })]);
        assert_eq!((market.machines().count(), market.next()), (0, None));
    }

    #[test]
    fn the_same_seed_gives_the_same_market() {
        let run = || {
            let mut market = market(3);
            for at in 0..6 {
                drop(market.buy(at * SECOND, &format!("t{at}"), &[key("small"), key("large")]));
            }
            market.advance(100 * SECOND);
            market.log().to_vec()
        };
        assert_eq!(run(), run());
    }
}
