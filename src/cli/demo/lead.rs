//! Who leads the cluster of a run: the controller with the provider that was asked for, its launches overheard.

use cloud::catalog::KwokSettings;
use tokio_util::sync::CancellationToken;

use super::seller::{Overheard, Shortages};
use super::shelves::Shelves;
use crate::app::{AppError, Ground, lead};
use crate::kwok::Kwok;
use crate::observe::mirror::Kind;

/// Leads until `stop`.
pub async fn on(ground: Ground, shelves: Shelves, heard: Shortages, stop: CancellationToken) -> Result<(), AppError> {
    match shelves {
        Shelves::Kwok(stock) => {
            let (once, clock) = (ground.clients.once.clone(), ground.clock);
            lead(&ground, &[Kind::KwokNodeClass], stop, |mirror, _| {
                let kwok = Kwok::new(once, mirror, clock, &KwokSettings::default(), stock)?;
                Ok(Overheard::new(kwok, heard))
            })
            .await
        }
        #[cfg(feature = "aws")]
        Shelves::Ec2(ec2) => {
            let region = ec2.locked(|state| state.region.name.clone());
            let connection = cloud::aws::Connection {
                region: Some(region),
                transport: Some(ec2.transport()),
                ..cloud::aws::Connection::default()
            };
            crate::app::lead_on_aws_with(&ground, connection, stop, |aws| Overheard::new(aws, heard)).await
        }
        #[cfg(not(feature = "aws"))]
        Shelves::Ec2(_) => Err(AppError::Broken("the provider aws, which is not in this build")),
    }
}
