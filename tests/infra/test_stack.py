"""The CloudFormation template of `cdk synth`, for two sizes and for other settings."""

import json
import os
import re
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from aws_cdk import App

from config.contract import resources
from config.contract.settings import TOP
from config.contract.visitor import ADDRESS_HEADER, KEY_HEADER
from infra import rules
from infra import settings as room
from infra.broker import configuration_of
from infra.grants import ON_ALL
from infra.headers import API_POLICY, FILE_POLICY, HEADERS, site_policy
from infra.stack import add_stack

pytestmark = pytest.mark.slow

CFN_LINT = str(Path(sys.executable).with_name("cfn-lint"))


class Template:
    """A synthesised template: its resources, its outputs and its folder."""

    def __init__(self, folder, **context):
        app = App(outdir=str(folder))
        settings = room.load(context.get, {})
        self.stack = add_stack(app, settings)
        app.synth()
        self.folder = folder
        self.path = folder / f"{settings.name}.template.json"
        self.resources = json.loads(self.path.read_text())["Resources"]
        self.outputs = json.loads(self.path.read_text())["Outputs"]

    def all(self, kind):
        return {
            name: each.get("Properties", {})
            for name, each in self.resources.items()
            if each["Type"] == kind
        }

    def one(self, kind, start=""):
        found = {name: each for name, each in self.all(kind).items() if name.startswith(start)}
        assert len(found) == 1, (kind, list(found))
        return next(iter(found.values()))

    def statements(self, start):
        """Yield the policy statements of the constructs whose names begin with `start`."""
        policies = list(self.all("AWS::IAM::Policy").items())
        for name, role in self.all("AWS::IAM::Role").items():
            policies += [(name, policy) for policy in role.get("Policies", ())]
        for name, policy in policies:
            if name.startswith(start):
                yield from policy["PolicyDocument"]["Statement"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return Template(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    return Template(
        tmp_path_factory.mktemp("production"),
        size="production",
        egress="endpoints",
        domain="images.example.org",
        certificate="arn:aws:acm:us-east-1:123456789012:certificate/0a1b",
        alarm_mail="ops@example.org",
    )


@pytest.fixture(params=["small", "production"])
def template(request):
    return request.getfixturevalue(request.param)


def test_the_template_passes_cfn_lint(template):
    # W3005: BucketDeployment and similar constructs name a dependency twice.
    command = [CFN_LINT, "--ignore-checks", "W3005", "--", template.path]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (found.returncode, found.stdout) == (0, "")


def test_every_rule_of_cdk_nag_is_followed_or_waived_with_a_reason(template):
    report = template.folder / "validation-report.json"
    assert not report.exists() or not violations(report)


def test_every_waiver_is_of_something_that_the_rules_find(tmp_path, monkeypatch):
    waived = []
    monkeypatch.setattr(rules, "acknowledge", lambda *of: waived.extend(rules.waived(*of)))
    with pytest.raises(RuntimeError, match="wildcard permissions"):
        Template(tmp_path)
    assert violations(tmp_path / "validation-report.json") == set(waived)


def violations(report):
    """Return pairs of a rule and a construct that breaks it, from a report of CDK's validation."""
    return {
        (each["ruleName"], found["constructPath"].split("/")[1])
        for plugin in json.loads(report.read_text())["pluginReports"]
        for each in plugin["violations"]
        for found in each["violatingConstructs"]
    }


def test_nothing_lets_the_world_in(template):
    groups = template.all("AWS::EC2::SecurityGroup").values()
    rules = [rule for group in groups for rule in group.get("SecurityGroupIngress", ())]
    rules += template.all("AWS::EC2::SecurityGroupIngress").values()
    assert rules
    assert not [rule for rule in rules if "CidrIp" in rule or "CidrIpv6" in rule]


def actions_of(statement):
    actions = statement["Action"]
    return {actions} if isinstance(actions, str) else set(actions)


def test_what_is_granted_on_everything_is_named_with_its_reason(template):
    for start in ("Api", "Workers"):
        granted = set()
        for statement in template.statements(start):
            actions = actions_of(statement)
            assert not [action for action in actions if "*" in action]
            if statement["Resource"] == "*":
                granted |= actions
        assert granted
        assert granted <= set(ON_ALL)


def test_figures_may_be_published_in_our_namespace_only(template):
    statements = [
        each for each in template.statements("Api") if "PutMetricData" in str(each["Action"])
    ]
    assert [each["Condition"] for each in statements] == [
        {"StringEquals": {"cloudwatch:namespace": "dip"}}
    ]


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
        assert {each.get("ExpirationInDays") for each in rules} == {8, None}
        aborted = [each.get("AbortIncompleteMultipartUpload") for each in rules]
        assert {"DaysAfterInitiation": 1} in aborted


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


@pytest.mark.parametrize("start", ["Api", "Workers"])
def test_every_request_to_the_table_is_granted_to_who_makes_it(template, start):
    access = TOP / "config" / "contract" / "table_access.py"
    granted = set().union(*map(actions_of, template.statements(start)))
    called = set(re.findall(r"\bclient\.([a-z_]+)\b", access.read_text()))
    assert {"batch_get_item", "transact_write_items"} <= called
    # A transaction is granted through each of its writes.
    writes = {"ConditionCheckItem", "PutItem", "UpdateItem", "DeleteItem"}
    wanted = {each.title().replace("_", "") for each in called - {"transact_write_items"}} | writes
    assert {f"dynamodb:{each}" for each in wanted} <= granted


# The S3 actions that each method of boto3's client needs, by AWS's service authorization reference.
S3_ACTIONS = {
    "abort_multipart_upload": {"AbortMultipartUpload"},
    "complete_multipart_upload": {"PutObject"},
    "create_multipart_upload": {"PutObject"},
    "delete_objects": {"DeleteObject"},
    "generate_presigned_post": {"PutObject"},
    "generate_presigned_url": {"PutObject"},
    "get_object": {"GetObject"},
    "head_bucket": {"ListBucket"},
    "head_object": {"GetObject"},
    "list_multipart_uploads": {"ListBucketMultipartUploads"},
    "list_objects_v2": {"ListBucket"},
    "list_parts": {"ListMultipartUploadParts"},
    "put_object": {"PutObject"},
    "upload_file": {"PutObject", "AbortMultipartUpload"},
}


@pytest.mark.parametrize(
    ("start", "folder", "client"),
    [("Api", "api/chalicelib", r"s3\w*"), ("Workers", "cluster_worker/node", "client")],
)
def test_every_request_to_s3_is_granted_to_who_makes_it(template, start, folder, client):
    granted = set().union(*map(actions_of, template.statements(start)))
    source = "\n".join(path.read_text() for path in (TOP / folder).glob("*.py"))
    called = set(re.findall(rf"\b{client}\.([a-z_0-9]+)\(", source)) - {"get_paginator"}
    called |= set(re.findall(r'get_paginator\(\s*"(\w+)"', source))
    others = {"describe_auto_scaling_groups", "put_metric_data", "set_desired_capacity"}
    wanted = set().union(*(S3_ACTIONS[each] for each in called - others))
    assert {"PutObject", "GetObject"} <= wanted
    assert {f"s3:{each}" for each in wanted} <= granted


def test_the_broker_is_private_and_speaks_tls_to_api_and_workers_alone(template):
    broker = template.one("AWS::AmazonMQ::Broker")
    assert broker["PubliclyAccessible"] is False
    assert (broker["EngineType"], broker["EngineVersion"]) == ("RABBITMQ", "4.2")
    assert broker["HostInstanceType"].startswith("mq.m7g.")
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
    assert {each.name for each in folder.iterdir()} <= {"cluster_worker", "config", ".dockerignore"}


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
    for start in ("DeadLetters", "OldestWaiting", "Errors", "NoConsumer", "NoFigures"):
        assert [name for name in texts if name.startswith(f"Watch{start}")], start
    assert all("Runbook" in text for text in texts.values())
    guide = (TOP / "docs" / "operators.md").read_text()
    for number in range(1, 6):
        assert [text for text in texts.values() if f"Runbook {number}" in text]
        assert f"Runbook {number}" in guide
    assert template.one("AWS::Budgets::Budget")


def test_synthesis_leaves_the_environment_as_it_was(small):
    assert "BROKER_SECRET" not in os.environ


def test_the_addresses_are_told(template):
    assert {"SiteUrl", "ApiUrl", "DashboardUrl", "DeadLettersFunction"} <= set(template.outputs)


def test_small_and_production_differ_as_meant(small, production):
    def kinds(template):
        return Counter(each["Type"] for each in template.resources.values())

    more = kinds(production) - kinds(small)
    fewer = kinds(small) - kinds(production)
    # A firewall, a mail, endpoints in place of NAT; no bucket is emptied with the stack.
    assert set(more) == {
        "AWS::WAFv2::WebACL",
        "AWS::WAFv2::WebACLAssociation",
        "AWS::SNS::Subscription",
        "AWS::EC2::VPCEndpoint",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::SecurityGroupIngress",
    }
    assert {"AWS::EC2::NatGateway", "Custom::S3AutoDeleteObjects"} <= set(fewer)
    assert small.one("AWS::AmazonMQ::Broker")["DeploymentMode"] == "SINGLE_INSTANCE"
    assert production.one("AWS::AmazonMQ::Broker")["DeploymentMode"] == "CLUSTER_MULTI_AZ"
    assert [
        template.one("AWS::AutoScaling::AutoScalingGroup")["MaxSize"]
        for template in (small, production)
    ] == ["2", "10"]
    for template, kept in ((small, "Delete"), (production, "Retain")):
        for kind in ("AWS::DynamoDB::Table", "AWS::AmazonMQ::Broker"):
            (found,) = [each for each in template.resources.values() if each["Type"] == kind]
            if kept == "Retain":
                assert found["DeletionPolicy"].startswith("Retain")
            else:
                assert found.get("DeletionPolicy", "Delete") == "Delete"


def test_the_same_settings_give_the_same_template(small, tmp_path):
    again = Template(tmp_path)
    assert again.resources == small.resources


# The functions' code


def code_of(template):
    """Return the path of the zip that Lambda gets."""
    for path in template.folder.glob("asset.*.zip"):
        with zipfile.ZipFile(path) as package:
            if "app.py" in package.namelist():
                return path
    raise AssertionError("no zip holds app.py")


def test_the_functions_code_is_the_app_its_configuration_and_two_libraries(small):
    with zipfile.ZipFile(code_of(small)) as package:
        names = package.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"app.py", "chalice", "chalicelib", "config", "fastjsonschema", "pika"}
    assert "config/contract/catalogue.json" in names
    ours = {name for name in names if name.startswith(("chalicelib/", "config/"))}
    assert all(name.endswith((".py", "catalogue.json")) for name in ours), ours
    assert code_of(small).stat().st_size <= 2 * 1024 * 1024


def test_the_functions_code_answers_without_numpy(small, tmp_path):
    """Run it with what Lambda itself has: the standard library and boto3."""
    with zipfile.ZipFile(code_of(small)) as package:
        package.extractall(tmp_path / "task")
    site = next(path for path in map(str, sys.path) if path.endswith("site-packages"))
    lambdas = tmp_path / "runtime"
    lambdas.mkdir()
    for name in ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3"):
        (lambdas / name).symlink_to(f"{site}/{name}")
    (lambdas / "six.py").symlink_to(f"{site}/six.py")
    event = {
        "requestContext": {
            "httpMethod": "GET",
            "resourcePath": "/operations",
            "path": "/api/operations",
            "stage": "api",
            "identity": {"sourceIp": "192.0.2.1"},
        },
        "path": "/operations",
        "headers": {},
        "multiValueHeaders": {},
        "pathParameters": None,
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "stageVariables": None,
        "body": None,
        "isBase64Encoded": False,
    }
    code = f"""
import importlib.util, json, sys, time
sys.path[:0] = [{str(tmp_path / "task")!r}, {str(lambdas)!r}]
began = time.perf_counter()
import app
seconds = time.perf_counter() - began
assert importlib.util.find_spec("numpy") is None
answer = app.app({event!r}, None)
body = json.loads(answer["body"])
print(json.dumps([answer["statusCode"], len(body["operations"]), seconds]))
"""
    environment = {
        "UPLOADS_BUCKET": "u",
        "RESULTS_BUCKET": "r",
        "BROKER_URL": "amqp://b/",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    base = sys.base_prefix + "/bin/python3"
    found = subprocess.run(
        [base, "-S", "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.returncode == 0, found.stderr
    status, operations, seconds = json.loads(found.stdout)
    sys.stdout.write(f"the functions' code imports in {seconds:.2f} s\n")
    catalogue = json.loads((TOP / "config" / "contract" / "catalogue.json").read_text())
    assert (status, operations) == (200, len(catalogue["operations"]))
