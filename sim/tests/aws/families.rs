//! What machines of each family are made from: volumes, and how user data begin and what they say.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cloud::aws::NodeClass;
use cloud::catalog::AmiFamily;

use super::support::stand;

/// The template that a machine of the family gets: volumes, and user data.
async fn template(family: AmiFamily, user_data: Option<&str>) -> (Vec<String>, String) {
    let mut stand = stand(|_| {}).await;
    let class =
        NodeClass { family: Some(family), devices: Vec::new(), user_data: user_data.map(str::to_owned), ..stand.class };
    stand.class = class.with_devices_of_family();
    stand.seller.launch(&stand.class, &stand.order("a", &["m5.large"], &["on-demand"])).await.unwrap();
    stand.ec2.locked(|state| {
        let data = &state.templates.values().next().unwrap().data;
        // The same for every family.
        assert!(stand.class.images.iter().any(|image| data.text("ImageId") == Some(&*image.id)));
        assert_eq!(data.get("IamInstanceProfile").unwrap().text("Name"), Some("KarpenterNodeInstanceProfile-demo"));
        assert_eq!(data.get("MetadataOptions").unwrap().text("HttpTokens"), Some("required"));
        assert_eq!(data.get("MetadataOptions").unwrap().text("InstanceMetadataTags"), Some("disabled"));
        assert_eq!(data.get("Placement").unwrap().text("Tenancy"), Some("default"));
        assert_eq!(data.list("NetworkInterface").len(), 1);
        assert_eq!(data.list("NetworkInterface")[0].texts("SecurityGroupId"), ["sg-00000000000000001"]);
        let volumes = data.list("BlockDeviceMapping").into_iter().map(|mapping| {
            let ebs = mapping.get("Ebs").unwrap();
            let part = |name: &str| ebs.text(name).unwrap_or("-").to_owned();
            let (size, kind, encrypted) = (part("VolumeSize"), part("VolumeType"), part("Encrypted"));
            format!("{} {size} {kind} encrypted={encrypted}", mapping.text("DeviceName").unwrap())
        });
        let text = data.text("UserData").unwrap_or_default();
        let text = String::from_utf8(BASE64_STANDARD.decode(text).unwrap()).unwrap();
        (volumes.collect(), text)
    })
}

#[tokio::test(start_paused = true)]
async fn each_family_has_volumes_and_user_data_of_its_own() {
    let mime = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"//\"\n\n--//\n";
    let xvda = &["/dev/xvda 20 gp3 encrypted=true"][..];
    let bottlerocket = &["/dev/xvda 4 gp3 encrypted=true", "/dev/xvdb 20 gp3 encrypted=true"][..];
    let windows = &["/dev/sda1 50 gp3 encrypted=true"][..];
    let bootstrap = "Start-EKSBootstrap.ps1";
    for (family, volumes, begins, says) in [
        (AmiFamily::Al2, xvda, mime, "/etc/eks/bootstrap.sh 'demo' --apiserver-endpoint 'https://api.demo'"),
        (AmiFamily::Al2023, xvda, mime, "kind: NodeConfig"),
        (AmiFamily::Bottlerocket, bottlerocket, "[settings.kubernetes]", "cluster-name = \"demo\""),
        (AmiFamily::Windows2019, windows, "<powershell>", bootstrap),
        (AmiFamily::Windows2022, windows, "<powershell>", bootstrap),
        (AmiFamily::Windows2025, windows, "<powershell>", bootstrap),
        (AmiFamily::Custom, &[], "", ""),
    ] {
        let (found, text) = template(family, None).await;
        assert_eq!(found, volumes, "{family:?}");
        assert!(text.starts_with(begins) && text.contains(says), "{family:?}: {text}");
        if family != AmiFamily::Custom {
            assert!(text.contains("karpenter.sh/unregistered"), "{family:?}: nodes join shut");
        }
    }
    assert_eq!(template(AmiFamily::Custom, Some("#!/bin/sh\nboot me\n")).await.1, "#!/bin/sh\nboot me\n");
}
