//! Instance profiles that nobody uses any more: those of roles that classes named before.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cloud::aws::{Fault, profile};
use crds::names::aws as names;
use tokio::time::sleep;

use super::{Shared, told};

/// How often they are looked for, and how long one has to be unused: machines that were just ordered under it do not say so yet.
const PERIOD: Duration = Duration::from_mins(30);

/// Takes away profiles that two looks in a row found unused. In a network without a way to IAM, nobody looks.
pub(super) async fn run(shared: Arc<Shared>) {
    if shared.settings.config.isolated_vpc {
        return;
    }
    shared.mirror.until_synced().await;
    let mut unused = BTreeSet::new();
    loop {
        sleep(PERIOD).await;
        told(look(&shared, &mut unused).await, "taking away instance profiles that nobody uses");
    }
}

async fn look(shared: &Shared, unused: &mut BTreeSet<String>) -> Result<(), Fault> {
    let there = profile::of_cluster(shared.clients(), &shared.seller.cluster().name).await?;
    let used = used(shared);
    let now: BTreeSet<String> = there.into_iter().filter(|name| !used.contains(name)).collect();
    let before = std::mem::replace(unused, now.clone());
    for name in now.intersection(&before) {
        profile::remove(shared.clients(), name).await?;
        tracing::info!(profile = name, "garbage collected an instance profile");
    }
    Ok(())
}

/// Names of profiles that classes have, or that machines were bought with.
fn used(shared: &Shared) -> BTreeSet<String> {
    let classes = shared.mirror.ec2_classes();
    let of_classes = classes.iter().filter_map(|class| class.status.as_ref()?.instance_profile.clone());
    let claims = shared.mirror.claims();
    let of_claims =
        claims.iter().filter_map(|claim| claim.metadata.annotations.get(names::INSTANCE_PROFILE_NAME).cloned());
    of_classes.chain(of_claims).collect()
}
