"""What EC2 and its neighbours promise, asked of an endpoint through boto3: of our simulation, and of moto.

A case that the simulation fails is a defect of ours. A case that moto fails has to be on KNOWN with the reason, and one on
KNOWN that moto passes fails as well: the list says what is so. Prints a line for each case and `N passed, N failed`.

Run by `cargo xtask moto`; alone: suite.py simulator|moto ENDPOINT
"""

import json
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

REGION = "us-west-2"
IMAGE = "amazon-eks-node-al2023-x86_64-standard-1.35-v20261105"
DISCOVERY = {"Name": "tag:karpenter.sh/discovery", "Values": ["demo"]}

# Cases that moto 5.2.5 fails, each with what it does instead.
KNOWN = {
    "an_unknown_filter_is_refused": "answers 500 with a page of HTML",
    "types_come_a_hundred_at_a_time": "ignores MaxResults and never pages",
    "a_template_that_is_not_there_cannot_be_deleted": "says MissingParameter",
    "machines_of_one_override_are_told_together": "tells of each machine apart",
    "a_token_buys_once": "ignores ClientToken",
    "a_token_with_other_parameters_is_refused": "ignores ClientToken",
    "an_unknown_type_is_an_error_of_its_pool": "launches it",
    "a_type_without_a_match_in_architecture_is_an_error_of_its_pool": "launches it",
    "addresses_are_free_again_once_a_machine_is_gone": "never gives an address back",
    "a_malformed_id_is_told_as_such": "says NotFound",
    "machines_are_found_by_lifecycle": "answers 500 with a page of HTML",
    "tags_go_on_nothing_that_is_not_there": "accepts any id",
    "capacity_reservations_can_be_listed": "answers 500 with a page of HTML",
    "placement_groups_can_be_listed": "answers 500 with a page of HTML",
    "a_machine_pends_before_it_runs": "is running at once",
    "profiles_are_found_by_their_path": "ignores PathPrefix",
    "prices_can_be_listed": "has no such service",
}

CASES = []


def case(check):
    CASES.append(check)
    return check


class Wrong(Exception):
    """What was promised is not so."""


def want(is_so, what):
    if not is_so:
        raise Wrong(what)


def refused(call, code, **arguments):
    """Makes a call that has to be refused with a code."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        want(error.response["Error"]["Code"] == code, f"refused with {error.response['Error']['Code']}, not {code}")
        return
    raise Wrong(f"not refused: {json.dumps(answer, default=str)[:200]}")


class World:
    """Clients of an endpoint, and what every case may count on being there."""

    def __init__(self, name, endpoint):
        options = Config(retries={"max_attempts": 1, "mode": "standard"}, read_timeout=120, connect_timeout=5)
        session = boto3.Session(aws_access_key_id="suite", aws_secret_access_key="suite", region_name=REGION)
        for service in ["ec2", "iam", "sqs", "ssm", "pricing"]:
            setattr(self, service, session.client(service, endpoint_url=endpoint, config=options))
        self.n_made = 0
        if name == "moto":
            ids = [subnet["SubnetId"] for subnet in self.ec2.describe_subnets()["Subnets"]]
            groups = self.ec2.describe_security_groups()["SecurityGroups"]
            ids += [group["GroupId"] for group in groups if group["GroupName"] == "default"]
            self.ec2.create_tags(Resources=ids, Tags=[{"Key": "karpenter.sh/discovery", "Value": "demo"}])
            self.iam.create_role(RoleName="KarpenterNodeRole-demo", AssumeRolePolicyDocument="{}")
            self.sqs.create_queue(QueueName="demo")
        subnets = self.ec2.describe_subnets(Filters=[DISCOVERY])["Subnets"]
        self.subnets = {subnet["AvailabilityZone"][-1]: subnet["SubnetId"] for subnet in subnets}
        groups = self.ec2.describe_security_groups(Filters=[DISCOVERY])["SecurityGroups"]
        self.group = groups[0]["GroupId"]
        images = self.ec2.describe_images(Filters=[{"Name": "name", "Values": [IMAGE]}])["Images"]
        self.image = images[0]["ImageId"]
        self.template = self.make_template()

    def name(self):
        self.n_made += 1
        return f"suite/{self.n_made}"

    def make_template(self, **more):
        name = self.name()
        data = {"ImageId": self.image, "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": [self.group]}]}
        tags = [{"ResourceType": "launch-template", "Tags": [{"Key": "suite", "Value": name}]}]
        self.ec2.create_launch_template(
            LaunchTemplateName=name, LaunchTemplateData={**data, **more}, TagSpecifications=tags
        )
        return name

    def fleet(self, overrides, n=1, lifecycle="on-demand", template=None, tag="suite", **more):
        """A fleet of type `instant`; overrides as `type/zone letter`."""
        ways = [way.split("/") for way in overrides]
        ways = [{"InstanceType": kind, "SubnetId": self.subnets[zone]} for kind, zone in ways]
        named = {"LaunchTemplateName": template or self.template, "Version": "$Latest"}
        options = "SpotOptions" if lifecycle == "spot" else "OnDemandOptions"
        more.setdefault(options, {"AllocationStrategy": "lowest-price"})
        return self.ec2.create_fleet(
            Type="instant",
            LaunchTemplateConfigs=[{"LaunchTemplateSpecification": named, "Overrides": ways}],
            TargetCapacitySpecification={"TotalTargetCapacity": n, "DefaultTargetCapacityType": lifecycle},
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "case", "Value": tag}]}],
            **more,
        )

    def machine(self, way="m5.large/a", **more):
        """The id of a machine that was bought and is listed."""
        bought = self.fleet([way], **more)["Instances"][0]["InstanceIds"][0]
        self.listed(bought)
        return bought

    def listed(self, bought):
        """A machine, once lists show it."""
        for _ in range(50):
            try:
                return self.ec2.describe_instances(InstanceIds=[bought])["Reservations"][0]["Instances"][0]
            except ClientError:
                time.sleep(0.2)
        raise Wrong(f"{bought} is not listed after ten seconds")

    def until(self, bought, state):
        for _ in range(200):
            if self.listed(bought)["State"]["Name"] == state:
                return
            time.sleep(0.5)
        raise Wrong(f"{bought} is not {state} after a hundred seconds")

    def found(self, name, *values):
        answer = self.ec2.describe_instances(Filters=[{"Name": name, "Values": list(values)}])
        return [one["InstanceId"] for held in answer["Reservations"] for one in held["Instances"]]


def codes(fleet):
    return {error["LaunchTemplateAndOverrides"]["Overrides"]["InstanceType"]: error["ErrorCode"] for error in fleet["Errors"]}


@case
def zones_have_the_same_ids_wherever_they_are_told(world):
    zones = {zone["ZoneName"]: zone["ZoneId"] for zone in world.ec2.describe_availability_zones()["AvailabilityZones"]}
    subnets = world.ec2.describe_subnets(Filters=[DISCOVERY])["Subnets"]
    want(len(zones) == 4 and len(subnets) == 4, f"{len(zones)} zones, {len(subnets)} subnets")
    for subnet in subnets:
        want(zones[subnet["AvailabilityZone"]] == subnet["AvailabilityZoneId"], subnet["SubnetId"])


@case
def subnets_are_found_by_tags_with_patterns(world):
    by = lambda name, value: world.ec2.describe_subnets(Filters=[{"Name": name, "Values": [value]}])["Subnets"]
    want(len(by("tag:karpenter.sh/discovery", "de*")) == 4, "by a value with a star")
    want(len(by("tag-key", "karpenter.sh/discovery")) == 4, "by a key")
    want(by("tag:karpenter.sh/discovery", "other") == [], "by another value")
    want(len(by("availability-zone", f"{REGION}b")) == 1, "by a zone")


@case
def an_unknown_filter_is_refused(world):
    odd = [{"Name": "colour", "Values": ["red"]}]
    refused(world.ec2.describe_subnets, "InvalidParameterValue", Filters=odd)


@case
def what_does_not_exist_is_told_by_its_kind(world):
    ec2 = world.ec2
    refused(ec2.describe_subnets, "InvalidSubnetID.NotFound", SubnetIds=["subnet-0123456789abcdef9"])
    refused(ec2.describe_security_groups, "InvalidGroup.NotFound", GroupIds=["sg-0123456789abcdef9"])
    refused(ec2.describe_images, "InvalidAMIID.NotFound", ImageIds=["ami-0123456789abcdef9"])
    refused(ec2.describe_instances, "InvalidInstanceID.NotFound", InstanceIds=["i-0123456789abcdef9"])
    refused(ec2.describe_instance_types, "InvalidInstanceType", InstanceTypes=["zz9.large"])


@case
def images_are_found_by_name_and_architecture(world):
    def by(name, arch):
        named = [{"Name": "name", "Values": [name]}, {"Name": "architecture", "Values": [arch]}]
        return world.ec2.describe_images(Owners=["amazon"], Filters=named)["Images"]

    found = by("amazon-eks-node-al2023-x86_64-standard-*", "x86_64")
    want([image["Name"] for image in found] == [IMAGE], "by a name with a star")
    want(found[0]["State"] == "available" and found[0]["OwnerId"] == "602401143452", "with its owner")
    want(by("amazon-eks-node-al2023-x86_64-standard-*", "arm64") == [], "by another architecture")


@case
def a_type_has_the_figures_that_planning_goes_by(world):
    answer = world.ec2.describe_instance_types(InstanceTypes=["m5.large", "g4dn.xlarge", "m6g.large"])
    types = {kind["InstanceType"]: kind for kind in answer["InstanceTypes"]}
    m5 = types["m5.large"]
    want(m5["VCpuInfo"]["DefaultVCpus"] == 2 and m5["MemoryInfo"]["SizeInMiB"] == 8192, "cores and memory")
    network = m5["NetworkInfo"]
    want((network["MaximumNetworkInterfaces"], network["Ipv4AddressesPerInterface"]) == (3, 10), "interfaces")
    want(m5["ProcessorInfo"]["SupportedArchitectures"] == ["x86_64"] and m5["Hypervisor"] == "nitro", "processor")
    gpu = types["g4dn.xlarge"]["GpuInfo"]["Gpus"][0]
    want((gpu["Name"], gpu["Manufacturer"], gpu["Count"]) == ("T4", "NVIDIA", 1), f"GPU {gpu}")
    want(types["m6g.large"]["ProcessorInfo"]["SupportedArchitectures"] == ["arm64"], "an ARM processor")
    want(sorted(m5["SupportedUsageClasses"])[:2] == ["on-demand", "spot"], "ways to pay")


@case
def types_come_a_hundred_at_a_time(world):
    page = world.ec2.describe_instance_types(MaxResults=100)
    want(len(page["InstanceTypes"]) == 100 and page.get("NextToken"), f"{len(page['InstanceTypes'])} at once")


@case
def offerings_are_told_by_zone(world):
    named = [{"Name": "instance-type", "Values": ["m5.large"]}]
    answer = world.ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=named)
    zones = sorted(one["Location"] for one in answer["InstanceTypeOfferings"])
    want(zones == [REGION + letter for letter in "abcd"], f"{zones}")


@case
def spot_has_a_price_in_each_zone(world):
    answer = world.ec2.describe_spot_price_history(InstanceTypes=["m5.large"], ProductDescriptions=["Linux/UNIX"])
    zones = {one["AvailabilityZone"] for one in answer["SpotPriceHistory"]}
    want(zones == {REGION + letter for letter in "abcd"}, f"{zones}")
    want(all(float(one["SpotPrice"]) > 0 for one in answer["SpotPriceHistory"]), "a price that is none")


@case
def a_template_is_made_once_and_found_by_name_and_tag(world):
    name = world.make_template()
    data = {"ImageId": world.image}
    again = {"LaunchTemplateName": name, "LaunchTemplateData": data}
    refused(world.ec2.create_launch_template, "InvalidLaunchTemplateName.AlreadyExistsException", **again)
    found = world.ec2.describe_launch_templates(LaunchTemplateNames=[name])["LaunchTemplates"]
    want([one["LaunchTemplateName"] for one in found] == [name], "by name")
    found = world.ec2.describe_launch_templates(Filters=[{"Name": "tag:suite", "Values": [name]}])["LaunchTemplates"]
    want([one["LaunchTemplateName"] for one in found] == [name], "by tag")
    world.ec2.delete_launch_template(LaunchTemplateName=name)
    unknown = "InvalidLaunchTemplateName.NotFoundException"
    refused(world.ec2.describe_launch_templates, unknown, LaunchTemplateNames=[name])


@case
def a_template_that_is_not_there_cannot_be_deleted(world):
    unknown = "InvalidLaunchTemplateName.NotFoundException"
    refused(world.ec2.delete_launch_template, unknown, LaunchTemplateName="suite/none")


@case
def a_dry_run_changes_nothing_and_says_that_it_would(world):
    name, data = world.name(), {"ImageId": world.image}
    dry = {"LaunchTemplateName": name, "LaunchTemplateData": data, "DryRun": True}
    refused(world.ec2.create_launch_template, "DryRunOperation", **dry)
    refused(world.fleet, "DryRunOperation", overrides=["m5.large/a"], tag="dry", DryRun=True)
    time.sleep(1)
    want(world.found("tag:case", "dry") == [], "a machine was bought")


@case
def a_fleet_names_its_template_as_ec2_does(world):
    refused(world.fleet, "InvalidLaunchTemplateName.NotFoundException", overrides=["m5.large/a"], template="suite/none")


@case
def a_machine_is_where_and_what_it_was_ordered_as(world):
    bought = world.machine("m5.xlarge/b", tag="ordered")
    machine = world.listed(bought)
    want(machine["InstanceType"] == "m5.xlarge" and machine["ImageId"] == world.image, "type and image")
    want(machine["SubnetId"] == world.subnets["b"], "subnet")
    want(machine["Placement"]["AvailabilityZone"] == f"{REGION}b", "zone")
    want({"Key": "case", "Value": "ordered"} in machine["Tags"], "tags")
    want(machine["PrivateIpAddress"].count(".") == 3, "address")


@case
def a_machine_pends_before_it_runs(world):
    bought = world.machine(tag="pends")
    want(world.listed(bought)["State"]["Name"] == "pending", world.listed(bought)["State"]["Name"])
    world.until(bought, "running")


@case
def machines_of_one_override_are_told_together(world):
    told = world.fleet(["m5.large/a"], n=3)["Instances"]
    want([len(group["InstanceIds"]) for group in told] == [3], f"{len(told)} groups")


@case
def a_token_buys_once(world):
    order = {"overrides": ["m5.large/a"], "ClientToken": "suite-once"}
    first, again = world.fleet(**order), world.fleet(**order)
    want(first["Instances"][0]["InstanceIds"] == again["Instances"][0]["InstanceIds"], "bought twice")


@case
def a_token_with_other_parameters_is_refused(world):
    world.fleet(["m5.large/a"], ClientToken="suite-other")
    refused(world.fleet, "IdempotentParameterMismatch", overrides=["m5.large/b"], ClientToken="suite-other")


@case
def an_unknown_type_is_an_error_of_its_pool(world):
    fleet = world.fleet(["zz9.large/a"])
    want(fleet["Instances"] == [] and codes(fleet) == {"zz9.large": "InvalidParameterValue"}, f"{codes(fleet)}")


@case
def a_type_without_a_match_in_architecture_is_an_error_of_its_pool(world):
    fleet = world.fleet(["m6g.large/a"])
    want(fleet["Instances"] == [] and codes(fleet) == {"m6g.large": "InvalidParameterValue"}, f"{codes(fleet)}")


@case
def a_machine_takes_an_address_of_its_subnet(world):
    def free():
        return world.ec2.describe_subnets(SubnetIds=[world.subnets["c"]])["Subnets"][0]["AvailableIpAddressCount"]

    before = free()
    world.fleet(["m5.large/c"], n=2)
    want(free() == before - 2, f"{before} before, {free()} after")


@case
def addresses_are_free_again_once_a_machine_is_gone(world):
    def free():
        return world.ec2.describe_subnets(SubnetIds=[world.subnets["d"]])["Subnets"][0]["AvailableIpAddressCount"]

    before = free()
    bought = world.machine("m5.large/d")
    world.ec2.terminate_instances(InstanceIds=[bought])
    world.until(bought, "terminated")
    want(free() == before, f"{before} before, {free()} after")


@case
def machines_are_found_by_tag_state_and_place(world):
    bought = world.machine("m5.large/b", tag="found")
    world.until(bought, "running")
    want(world.found("tag:case", "fou*") == [bought], "by a value with a star")
    want(bought in world.found("tag-key", "case"), "by a key")
    want(bought in world.found("instance-state-name", "running", "pending"), "by states")
    want(bought in world.found("subnet-id", world.subnets["b"]), "by subnet")
    want(bought not in world.found("availability-zone", f"{REGION}a"), "by another zone")


@case
def machines_are_found_by_lifecycle(world):
    spot, other = world.machine(lifecycle="spot"), world.machine()
    found = world.found("instance-lifecycle", "spot")
    want(spot in found and other not in found, "spot and nothing else")


@case
def one_unknown_id_keeps_all_others_running(world):
    bought = world.machine()
    ids = [bought, "i-0123456789abcdef9"]
    refused(world.ec2.terminate_instances, "InvalidInstanceID.NotFound", InstanceIds=ids)
    want(world.listed(bought)["State"]["Name"] in ("pending", "running"), "it was ended")
    refused(world.ec2.terminate_instances, "DryRunOperation", InstanceIds=[bought], DryRun=True)
    told = world.ec2.terminate_instances(InstanceIds=[bought])["TerminatingInstances"][0]
    want(told["CurrentState"]["Name"] == "shutting-down", told["CurrentState"]["Name"])
    world.until(bought, "terminated")


@case
def a_malformed_id_is_told_as_such(world):
    refused(world.ec2.describe_instances, "InvalidInstanceID.Malformed", InstanceIds=["i-xyz"])


@case
def tags_can_be_changed(world):
    bought = world.machine()
    world.ec2.create_tags(Resources=[bought], Tags=[{"Key": "Name", "Value": "one"}])
    world.ec2.create_tags(Resources=[bought], Tags=[{"Key": "Name", "Value": "two"}])
    want(world.found("tag:Name", "two") == [bought] and world.found("tag:Name", "one") == [], "the last value counts")


@case
def tags_go_on_nothing_that_is_not_there(world):
    tags = [{"Key": "Name", "Value": "one"}]
    refused(world.ec2.create_tags, "InvalidInstanceID.NotFound", Resources=["i-0123456789abcdef9"], Tags=tags)


@case
def capacity_reservations_can_be_listed(world):
    active = [{"Name": "state", "Values": ["active"]}]
    want(world.ec2.describe_capacity_reservations(Filters=active)["CapacityReservations"] == [], "there are some")


@case
def placement_groups_can_be_listed(world):
    want(world.ec2.describe_placement_groups()["PlacementGroups"] == [], "there are some")


@case
def a_profile_holds_one_role_and_goes_when_it_is_empty(world):
    iam, name = world.iam, "suite-profile"
    iam.create_instance_profile(InstanceProfileName=name, Path="/suite/")
    refused(iam.create_instance_profile, "EntityAlreadyExists", InstanceProfileName=name)
    held = {"InstanceProfileName": name, "RoleName": "KarpenterNodeRole-demo"}
    iam.add_role_to_instance_profile(**held)
    refused(iam.add_role_to_instance_profile, "LimitExceeded", **held)
    profile = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    want([role["RoleName"] for role in profile["Roles"]] == ["KarpenterNodeRole-demo"], "its role")
    want(profile["Path"] == "/suite/", "its path")
    refused(iam.delete_instance_profile, "DeleteConflict", InstanceProfileName=name)
    iam.remove_role_from_instance_profile(**held)
    iam.delete_instance_profile(InstanceProfileName=name)
    refused(iam.get_instance_profile, "NoSuchEntity", InstanceProfileName=name)


@case
def profiles_are_found_by_their_path(world):
    for name, path in [("suite-a", "/suite/a/"), ("suite-b", "/suite/b/")]:
        world.iam.create_instance_profile(InstanceProfileName=name, Path=path)
    found = world.iam.list_instance_profiles(PathPrefix="/suite/a/")["InstanceProfiles"]
    want([one["InstanceProfileName"] for one in found] == ["suite-a"], f"{len(found)} found")


@case
def the_queue_is_found_and_an_empty_one_has_no_messages(world):
    url = world.sqs.get_queue_url(QueueName="demo")["QueueUrl"]
    answer = world.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0, VisibilityTimeout=1)
    want(len(answer.get("Messages", [])) <= 10, "more than ten at once")
    missing = world.sqs.exceptions.QueueDoesNotExist
    try:
        world.sqs.get_queue_url(QueueName="none")
    except missing:
        return
    raise Wrong("a queue that is not there was found")


@case
def a_parameter_that_is_not_there_is_told_as_such(world):
    refused(world.ssm.get_parameter, "ParameterNotFound", Name="/suite/none")


@case
def prices_can_be_listed(world):
    fields = {"regionCode": REGION, "operatingSystem": "Linux", "tenancy": "Shared", "productFamily": "Compute Instance"}
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in fields.items()]
    page = world.pricing.get_products(ServiceCode="AmazonEC2", Filters=filters, MaxResults=10)
    want(len(page["PriceList"]) == 10 and page.get("NextToken"), f"{len(page['PriceList'])} at once")


def main():
    name, endpoint = sys.argv[1], sys.argv[2]
    known = KNOWN if name == "moto" else {}
    unknown = set(KNOWN) - {check.__name__ for check in CASES}
    want(not unknown, f"KNOWN names cases that are not there: {sorted(unknown)}")
    world, n_passed, n_failed = World(name, endpoint), 0, 0
    for check in CASES:
        case_name = check.__name__
        try:
            check(world)
            failure = None
        except (Wrong, BotoCoreError, ClientError, ResponseParserError, LookupError, TypeError, ValueError) as error:
            failure = f"{type(error).__name__}: {error}".split("\n")[0][:200]
        if (failure is not None) == (case_name in known):
            n_passed += 1
            note = f" (a known defect of moto: it {known[case_name]})" if failure else ""
            print(f"{name}: {case_name} ... ok{note}")
        else:
            n_failed += 1
            print(f"{name}: {case_name} ... FAILED: {failure or 'it is on the list of known defects, and is none'}")
    print(f"{name}: {n_passed} passed, {n_failed} failed")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
