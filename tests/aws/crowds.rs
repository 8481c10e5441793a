//! Many at once: claims that wait for their turn hold up nobody, and classes are looked at side by side.

use std::time::Duration;

use serde_json::json;
use sim::ec2::Level;

use super::stage::{Stage, deployment};

#[tokio::test(start_paused = true)]
async fn machines_of_a_wave_join_while_the_rest_of_it_is_still_being_bought() {
    let stage = Stage::open(|options| options.level = Level::Each(500));
    let mut wave = deployment(300, "1500m", "1Gi");
    wave["spec"]["template"]["spec"]["nodeSelector"] = json!({ "node.kubernetes.io/instance-type": "c5.large" });
    stage.direct.put(wave).unwrap();
    stage.until(300, "the first pods run", |stage| stage.running() > 0).await;
    let n_fleets = stage.ec2.n_calls("CreateFleet");
    assert!(n_fleets < 280, "{n_fleets} of 300 were ordered before one had joined");
    stage.until(600, "all run", |stage| stage.running() == 300).await;
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn classes_are_looked_at_side_by_side() {
    let stage = Stage::set_up(
        |setup| {
            setup.options.latency = Duration::from_secs(3);
            setup.options.profile_visible_after = 0;
            for at in 0..19 {
                let mut class = setup.objects[0].clone();
                class["metadata"]["name"] = json!(format!("class-{at}"));
                setup.objects.push(class);
            }
        },
        |_| {},
    );
    stage.until(600, "one is ready", |stage| stage.n_ready("karpenter.k8s.aws/v1", "EC2NodeClass") > 0).await;
    stage.until(60, "all are ready", |stage| stage.n_ready("karpenter.k8s.aws/v1", "EC2NodeClass") == 20).await;
    stage.close().await;
}
