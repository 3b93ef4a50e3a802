"""Grants: to a thing, or, where AWS knows no things to name, to all with a reason."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

# What a Lambda function in a network needs, to be given its interface there.
LAMBDA_NETWORK = (
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
)

# The only actions of ours that may be granted on "*", each with its reason; a test holds the
# template against them.
ON_ALL: Mapping[str, str] = {
    "autoscaling:DescribeAutoScalingGroups": "AWS takes no resource for describing groups",
    "cloudwatch:PutMetricData": "AWS takes no resource; the condition names our namespace",
    "ecr:GetAuthorizationToken": "AWS takes no resource; pulling is granted on our repository",
} | dict.fromkeys(LAMBDA_NETWORK, "Lambda makes its interfaces itself and they have no name before")


def allow(role: iam.Role, resource: str, *actions: str) -> None:
    """Let a role do something to one thing."""
    role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=[resource]))


def reach_all(role: iam.Role, *actions: str, conditions: Mapping[str, Any] | None = None) -> None:
    """Let a role do what cannot be granted on one thing."""
    role.add_to_policy(
        iam.PolicyStatement(
            actions=list(actions), resources=["*"], conditions=dict(conditions or {})
        )
    )


def everything(*actions: str) -> iam.PolicyDocument:
    """Build the policy of actions that cannot be granted on one thing."""
    return iam.PolicyDocument(
        statements=[iam.PolicyStatement(actions=list(actions), resources=["*"])]
    )


def group_arn(scope: Construct, group: str) -> str:
    """Give the ARN of an Auto Scaling group by its name; a part of it is AWS's own number."""
    return Stack.of(scope).format_arn(
        service="autoscaling",
        resource="autoScalingGroup",
        resource_name=f"*:autoScalingGroupName/{group}",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
