//! The seller: what is shared by everything that is bought, ended and listed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use planner::model::Str;
use tokio::time::Instant;

use super::addresses::Addresses;
use super::batch::{Batch, Closed};
use super::call::again;
use super::class::Cluster;
use super::client::Clients;
use super::fault::{Fault, Kind};
use super::instances::{self, Found, MOST_IDS, by_ids, id_of, of_cluster};
use super::launch::Attempts;
use super::pace::Pace;
use super::queue::Queue;
use super::shift::Quiet;
use super::telling::Telling;
use super::template::{self, Templates};
use crate::{Instance, InstanceState, ListError, Notice, TerminateError, Termination};

/// `CreateFleet` may be called five times a second and fifty at once; we leave a fifth of it to others.
const FLEET_INTERVAL: Duration = Duration::from_millis(250);
const FLEET_BURST: u32 = 40;
/// For so long a machine that was just bought is believed to be there, whatever lists say.
const UNSEEN: Duration = Duration::from_mins(2);
/// The most machines ended in one call.
const MOST_ENDS: usize = 500;
/// The most machines of which that is remembered.
const MOST_RECENT: usize = 20_000;

/// Sells machines of one region to one cluster.
#[derive(Debug)]
pub struct Seller {
    pub(super) clients: Clients,
    pub(super) cluster: Cluster,
    pub(super) templates: Templates,
    pub(super) addresses: Addresses,
    pub(super) fleet_pace: Pace,
    pub(super) attempts: Attempts,
    pub(super) recent: Recent,
    pub(super) telling: Telling,
    queue: Option<Queue>,
    quiet: Quiet,
    /// Addresses of services, as EKS told after the start.
    service_cidr: OnceLock<String>,
    finding: Batch<Result<Option<Found>, Fault>>,
    ending: Batch<Result<(), Fault>>,
}

/// Machines that were bought a moment ago: EC2 may not show them yet.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<BTreeMap<String, Instant>>);

impl Recent {
    pub fn note(&self, id: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_RECENT {
            all.retain(|_, at| at.elapsed() < UNSEEN);
        }
        all.insert(id.to_owned(), Instant::now());
    }

    fn has(&self, id: &str) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(id).is_some_and(|at| at.elapsed() < UNSEEN)
    }
}

impl Seller {
    /// A seller to a cluster. Runs on the current tokio runtime.
    pub fn new(clients: Clients, cluster: Cluster) -> Self {
        let telling = clients.telling.clone();
        let (of_finding, of_ending) = (clients.clone(), clients.clone());
        let finding = Batch::new("describe_instances", telling.clone(), MOST_IDS, move |ids: Vec<String>| {
            let clients = of_finding.clone();
            async move {
                match by_ids(&clients, ids.clone()).await {
                    Ok(mut found) => ids.into_iter().map(|id| (id.clone(), Ok(found.remove(&id)))).collect(),
                    Err(fault) => ids.into_iter().map(|id| (id, Err(fault.clone()))).collect(),
                }
            }
        });
        let ending = Batch::new("terminate_instances", telling.clone(), MOST_ENDS, move |ids: Vec<String>| {
            let clients = of_ending.clone();
            async move { instances::end(&clients, ids).await }
        });
        Self {
            clients,
            cluster,
            templates: Templates::default(),
            addresses: Addresses::default(),
            fleet_pace: Pace::new(FLEET_INTERVAL, FLEET_BURST),
            attempts: Attempts::default(),
            recent: Recent::default(),
            telling,
            queue: None,
            quiet: Quiet::default(),
            service_cidr: OnceLock::new(),
            finding,
            ending,
        }
    }

    /// Listens to a queue of interruptions, by its name.
    #[must_use = "the seller itself does not listen"]
    pub fn listening(self, queue: &str) -> Self {
        Self { queue: Some(Queue::new(queue)), ..self }
    }

    /// Remembers machines, for zones that may become quiet.
    #[must_use = "the seller itself remembers nothing"]
    pub fn remembering(self) -> Self {
        self.quiet.expect();
        self
    }

    /// Asks EC2 nothing about machines in these zones and changes nothing of them, until other zones are named.
    pub fn keep_quiet(&self, zones: BTreeSet<Str>) {
        self.quiet.set(zones);
    }

    /// What is about to happen to machines; nothing if nobody listens. Waits for a while if there is nothing to tell.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub async fn notices(&self) -> Result<Option<Vec<Notice>>, ListError> {
        match &self.queue {
            None => Ok(None),
            Some(queue) => Ok(Some(queue.notices(&self.clients).await?)),
        }
    }

    /// What EC2's own checks and plans say against machines of the account at `now`.
    ///
    /// # Errors
    /// When EC2 cannot be asked.
    pub async fn ailing(&self, now: i64) -> Result<Vec<Notice>, Fault> {
        super::health::ailing(&self.clients, now).await
    }

    /// A notice has been acted on.
    ///
    /// # Errors
    /// When the queue cannot be told.
    pub async fn acknowledge(&self, notice: &Notice) -> Result<(), ListError> {
        match &self.queue {
            None => Ok(()),
            Some(_) if notice.receipt.is_empty() => Ok(()),
            Some(queue) => Ok(queue.delete(&self.clients, &notice.receipt).await?),
        }
    }

    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Addresses of the cluster's services, if they are known.
    pub fn service_cidr(&self) -> Option<&str> {
        self.cluster.service_cidr.as_deref().or_else(|| self.service_cidr.get().map(String::as_str))
    }

    /// Asks EKS for the addresses of services unless they are known; none if EKS does not tell.
    ///
    /// # Errors
    /// When EKS cannot be asked, or knows no such cluster.
    pub async fn find_service_cidr(&self) -> Result<Option<&str>, Fault> {
        if self.service_cidr().is_none()
            && let Some(told) = super::cluster::describe(&self.clients, &self.cluster.name).await?.service_cidr
        {
            // Whoever was quicker told the same.
            let _ = self.service_cidr.set(told);
        }
        Ok(self.service_cidr())
    }

    /// One machine; none when EC2 does not know it, or no longer.
    ///
    /// # Errors
    /// When EC2 cannot be asked.
    pub async fn instance(&self, provider_id: &str) -> Result<Option<Instance>, ListError> {
        let Some(id) = id_of(provider_id) else { return Ok(None) };
        if let Some(zone) = self.quiet.zone_of(provider_id) {
            let last = self.quiet.last(provider_id);
            return last.map(Some).ok_or_else(|| quiet("ec2:DescribeInstances", &zone).into());
        }
        let found = self.finding.ask(id).await.unwrap_or_else(closed)?;
        match found {
            Some(Found::There(found)) => {
                self.quiet.saw(&found);
                Ok(Some(*found))
            }
            None if self.recent.has(id) => {
                Err(ListError::Unreachable { message: format!("EC2 does not show {id} yet, which was just bought") })
            }
            Some(Found::Ended) | None => Ok(None),
        }
    }

    /// Every machine of the cluster.
    ///
    /// # Errors
    /// When EC2 cannot be asked.
    pub async fn instances(&self) -> Result<Vec<Instance>, ListError> {
        let mut listed = of_cluster(&self.clients, &self.cluster.name).await?;
        self.quiet.saw_all(&mut listed);
        Ok(listed)
    }

    /// Ends a machine. Asked again until nothing is left of it, so that an end which was lost or refused is noticed.
    ///
    /// # Errors
    /// When EC2 cannot be asked, or refuses.
    pub async fn terminate(&self, provider_id: &str) -> Result<Termination, TerminateError> {
        let Some(id) = id_of(provider_id) else { return Ok(Termination::Gone) };
        if let Some(zone) = self.quiet.zone_of(provider_id) {
            return Err(quiet("ec2:TerminateInstances", &zone).into());
        }
        let found = self.finding.ask(id).await.unwrap_or_else(closed)?;
        match found {
            Some(Found::There(found)) if found.state == InstanceState::Terminating => return Ok(Termination::Started),
            Some(Found::Ended) => return Ok(Termination::Gone),
            None if !self.recent.has(id) => return Ok(Termination::Gone),
            _ => {}
        }
        match self.ending.ask(id).await.unwrap_or_else(closed) {
            // Not found: bought a moment ago, or gone a moment ago. The next look tells.
            Ok(()) | Err(Fault { kind: Kind::NotFound, .. }) => Ok(Termination::Started),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Writes tags on a machine.
    ///
    /// # Errors
    /// When EC2 cannot be asked, or refuses.
    pub async fn tag(&self, provider_id: &str, tags: &BTreeMap<String, String>) -> Result<(), Fault> {
        let Some(id) = id_of(provider_id) else { return Ok(()) };
        if let Some(zone) = self.quiet.zone_of(provider_id) {
            return Err(quiet("ec2:CreateTags", &zone));
        }
        let tags = template::tag_list(tags);
        again(&self.clients, "ec2:CreateTags", || {
            self.clients.ec2.create_tags().resources(id).set_tags(Some(tags.clone())).send()
        })
        .await
        .map(drop)
    }

    /// Learns of launch templates that earlier runs left.
    ///
    /// # Errors
    /// When EC2 cannot be asked.
    pub async fn hydrate(&self) -> Result<(), Fault> {
        self.templates.hydrate(&self.clients, &self.cluster.name).await
    }

    /// Takes away launch templates that were not used for long; how many.
    ///
    /// # Errors
    /// When EC2 cannot be asked; what was not taken away is told by the next [`Seller::hydrate`].
    pub async fn collect(&self) -> Result<usize, Fault> {
        self.templates.collect(&self.clients, &self.fleet_pace).await
    }

    /// Takes away every launch template of a class that is going.
    ///
    /// # Errors
    /// When EC2 cannot be asked.
    pub async fn delete_templates(&self, class: &str) -> Result<(), Fault> {
        template::delete_all(&self.clients, &self.cluster.name, class).await
    }
}

/// What is asked of a batch that has stopped, which happens only when the process does.
fn closed<T>(_: Closed) -> Result<T, Fault> {
    let message = "the controller is stopping".to_owned();
    Err(Fault { action: "ec2", kind: Kind::Unreachable, code: String::new(), message })
}

/// What is not asked as long as a zone is shifted.
fn quiet(action: &'static str, zone: &str) -> Fault {
    let message = format!("not asked while a zonal shift is active in {zone}");
    Fault { action, kind: Kind::Unreachable, code: String::new(), message }
}
