//! Launches that are not carried out: is everything allowed that a launch under a class takes?

use aws_sdk_ec2::types::{
    InstanceNetworkInterfaceSpecification, LaunchTemplateSpecification, ResourceType, TagSpecification,
};

use super::Seller;
use super::call::once;
use super::class::NodeClass;
use super::fault::{Fault, Kind};
use super::fleet::Fleet;
use super::template::tag_list;
use crate::{LaunchError, LaunchOrder, Offer};

/// The reason of a fault that is about the instance profile.
const PROFILE: &str = "InstanceProfileNameInvalid";

/// What was refused, or not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Making a launch template, which is really made: there is no other way to try a fleet.
    Template(LaunchError),
    Fleet(Fault),
    Run(Fault),
}

impl Refused {
    /// Whether EC2 does not know the instance profile, or does not know it yet.
    pub fn is_about_profile(&self) -> bool {
        matches!(self, Self::Fleet(fault) | Self::Run(fault) if fault.reason() == PROFILE)
    }

    /// Whether AWS did not say anything about the launch: it was too busy, or not to be reached.
    pub fn is_unanswered(&self) -> bool {
        match self {
            Self::Template(error) => !matches!(error, LaunchError::Rejected { .. }),
            Self::Fleet(fault) | Self::Run(fault) => {
                fault.is_unanswered() || fault.kind == Kind::TemplateNotFound || fault.kind == Kind::TokenMismatch
            }
        }
    }
}

impl Seller {
    /// Tries a launch of one offer without buying anything.
    ///
    /// # Errors
    /// What was refused. What AWS did not answer is in it too; its kind says so.
    pub async fn rehearse(&self, class: &NodeClass, offer: &Offer) -> Result<(), Refused> {
        // The policy wants the tag of the pool, whatever its value.
        let order = LaunchOrder { token: "rehearsal".into(), ..LaunchOrder::default() };
        let fleet = self.fleet(class, &order, &[offer]).await.map_err(Refused::Template)?;
        if fleet.ways.is_empty() {
            // Every subnet is full, which is no question of what is allowed.
            return Ok(());
        }
        let asked = fleet.call(&self.clients).dry_run(true).send();
        let answer = passed(once(&self.clients, "ec2:CreateFleet", Box::pin(asked)).await.map(drop));
        answer.inspect_err(|fault| self.forget_if_missing(&fleet, fault)).map_err(Refused::Fleet)?;
        let mut first = None;
        for subnet in &class.subnets {
            match self.run(&fleet, &subnet.id).await {
                Ok(()) => return Ok(()),
                Err(fault) => {
                    self.forget_if_missing(&fleet, &fault);
                    // What has nothing to do with the subnet is the same in all.
                    let is_settled = fault.reason() == PROFILE || fault.is_unanswered();
                    first = first.or(Some(fault));
                    if is_settled {
                        break;
                    }
                }
            }
        }
        first.map_or(Ok(()), |fault| Err(Refused::Run(fault)))
    }

    /// A template that is not there any more is made anew with the next try.
    fn forget_if_missing(&self, fleet: &Fleet<'_>, fault: &Fault) {
        if fault.kind == Kind::TemplateNotFound {
            fleet.ways.iter().for_each(|way| self.templates.forget(&way.template));
        }
    }

    async fn run(&self, fleet: &Fleet<'_>, subnet: &str) -> Result<(), Fault> {
        let way = &fleet.ways[0];
        let template =
            LaunchTemplateSpecification::builder().launch_template_name(&way.template).version("$Latest").build();
        let interface = InstanceNetworkInterfaceSpecification::builder().device_index(0).subnet_id(subnet).build();
        let tagged = [ResourceType::Instance, ResourceType::Volume, ResourceType::NetworkInterface]
            .map(|kind| TagSpecification::builder().resource_type(kind).set_tags(Some(tag_list(&fleet.tags))).build());
        let asked = self
            .clients
            .ec2
            .run_instances()
            .dry_run(true)
            .min_count(1)
            .max_count(1)
            .launch_template(template)
            .instance_type(way.offer.key.instance_type.parse().unwrap_or_else(|never| match never {}))
            .network_interfaces(interface)
            .set_tag_specifications(Some(tagged.into()))
            .send();
        passed(once(&self.clients, "ec2:RunInstances", Box::pin(asked)).await.map(drop))
    }
}

/// A dry run that went well is an error of its own kind.
fn passed(answer: Result<(), Fault>) -> Result<(), Fault> {
    match answer {
        Err(Fault { kind: Kind::DryRun, .. }) => Ok(()),
        other => other,
    }
}
