"""Waivers: rules of cdk-nag that a construct of the stack does not follow, each with its reason."""

import re
from dataclasses import dataclass
from typing import cast

from aws_cdk import Acknowledgment, CfnElement, Stack, Validations
from constructs import IConstruct

from infra.broker import LOGS
from infra.settings import StackSettings

NOT_LOGGED = (
    "keys and paths hold batch ids, and whoever knows one may read the batch: access logs would be "
    "a list of keys to everybody's images"
)
# The finding for a grant on all resources; `grants.ON_ALL` lists our own with their reasons.
EVERYTHING = ("Resource::*",)
SCRATCH = "Resource::<{Buckets/Uploads}.Arn>/scratch/*"
UPLOADS = "Resource::<{Buckets/Uploads}.Arn>/uploads/*"
RESULTS = "Resource::<{Buckets/Results}.Arn>/files/*"
INDEXES = "Resource::<{Table/Jobs}.Arn>/index/*"
GROUP = (
    "Resource::arn:<AWS::Partition>:autoscaling:<AWS::Region>:<AWS::AccountId>:autoScalingGroup:*:"
    "autoScalingGroupName/{name}-workers"
)
AWS_POLICY = "Policy::arn:<AWS::Partition>:iam::aws:policy/"
BASIC = "service-role/AWSLambdaBasicExecutionRole"

# CDK's own functions: one sets the retention of logs, the other copies the site's files.
LOG_RETENTION = "LogRetention"
DEPLOYMENT = "Custom::CDKBucketDeployment"
OF_CDK = "made by CDK itself for a deployment; it runs with no other rights at any other time"


@dataclass(frozen=True)
class Waiver:
    """A rule that the constructs below a path do not follow.

    Attributes
    ----------
    path : str
        Path of the construct below the stack.
    rule : str
        Id of the rule.
    reason : str
        Why the rule is not followed.
    findings : tuple of str
        The only findings that are waived, for rules that report each finding separately.
        ``{name}`` stands for the name of the app; any other path in braces is that of a construct
        and stands for its logical id in the template.
    only : str
        ``broker`` or ``host`` for a waiver of stacks with Amazon MQ and a group of workers, or with
        one host; ``hosts`` for one of stacks whose workers share images; empty for one of all.
    """

    path: str
    rule: str
    reason: str
    findings: tuple[str, ...] = ()
    only: str = ""

    def applies(self, settings: StackSettings) -> bool:
        """Return whether a stack has what the waiver is for."""
        if self.only == "hosts":
            return settings.hosts_max > 1
        return self.only in ("", "host" if settings.on_host else "broker")


WAIVERS = (
    Waiver("Buckets", "AwsSolutions-S1", NOT_LOGGED),
    Waiver("Site", "AwsSolutions-S1", NOT_LOGGED),
    Waiver("Site", "AwsSolutions-CFR3", NOT_LOGGED),
    Waiver("Site", "AwsSolutions-CFR1", "the app is for visitors from everywhere"),
    Waiver(
        "Site",
        "AwsSolutions-CFR2",
        "a firewall before CloudFront lies in us-east-1, in a stack of its own; the API has a rate "
        "rule of its own (firewall_requests), and the page is a few kilobytes from a cache",
    ),
    Waiver(
        "Site",
        "AwsSolutions-CFR4",
        "without a domain of one's own CloudFront serves its default certificate, whose lowest "
        "version cannot be set; with a domain it is TLS 1.2",
    ),
    Waiver(
        "Broker",
        "AwsSolutions-SMG4",
        "the broker's only user is its administrator, and Amazon MQ cannot change the password of "
        "a user without a restart: it is renewed by an operator, at a time of their choice",
        only="broker",
    ),
    Waiver(
        "Api",
        "AwsSolutions-SMG4",
        "CloudFront's header changes with a deployment only, and the text proves no more than that "
        "a request came by CloudFront: replace the secret and deploy to renew it",
    ),
    Waiver(
        "Workers",
        "AwsSolutions-SMG4",
        "workers read it when they start, and two that differ would not work together: replace the "
        "secret and deploy to renew it",
        only="hosts",
    ),
    Waiver(
        "Workers",
        "AwsSolutions-AS3",
        "nodes come and go with every batch, which is no news; the dashboard shows them, and "
        "alarms tell when none comes",
        only="broker",
    ),
    Waiver(
        "Workers",
        "AwsSolutions-EC26",
        "the rule cannot read a group with mixed instances; the template's volume is encrypted",
        only="broker",
    ),
    Waiver(
        "Workers",
        "AwsSolutions-EC29",
        "the only instance: a deployment may replace it, and nothing on its disk is needed then",
        only="host",
    ),
    Waiver(
        "Workers",
        "AwsSolutions-IAM4",
        "Session Manager's own policy, which AWS keeps in step with the agent: a shell on a node "
        "without keys or open ports",
        (f"{AWS_POLICY}AmazonSSMManagedInstanceCore",),
    ),
    *(
        Waiver(path, "AwsSolutions-IAM5", reason, findings)
        for path in ("Api", "Workers")
        for reason, findings in (
            ("what AWS knows no resource for: listed with reasons in infra/grants.py", EVERYTHING),
            ("objects below one prefix of our own bucket", (UPLOADS, RESULTS)),
        )
    ),
    Waiver(
        "Workers",
        "AwsSolutions-IAM5",
        "objects below one prefix of our own bucket",
        (SCRATCH,),
    ),
    *(
        Waiver(
            path,
            "AwsSolutions-IAM5",
            "a part of a group's ARN is a number of AWS's own",
            (GROUP,),
            only="broker",
        )
        for path in ("Api", "Workers")
    ),
    Waiver(
        "Api",
        "AwsSolutions-IAM5",
        "instances of the host's name alone, which a condition says; its id changes",
        ("Resource::arn:<AWS::Partition>:ec2:<AWS::Region>:<AWS::AccountId>:instance/*",),
        only="host",
    ),
    Waiver(
        "Workers",
        "AwsSolutions-IAM5",
        "the two indexes of our own table",
        (INDEXES,),
        only="host",
    ),
    Waiver(
        "Api",
        "AwsSolutions-IAM5",
        "the two indexes of our own table",
        (INDEXES,),
    ),
    *(
        Waiver(path, "AwsSolutions-IAM4", OF_CDK, (f"{AWS_POLICY}{BASIC}",), only)
        for path, only in ((LOG_RETENTION, "broker"), (DEPLOYMENT, ""))
    ),
    Waiver(
        LOG_RETENTION,
        "AwsSolutions-IAM5",
        OF_CDK,
        (
            *EVERYTHING,
            *(
                "Resource::arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:"
                f"/aws/amazonmq/broker/<{{Broker/RabbitMQ}}.Id>/{log}:*"
                for log in LOGS
            ),
        ),
        only="broker",
    ),
    Waiver(DEPLOYMENT, "AwsSolutions-L1", OF_CDK),
    Waiver(
        DEPLOYMENT,
        "AwsSolutions-IAM5",
        OF_CDK,
        (
            *EVERYTHING,
            *(f"Action::s3:{each}*" for each in ("GetObject", "GetBucket", "List")),
            *(f"Action::s3:{each}*" for each in ("DeleteObject", "Abort")),
            "Resource::<{Site/Pages}.Arn>/*",
            "Resource::arn:<AWS::Partition>:s3:::cdk-hnb659fds-assets-<AWS::AccountId>-"
            "<AWS::Region>/*",
        ),
    ),
)


def acknowledge(stack: Stack, settings: StackSettings) -> None:
    """Acknowledge the waivers in the stack, so that its checks report only other findings."""
    for waiver in WAIVERS:
        if not waiver.applies(settings):
            continue
        Validations.of(find_construct(stack, waiver.path)).acknowledge(
            *(
                Acknowledgment(id=rule, reason=waiver.reason)
                for rule in rule_ids(waiver, stack, settings)
            )
        )


def waived(stack: Stack, settings: StackSettings) -> list[tuple[str, str]]:
    """Return the waived rules, each with the id of the construct that does not follow it."""
    return [
        (rule, find_construct(stack, waiver.path).node.id)
        for waiver in WAIVERS
        if waiver.applies(settings)
        for rule in rule_ids(waiver, stack, settings)
    ]


def rule_ids(waiver: Waiver, stack: Stack, settings: StackSettings) -> list[str]:
    """Return the ids under which the checks report a waiver: one per finding, or the rule's id."""
    if not waiver.findings:
        return [waiver.rule]
    return [
        insert_names(stack, f"{waiver.rule}[{finding}]", settings.name)
        for finding in waiver.findings
    ]


def insert_names(stack: Stack, finding: str, name: str) -> str:
    """Replace the braces of a finding by the app's name and by logical ids of the template."""

    def logical_id(found: re.Match[str]) -> str:
        construct = find_construct(stack, found[1])
        return stack.get_logical_id(cast(CfnElement, construct.node.default_child or construct))

    return re.sub(r"\{([^}]+)\}", logical_id, finding.replace("{name}", name))


def find_construct(stack: Stack, path: str) -> IConstruct:
    """Return the construct at a path below the stack.

    A name matches exactly, or as the beginning of an id: CDK appends a hash to its own ids.
    """
    found: IConstruct = stack
    for name in path.split("/"):
        exact = found.node.try_find_child(name)
        found = exact or next(each for each in found.node.children if each.node.id.startswith(name))
    return found
