"""Grants on one resource, or on all resources for actions that AWS cannot restrict."""

from collections.abc import Mapping

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

# A Lambda function in a network needs these to get its network interface.
LAMBDA_NETWORK = (
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
)

# The only actions that our roles may have on "*", each with its reason; a test compares the
# template with this list.
ON_ALL: Mapping[str, str] = {
    "autoscaling:DescribeAutoScalingGroups": "AWS takes no resource for describing groups",
    "ec2:DescribeInstances": "AWS takes no resource for describing instances",
    "ecr:GetAuthorizationToken": "AWS takes no resource; pulling is granted on our repository",
} | dict.fromkeys(LAMBDA_NETWORK, "Lambda makes its interfaces itself and they have no name before")


def allow(role: iam.Role, resource: str, *actions: str) -> None:
    """Allow a role some actions on one resource."""
    role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=[resource]))


def allow_on_all(role: iam.Role, *actions: str) -> None:
    """Allow a role some actions on all resources; only for the actions in `ON_ALL`."""
    allow(role, "*", *actions)


def policy_on_all(*actions: str) -> iam.PolicyDocument:
    """Build a policy of actions on all resources; only for the actions in `ON_ALL`."""
    return iam.PolicyDocument(
        statements=[iam.PolicyStatement(actions=list(actions), resources=["*"])]
    )


def allow_start_of(role: iam.Role, scope: Construct, name: str) -> None:
    """Allow a role to find and to start the instance of a name, whichever its id is."""
    allow_on_all(role, "ec2:DescribeInstances")
    instances = Stack.of(scope).format_arn(service="ec2", resource="instance", resource_name="*")
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["ec2:StartInstances"],
            resources=[instances],
            conditions={"StringEquals": {"aws:ResourceTag/Name": name}},
        )
    )


def group_arn(scope: Construct, group: str) -> str:
    """Return the ARN of an Auto Scaling group.

    A ``*`` stands for the id that AWS puts into the ARN, which is unknown before the group exists.
    """
    return Stack.of(scope).format_arn(
        service="autoscaling",
        resource="autoScalingGroup",
        resource_name=f"*:autoScalingGroupName/{group}",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
