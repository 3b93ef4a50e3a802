"""The CloudFormation template of `cdk synth`, for two sizes and for other settings."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from config.contract import resources
from config.contract.settings import TOP
from config.contract.visitor import ADDRESS_HEADER, KEY_HEADER
from infra.broker import configuration_of
from infra.cost import ALARM_METRICS
from infra.headers import API_POLICY, FILE_POLICY, HEADERS, site_policy
from tests.infra.template import violations

pytestmark = pytest.mark.slow

CFN_LINT = str(Path(sys.executable).with_name("cfn-lint"))


def test_the_templates_pass_cfn_lint(small, production, sharing):
    # W3005: BucketDeployment and similar constructs name a dependency twice. W3010: the operator
    # may choose the zones.
    paths = [str(template.path) for template in (small, production, sharing)]
    command = [CFN_LINT, "--ignore-checks", "W3005", "W3010", "--", *paths]
    found = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert (found.returncode, found.stdout) == (0, "")


def test_every_rule_of_cdk_nag_is_followed_or_waived_with_a_reason(template):
    report = template.folder / "validation-report.json"
    assert not report.exists() or not violations(report)


def test_every_waiver_is_of_something_that_the_rules_find(unwaived):
    folder, waived = unwaived
    assert violations(folder / "validation-report.json") == set(waived)


def test_nothing_lets_the_world_in(template):
    groups = template.all("AWS::EC2::SecurityGroup").values()
    rules = [rule for group in groups for rule in group.get("SecurityGroupIngress", ())]
    rules += template.all("AWS::EC2::SecurityGroupIngress").values()
    assert rules
    assert not [rule for rule in rules if "CidrIp" in rule or "CidrIpv6" in rule]


def test_every_bucket_is_private_encrypted_and_reached_by_tls_only(template):
    buckets = template.all("AWS::S3::Bucket")
    assert len(buckets) == 3
    for bucket in buckets.values():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["BucketEncryption"]
    policies = template.all("AWS::S3::BucketPolicy").values()
    denied = [
        statement["Condition"]
        for policy in policies
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
    ]
    assert denied.count({"Bool": {"aws:SecureTransport": "false"}}) == 3


def test_images_go_after_their_days_and_abandoned_parts_after_one(template):
    for start in ("BucketsUploads", "BucketsResults"):
        rules = template.one("AWS::S3::Bucket", start)["LifecycleConfiguration"]["Rules"]
        assert {each.get("ExpirationInDays") for each in rules if "Prefix" not in each} == {8, None}
        aborted = [each.get("AbortIncompleteMultipartUpload") for each in rules]
        assert {"DaysAfterInitiation": 1} in aborted


def test_what_hosts_leave_for_each_other_goes_after_a_day(template):
    rules = template.one("AWS::S3::Bucket", "BucketsUploads")["LifecycleConfiguration"]["Rules"]
    (rule,) = [each for each in rules if "Prefix" in each]
    assert (rule["Prefix"], rule["ExpirationInDays"]) == (f"{resources.SCRATCH_PREFIX}/", 1)


def test_only_pages_of_the_site_may_upload(small, production):
    rules = production.one("AWS::S3::Bucket", "BucketsUploads")["CorsConfiguration"]["CorsRules"]
    assert [each["AllowedOrigins"] for each in rules] == [["https://images.example.org"]]
    (rule,) = small.one("AWS::S3::Bucket", "BucketsUploads")["CorsConfiguration"]["CorsRules"]
    (origin,) = rule["AllowedOrigins"]
    assert "Distribution" in str(origin)
    assert "*" not in str(origin)


def test_the_table_is_the_one_that_the_code_knows(template):
    table = template.one("AWS::DynamoDB::Table")
    schema = resources.TABLE_SCHEMA
    assert table["KeySchema"] == schema["KeySchema"]
    assert table["BillingMode"] == schema["BillingMode"]
    assert table["GlobalSecondaryIndexes"] == schema["GlobalSecondaryIndexes"]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True


def test_the_broker_is_private_and_speaks_tls_to_api_and_workers_alone(template):
    broker = template.one("AWS::AmazonMQ::Broker")
    assert broker["PubliclyAccessible"] is False
    # RabbitMQ 4 is for m7g alone.
    versions = {"mq.t3.micro": "3.13", "mq.m7g.large": "4.2"}
    assert broker["EngineType"] == "RABBITMQ"
    assert broker["EngineVersion"] == versions[broker["HostInstanceType"]]
    assert broker["Logs"] == {"General": True}
    assert "resolve:secretsmanager" in json.dumps(broker["Users"])
    ports = {
        each["FromPort"]
        for name, each in template.all("AWS::EC2::SecurityGroupIngress").items()
        if name.startswith("NetworkBroker")
    }
    assert ports == {5671}
    assert "consumer_timeout" in json.dumps(template.one("AWS::AmazonMQ::Configuration"))
    # API and workers open more connections than the smallest broker allows by default.
    assert "connection_max = 300" in configuration_of("mq.m7g.medium")
    assert "connection_max" not in configuration_of("mq.m7g.large")
    assert f"max_message_size = {resources.MESSAGE_BYTES_MAX}" in configuration_of("mq.m7g.large")
    # Amazon MQ refuses limits with RabbitMQ 3, where they have their largest values.
    assert configuration_of("mq.t3.micro") == "consumer_timeout = 10800000\n"


def test_workers_scale_from_and_to_zero(template):
    group = template.one("AWS::AutoScaling::AutoScalingGroup")
    assert group["MinSize"] == "0"
    assert "DesiredCapacity" not in group
    down = template.one("AWS::AutoScaling::ScalingPolicy", "WorkersDown")
    assert [each["ScalingAdjustment"] for each in down["StepAdjustments"]] == [0]
    up = template.one("AWS::AutoScaling::ScalingPolicy", "WorkersUp")
    steps = [each["ScalingAdjustment"] for each in up["StepAdjustments"]]
    assert steps == list(range(1, int(group["MaxSize"]) + 1))


def test_a_node_is_kept_until_it_has_drained(template):
    hook = template.one("AWS::AutoScaling::LifecycleHook")
    assert hook["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    assert (hook["LifecycleHookName"], hook["DefaultResult"]) == ("drain", "CONTINUE")


def test_a_node_asks_for_its_metadata_with_a_token_from_within_a_container(template):
    options = template.one("AWS::EC2::LaunchTemplate")["LaunchTemplateData"]["MetadataOptions"]
    assert options == {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}


def test_a_node_is_set_up_by_the_script_that_any_machine_takes(template):
    data = template.one("AWS::EC2::LaunchTemplate")["LaunchTemplateData"]["UserData"]
    text = json.dumps(data)
    assert "/opt/dip/config/worker-node-config.sh --image" in text
    for name in ("BROKER_SECRET", "METADATA_ENDPOINT", "LIFECYCLE_HOOK", "WORKER_GROUP"):
        assert name in text
    (folder,) = [each for each in template.folder.glob("asset.*") if (each / "systemd").is_dir()]
    assert (folder / "worker-node-config.sh").is_file()
    assert not list(folder.rglob("*.py"))


def test_the_worker_image_is_built_from_the_worker_alone(template):
    (folder,) = [
        each for each in template.folder.glob("asset.*") if (each / "cluster_worker").is_dir()
    ]
    # CDK keeps every file whose name is the Dockerfile's, that of the whole app as well.
    names = {each.name for each in folder.iterdir()} - {".dockerignore", "Dockerfile"}
    assert names == {"cluster_worker", "config"}


def test_the_page_has_the_very_headers_that_it_has_on_one_machine(template):
    policies = template.all("AWS::CloudFront::ResponseHeadersPolicy")
    sent = {}
    for name, policy in policies.items():
        found = policy["ResponseHeadersPolicyConfig"]
        security = found["SecurityHeadersConfig"]
        sent[name.removeprefix("Site")[:4]] = security["ContentSecurityPolicy"]
        others = {each["Header"]: each["Value"] for each in found["CustomHeadersConfig"]["Items"]}
        assert others == {name: HEADERS[name] for name in others}
        assert security["ReferrerPolicy"]["ReferrerPolicy"] == HEADERS["Referrer-Policy"]
        assert security["FrameOptions"]["FrameOption"] == HEADERS["X-Frame-Options"]
        assert len(others) + 3 == len(HEADERS)
    assert sent["ApiH"]["ContentSecurityPolicy"] == API_POLICY
    assert sent["File"]["ContentSecurityPolicy"] == FILE_POLICY
    text = written(sent["Page"]["ContentSecurityPolicy"])
    uploads = "https://dip-uploads-<AWS::AccountId>-<AWS::Region>.s3.<AWS::Region>.<AWS::URLSuffix>"
    assert text == site_policy(uploads)


def written(value):
    """Return the text that CloudFormation joins, with references in angle brackets."""
    if isinstance(value, str):
        return value
    if "Ref" in value:
        return f"<{value['Ref']}>"
    separator, values = value["Fn::Join"]
    return separator.join(map(written, values))


def test_results_are_read_by_the_distribution_alone(template):
    policies = template.all("AWS::S3::BucketPolicy")
    (policy,) = [each for name, each in policies.items() if name.startswith("BucketsResults")]
    allowed = [
        (each["Principal"], each["Action"])
        for each in policy["PolicyDocument"]["Statement"]
        if each["Effect"] == "Allow" and "AWS" not in each["Principal"]
    ]
    assert allowed == [({"Service": "cloudfront.amazonaws.com"}, "s3:GetObject")]
    access = template.all("AWS::CloudFront::OriginAccessControl")
    assert len(access) == 2


def test_the_api_is_throttled_and_logs_no_path(template):
    (rule,) = template.one("AWS::Serverless::Api")["MethodSettings"]
    assert rule["ThrottlingRateLimit"] > 0
    assert rule["ThrottlingBurstLimit"] > 0
    assert (rule["LoggingLevel"], rule["DataTraceEnabled"]) == ("OFF", False)


def test_the_address_of_a_visitor_is_the_one_that_cloudfront_saw(small, production):
    for template in (small, production):
        function = template.one("AWS::CloudFront::Function")
        assert '.headers["true-client-ip"] = { value: event.viewer.ip }' in function["FunctionCode"]
        config = template.one("AWS::CloudFront::Distribution")["DistributionConfig"]
        (api,) = (each for each in config["CacheBehaviors"] if each["PathPattern"] == "/api/*")
        (associated,) = api["FunctionAssociations"]
        assert associated["EventType"] == "viewer-request"
        (origin,) = (each for each in config["Origins"] if each["Id"] == api["TargetOriginId"])
        (header,) = origin["OriginCustomHeaders"]
        assert header["HeaderName"] == KEY_HEADER
        assert "resolve:secretsmanager" in json.dumps(header["HeaderValue"])
        handler = template.all("AWS::Serverless::Function")["APIHandler"]
        assert "ORIGIN_SECRET" in handler["Environment"]["Variables"]
    (rule,) = production.one("AWS::WAFv2::WebACL")["Rules"]
    limit = rule["Statement"]["RateBasedStatement"]
    assert limit["ForwardedIPConfig"]["HeaderName"] == ADDRESS_HEADER


def test_the_gateways_own_errors_are_problems(template):
    answers = template.one("AWS::Serverless::Api")["GatewayResponses"]
    assert {"DEFAULT_4XX", "DEFAULT_5XX", "THROTTLED"} <= set(answers)
    for answer in answers.values():
        headers = answer["ResponseParameters"]["Headers"]
        assert headers["Content-Type"] == "'application/problem+json'"
        body = answer["ResponseTemplates"]["application/json"]
        body = json.loads(body.replace("$context.error.messageString", '"said"'))
        assert {"type", "title", "status", "detail"} == set(body)
        assert str(body["status"]) == answer["StatusCode"]


def test_every_function_has_a_log_for_some_days_and_a_limit(template):
    functions = template.all("AWS::Serverless::Function")
    assert set(functions) == {"APIHandler", "Sweep", "Backlog", "DeadLetters"}
    for function in functions.values():
        assert function["LoggingConfig"]["LogGroup"]
        assert function["ReservedConcurrentExecutions"] <= 250
        assert function["VpcConfig"]["SubnetIds"]
        # The password stays in its secret.
        assert "resolve:" not in json.dumps(function["Environment"])
    for log in template.all("AWS::Logs::LogGroup").values():
        assert log["RetentionInDays"] in (30, 90)


def test_both_schedules_run_every_minute(template):
    functions = template.all("AWS::Serverless::Function")
    for name in ("Sweep", "Backlog"):
        (event,) = functions[name]["Events"].values()
        assert event["Properties"]["Schedule"] == "rate(1 minute)"


def test_every_alarm_says_what_to_do(template):
    alarms = template.all("AWS::CloudWatch::Alarm")
    texts = {
        name: each["AlarmDescription"] for name, each in alarms.items() if name.startswith("Watch")
    }
    for start in (
        *("DeadLetters", "OldestWaiting", "Errors", "NoConsumer", "NoFigures"),
        *("FunctionErrors", "FunctionThrottles", "TableThrottles"),
        *("BrokerMemory", "BrokerDisk", "BrokerConnections"),
    ):
        assert [name for name in texts if name.startswith(f"Watch{start}")], start
    assert all("Runbook" in text for text in texts.values())
    guide = (TOP / "docs" / "operators.md").read_text()
    for number in range(1, 10):
        assert [text for text in texts.values() if f"Runbook {number}" in text]
        assert f"Runbook {number}" in guide
    assert template.one("AWS::Budgets::Budget")


def test_the_price_of_the_alarms_counts_the_metrics_that_they_read(template, sharing):
    alarms = template.all("AWS::CloudWatch::Alarm").values()
    metrics = [each.get("Metrics", [{"MetricStat": True}]) for each in alarms]
    read = sum("MetricStat" in each for one in metrics for each in one)
    # One more alarm looks at leases, and `infra.cost` counts it.
    assert read == ALARM_METRICS + (template is sharing)


def test_synthesis_leaves_the_environment_as_it_was(small):
    assert "BROKER_SECRET" not in os.environ


def test_the_addresses_are_told(template):
    assert {"SiteUrl", "ApiUrl", "DashboardUrl", "DeadLettersFunction"} <= set(template.outputs)


def test_a_small_stack_pays_for_no_way_to_aws(small):
    """Workers have public addresses; the API reaches what has no gateway endpoint by IPv6."""
    kinds = Counter(each["Type"] for each in small.resources.values())
    assert not {"AWS::EC2::NatGateway", "AWS::EC2::EIP", "AWS::WAFv2::WebACL"} & set(kinds)
    endpoints = small.all("AWS::EC2::VPCEndpoint").values()
    assert {each["VpcEndpointType"] for each in endpoints} == {"Gateway"}
    (gateway,) = small.all("AWS::EC2::EgressOnlyInternetGateway")
    routes = [
        each
        for each in small.all("AWS::EC2::Route").values()
        if each.get("EgressOnlyInternetGatewayId") == {"Ref": gateway}
    ]
    assert [each["DestinationIpv6CidrBlock"] for each in routes] == ["::/0"] * 2
    subnets = small.all("AWS::EC2::Subnet")
    public = {name for name, each in subnets.items() if each["MapPublicIpOnLaunch"]}
    group = small.one("AWS::AutoScaling::AutoScalingGroup")
    assert {each["Ref"] for each in group["VPCZoneIdentifier"]} == public
    for function in small.all("AWS::Serverless::Function").values():
        assert function["VpcConfig"]["Ipv6AllowedForDualStack"] is True
        assert not {each["Ref"] for each in function["VpcConfig"]["SubnetIds"]} & public
        address = function["Environment"]["Variables"]["AUTOSCALING_ENDPOINT"]
        assert written(address) == "https://autoscaling.<AWS::Region>.api.aws"
    assert {each["Ref"] for each in small.one("AWS::AmazonMQ::Broker")["SubnetIds"]} < (
        set(subnets) - public
    )


def test_small_and_production_differ_as_meant(small, production):
    def kinds(template):
        return Counter(each["Type"] for each in template.resources.values())

    more = kinds(production) - kinds(small)
    fewer = kinds(small) - kinds(production)
    # A firewall, a mail, endpoints; no public subnets, and no bucket is emptied with the stack.
    assert set(more) == {
        "AWS::WAFv2::WebACL",
        "AWS::WAFv2::WebACLAssociation",
        "AWS::SNS::Subscription",
        "AWS::EC2::VPCEndpoint",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::SecurityGroupIngress",
    }
    assert {"AWS::EC2::InternetGateway", "Custom::S3AutoDeleteObjects"} <= set(fewer)
    assert small.one("AWS::AmazonMQ::Broker")["DeploymentMode"] == "SINGLE_INSTANCE"
    assert production.one("AWS::AmazonMQ::Broker")["DeploymentMode"] == "CLUSTER_MULTI_AZ"
    assert [
        template.one("AWS::AutoScaling::AutoScalingGroup")["MaxSize"]
        for template in (small, production)
    ] == ["2", "10"]


def kept(template):
    """List the types of the resources that outlive the stack, each with its policy."""
    return sorted(
        (each["Type"], each["DeletionPolicy"])
        for each in template.resources.values()
        if each.get("DeletionPolicy", "Delete") != "Delete"
    )


def test_data_outlives_a_production_stack_but_not_a_first_create_that_failed(small, production):
    assert kept(small) == []
    policy = "RetainExceptOnCreate"
    logs = len(production.all("AWS::Logs::LogGroup"))
    assert kept(production) == [
        ("AWS::DynamoDB::Table", policy),
        *[("AWS::Logs::LogGroup", policy)] * logs,
        *[("AWS::S3::Bucket", policy)] * 2,
    ]
    # The protection would keep an empty table when a first create fails.
    assert not production.one("AWS::DynamoDB::Table").get("DeletionProtectionEnabled")


def test_names_that_all_regions_share_carry_the_region(template):
    named = {
        "AWS::AmazonMQ::Broker": lambda each: each["BrokerName"],
        "AWS::Budgets::Budget": lambda each: each["Budget"]["BudgetName"],
        "AWS::CloudFront::Function": lambda each: each["Name"],
        "AWS::CloudFront::OriginAccessControl": lambda each: each["OriginAccessControlConfig"][
            "Name"
        ],
        "AWS::CloudFront::ResponseHeadersPolicy": lambda each: each["ResponseHeadersPolicyConfig"][
            "Name"
        ],
        "AWS::CloudWatch::Dashboard": lambda each: each["DashboardName"],
    }
    for kind, name_of in named.items():
        names = [written(name_of(each)) for each in template.all(kind).values()]
        assert names
        assert len(set(names)) == len(names)
        assert all("<AWS::Region>" in name for name in names), names
    assert not [each for each in template.all("AWS::IAM::Role").values() if "RoleName" in each]


def test_alarms_without_an_address_are_told_at_synthesis(small, production):
    def warnings(template):
        return re.findall(r"alarm_mail is not set[^\"\[]+", messages(template))

    assert warnings(production) == []
    (warning,) = warnings(small)
    assert warning.strip() == (
        "alarm_mail is not set, so no mail is sent when an alarm is raised; "
        "deploy with -c alarm_mail=ops@example.org"
    )


def messages(template):
    """Return the warnings of a synthesis, as `cdk` prints them."""
    (path,) = template.folder.glob("*.metadata.json")
    return "\n".join(
        entry["data"]
        for entries in json.loads(path.read_text()).values()
        for entry in entries
        if entry["type"] == "aws:cdk:warning"
    )


def test_the_zones_may_be_chosen(small, production):
    def zones(template):
        return {str(each["AvailabilityZone"]) for each in template.all("AWS::EC2::Subnet").values()}

    assert zones(production) == {"eu-central-1b", "eu-central-1c"}
    assert all("Fn::GetAZs" in each for each in zones(small))


def test_the_same_settings_give_the_same_template(small, unwaived):
    again = json.loads((unwaived[0] / small.path.name).read_text())["Resources"]
    assert without_metadata(again) == without_metadata(small.resources)


def without_metadata(resources):
    """Leave out the metadata, in which a waiver is noted."""
    return {
        name: {key: value for key, value in each.items() if key != "Metadata"}
        for name, each in resources.items()
    }
