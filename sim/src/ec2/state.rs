//! Everything that the simulated EC2 knows, and what time does to it.

use std::collections::{BTreeMap, BTreeSet};

use cloud::OfferingKey;
use cloud::catalog::{RegionTable, TypeRow};

use super::filter::Tags;
use super::holdings::{Due, PlacementGroup, Reservation, Shift, Template};
use super::instance::{Instance, Phase};
use super::land::{ACCOUNT, Land};
use super::news::{News, Queue};
use super::options::Options;
use super::params::Params;
use super::policy::{Policy, Question};
use super::refusal::Refusal;
use super::xml::Xml;
use crate::clock::{Clock, Micros};
use crate::market::Market;
use crate::rng::SplitMix64;

/// What an action answers: the elements inside its response.
#[derive(Debug)]
pub struct Answer(pub Xml);

/// What executes an action.
pub type Run = fn(&mut State, &Params) -> Result<Answer, Refusal>;

/// An action: what it is called, which parameters it takes, what executes it.
pub type Action = (&'static str, &'static [&'static str], Run);

/// The most answers kept for tokens that come again; the oldest go first.
const MOST_TOKENS: usize = 200_000;

/// The state. Plain; its lock is the server's.
#[derive(Debug)]
pub struct State {
    pub clock: Clock,
    pub options: Options,
    pub land: Land,
    pub market: Market,
    /// Every instance type, by name.
    pub types: &'static [TypeRow],
    /// What the region sells.
    pub region: RegionTable,
    pub templates: BTreeMap<String, Template>,
    pub instances: BTreeMap<String, Instance>,
    pub reservations: BTreeMap<String, Reservation>,
    pub placement_groups: BTreeMap<String, PlacementGroup>,
    /// Zones that the cluster is moved away from, now or later.
    pub shifts: Vec<Shift>,
    /// SSM parameters beside those that AWS publishes.
    pub parameters: BTreeMap<String, String>,
    /// Names of IAM roles.
    pub roles: BTreeSet<String>,
    /// What may be done; none: everything.
    pub policy: Option<Policy>,
    /// When the account was opened.
    pub opened_at: Micros,
    /// What happened to machines, for whoever listens.
    pub news: News,
    /// The same as messages, for whoever receives them.
    pub queue: Queue,
    tokens: BTreeMap<String, Told>,
    token_order: std::collections::VecDeque<String>,
    /// What is to happen beside the market.
    pub(super) due: BTreeSet<(Micros, Due)>,
    rng: SplitMix64,
}

/// An answer that comes again for the same token.
#[derive(Clone, Debug)]
struct Told {
    asked: String,
    body: String,
}

impl State {
    pub fn new(
        clock: Clock,
        options: Options,
        land: Land,
        market: Market,
        region: RegionTable,
        types: &'static [TypeRow],
    ) -> Self {
        Self {
            rng: SplitMix64::new(options.seed ^ 0xec2),
            opened_at: clock.micros(),
            clock,
            land,
            market,
            types,
            region,
            templates: BTreeMap::new(),
            instances: BTreeMap::new(),
            reservations: BTreeMap::new(),
            placement_groups: BTreeMap::new(),
            shifts: Vec::new(),
            parameters: BTreeMap::new(),
            roles: [format!("KarpenterNodeRole-{}", options.cluster)].into(),
            policy: None,
            options,
            news: News::default(),
            queue: Queue::default(),
            tokens: BTreeMap::new(),
            token_order: std::collections::VecDeque::new(),
            due: BTreeSet::new(),
        }
    }

    /// Microseconds since 1970.
    pub fn now(&self) -> Micros {
        self.clock.micros()
    }

    /// Seconds since 1970.
    pub fn seconds(&self) -> i64 {
        self.clock.seconds()
    }

    /// A new id such as `lt-0123456789abcdef0`.
    pub fn id(&mut self, prefix: &str) -> String {
        format!("{prefix}-0{:016x}", self.rng.next_u64())
    }

    /// A request's id in the form of a UUID.
    pub fn request_id(&mut self) -> String {
        let (a, b) = (self.rng.next_u64(), self.rng.next_u64());
        format!("{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}", a >> 32, a & 0xffff, (a >> 16) & 0xfff, b & 0xfff, b >> 16)
    }

    pub fn instance_type(&self, name: &str) -> Option<&'static TypeRow> {
        let at = self.types.binary_search_by(|row| row.name.as_str().cmp(name)).ok()?;
        Some(&self.types[at])
    }

    /// Whether a type is sold in a zone.
    pub fn is_sold(&self, instance_type: &str, zone: &str) -> bool {
        let sold = &self.region.sold;
        let row = sold.binary_search_by(|row| row.instance_type.as_str().cmp(instance_type)).ok().map(|at| &sold[at]);
        row.is_some_and(|row| row.zones.iter().any(|at| self.region.zones.get(*at).is_some_and(|name| name == zone)))
    }

    /// A machine that is told of by its id.
    ///
    /// # Errors
    /// When there is none, or EC2 has not come to know it everywhere yet.
    pub fn visible(&self, id: &str) -> Result<&Instance, Refusal> {
        let is_well_formed = id
            .strip_prefix("i-")
            .is_some_and(|hex| matches!(hex.len(), 8 | 17) && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if !is_well_formed {
            return Err(Refusal::new("InvalidInstanceID.Malformed", format!("Invalid id: \"{id}\"")));
        }
        self.instances
            .get(id)
            .filter(|instance| instance.visible_at <= self.now())
            .ok_or_else(|| Refusal::new("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist")))
    }

    /// Machines that lists show, by id.
    pub fn listed(&self) -> impl Iterator<Item = (&Instance, Phase)> {
        let now = self.now();
        let seen = self.instances.values().filter(move |instance| instance.visible_at <= now);
        seen.map(move |instance| (instance, instance.phase(now)))
    }

    /// The answer that was given to this token before.
    ///
    /// # Errors
    /// When the token was used to ask for something else.
    pub fn told(&self, action: &str, token: Option<&str>, asked: &str) -> Result<Option<String>, Refusal> {
        let Some(told) = token.and_then(|token| self.tokens.get(&format!("{action} {token}"))) else { return Ok(None) };
        if told.asked == asked {
            return Ok(Some(told.body.clone()));
        }
        let message = "Request with the same client token but different parameters was made before";
        Err(Refusal::new("IdempotentParameterMismatch", message))
    }

    /// Keeps an answer for a token.
    pub fn keep(&mut self, action: &str, token: &str, asked: String, body: String) {
        let key = format!("{action} {token}");
        if self.tokens.insert(key.clone(), Told { asked, body }).is_none() {
            self.token_order.push_back(key);
        }
        if self.token_order.len() > MOST_TOKENS
            && let Some(oldest) = self.token_order.pop_front()
        {
            self.tokens.remove(&oldest);
        }
    }

    /// How many more machines of an offering can be bought.
    pub fn available(&self, key: &OfferingKey) -> u32 {
        self.market.available(key, self.now())
    }

    /// # Errors
    /// When the policy does not allow an action on anything.
    pub fn authorize(&self, action: &str) -> Result<(), Refusal> {
        self.ask(action, "*".to_owned(), &[])
    }

    /// # Errors
    /// When the policy does not allow an action on a thing with these tags.
    pub fn authorize_on(&self, action: &str, thing: &str, tags: &Tags) -> Result<(), Refusal> {
        self.ask(action, self.arn(thing), &[("aws:ResourceTag", tags)])
    }

    /// # Errors
    /// When the policy does not allow an action that makes things of a kind with these tags, or the tags themselves.
    pub fn authorize_create(&self, action: &str, kind: &str, tags: &Tags) -> Result<(), Refusal> {
        self.ask(action, self.arn(&format!("{kind}/*")), &[("aws:RequestTag", tags)])?;
        if tags.is_empty() {
            return Ok(());
        }
        let Some(policy) = &self.policy else { return Ok(()) };
        let mut question = self.question("ec2:CreateTags", self.arn(&format!("{kind}/*")), &[("aws:RequestTag", tags)]);
        question.keys.insert("ec2:CreateAction".to_owned(), vec![action.to_owned()]);
        policy.answer(&question)
    }

    /// # Errors
    /// When the policy does not allow new tags on a thing that is there.
    pub fn authorize_tagging(&self, thing: &str, there: &Tags, new: &Tags) -> Result<(), Refusal> {
        self.ask("CreateTags", self.arn(thing), &[("aws:ResourceTag", there), ("aws:RequestTag", new)])
    }

    /// # Errors
    /// When the policy does not allow machines of EC2 to be given a role.
    pub fn authorize_passing(&self, role: &str) -> Result<(), Refusal> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let mut question = self.question("iam:PassRole", format!("arn:aws:iam::{ACCOUNT}:role/{role}"), &[]);
        question.keys.insert("iam:PassedToService".to_owned(), vec!["ec2.amazonaws.com".to_owned()]);
        policy.answer(&question)
    }

    fn ask(&self, action: &str, resource: String, tags: &[(&str, &Tags)]) -> Result<(), Refusal> {
        let Some(policy) = &self.policy else { return Ok(()) };
        policy.answer(&self.question(&format!("ec2:{action}"), resource, tags))
    }

    /// Of another service than EC2, by its whole name such as `iam:GetInstanceProfile`; `key` is a condition key beside the tags.
    ///
    /// # Errors
    /// When the policy does not allow it, in the service's own words.
    pub fn authorize_beside(
        &self,
        action: &str,
        resource: String,
        tags: &[(&str, &Tags)],
        key: Option<(&str, &str)>,
    ) -> Result<(), Refusal> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let mut question = self.question(action, resource, tags);
        question.keys.extend(key.map(|(key, value)| (key.to_owned(), vec![value.to_owned()])));
        policy.answer(&question).map_err(|refusal| {
            let (status, code) =
                if action.starts_with("iam:") { (403, "AccessDenied") } else { (400, "AccessDeniedException") };
            Refusal::with_status(status, code, refusal.message)
        })
    }

    fn question(&self, action: &str, resource: String, tags: &[(&str, &Tags)]) -> Question {
        let mut keys = BTreeMap::from([("aws:RequestedRegion".to_owned(), vec![self.region.name.clone()])]);
        for (kind, tags) in tags {
            for (key, value) in *tags {
                keys.insert(format!("{kind}/{key}"), vec![value.clone()]);
            }
            if *kind == "aws:RequestTag" && !tags.is_empty() {
                keys.insert("aws:TagKeys".to_owned(), tags.keys().cloned().collect());
            }
        }
        Question { action: action.to_owned(), resource, keys }
    }

    fn arn(&self, thing: &str) -> String {
        // Images and snapshots belong to no account of ours.
        let account = if thing.starts_with("image/") || thing.starts_with("snapshot/") { "" } else { ACCOUNT };
        format!("arn:aws:ec2:{}:{account}:{thing}", self.region.name)
    }
}
