"""The API: the Chalice app on Lambda behind API Gateway, with its schedules and its grants."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aws_cdk import Acknowledgment, Aws, Stack, Token, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_wafv2 as wafv2
from chalice.cdk import Chalice
from constructs import Construct

from infra import package
from infra.broker import Broker
from infra.grants import LAMBDA_NETWORK, allow, everything, group_arn, reach_all
from infra.logs import log_group
from infra.network import Network
from infra.settings import StackSettings
from infra.storage import Buckets, JobTable

# Chalice's names of the functions in `api/app.py`, with Lambda's seconds for each.
HANDLER = "APIHandler"
FUNCTIONS = {HANDLER: 29, "Sweep": 60, "Backlog": 30, "DeadLetters": 60}
RUNTIME = "python3.13"
MEGABYTES = 256
# The one stage, whose name is also the path under which the site's origin has the API.
STAGE = "api"

# API Gateway's own errors, as problem details (RFC 9457) like those of the app: status, sentence.
# An empty sentence stands for the gateway's own.
PROBLEMS: Mapping[str, tuple[int, str]] = {
    "DEFAULT_4XX": (400, ""),
    "BAD_REQUEST_BODY": (400, ""),
    "BAD_REQUEST_PARAMETERS": (400, ""),
    "ACCESS_DENIED": (403, "this request is not allowed"),
    "WAF_FILTERED": (403, "too many requests from this address; try again in five minutes"),
    # For a path that no route has, the gateway speaks of a missing token.
    "MISSING_AUTHENTICATION_TOKEN": (404, "no such address or method"),
    "REQUEST_TOO_LARGE": (413, "a request may hold 10 MB at most"),
    "UNSUPPORTED_MEDIA_TYPE": (415, "the body must be JSON: send Content-Type: application/json"),
    "THROTTLED": (429, "too many requests at once; try again in a moment"),
    "QUOTA_EXCEEDED": (429, "too many requests at once; try again in a moment"),
    "DEFAULT_5XX": (500, "the app failed here; try again in a moment"),
    "INTEGRATION_FAILURE": (502, "the app did not answer as it should; try again in a moment"),
    "INTEGRATION_TIMEOUT": (504, "the app took too long to answer; try again"),
}
GATEWAY_SAYS = "$context.error.messageString"


class Api(Construct):
    """The API in the network, allowed what it does and nothing else.

    Attributes
    ----------
    domain : str
        Host name of the gateway, whose stage is called `api`.
    gateway_name : str
        By which CloudWatch knows it.
    functions : dict of str to str
        Names of the Lambda functions.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        network: Network,
        broker: Broker,
        table: JobTable,
        buckets: Buckets,
        environment: Mapping[str, str],
        worker_group: str,
        settings: StackSettings,
    ) -> None:
        super().__init__(scope, id)
        self.settings = settings
        role = self._role(broker, table, buckets, worker_group)
        inside = network.vpc.select_subnets(subnet_type=network.inside.subnet_type)
        self.chalice = self._package(
            {
                "api_gateway_stage": STAGE,
                "api_gateway_endpoint_type": "REGIONAL",
                "minimum_compression_size": 1024,
                "manage_iam_role": False,
                "iam_role_arn": role.role_arn,
                "environment_variables": dict(environment),
                "subnet_ids": inside.subnet_ids,
                "security_group_ids": [network.api.security_group_id],
                "lambda_memory_size": MEGABYTES,
            }
        )
        self.functions: dict[str, str] = {}
        for name, seconds in FUNCTIONS.items():
            self._set_up(name, seconds, role)
        self._set_up_gateway()
        if settings.firewall_requests:
            self._add_firewall()

    def _package(self, stage_config: Mapping[str, Any]) -> Chalice:
        with tempfile.TemporaryDirectory() as folder:
            staged = package.stage(Path(folder) / "api")
            # Chalice leaves its output in the folder that it is called in, and the functions'
            # environment in this process's own.
            with contextlib.chdir(folder), environment_kept():
                return Chalice(
                    self, "Chalice", source_dir=str(staged), stage_config=dict(stage_config)
                )

    def _role(
        self, broker: Broker, table: JobTable, buckets: Buckets, worker_group: str
    ) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description="What the API may do",
            # In the role itself: Lambda asks for it when a function is made, and to wait for the
            # policy below, which names the buckets, would be to wait for the site, and so for the
            # function.
            inline_policies={"Network": everything(*LAMBDA_NETWORK)},
        )
        jobs = table.table.table_arn
        allow(
            role,
            jobs,
            "dynamodb:GetItem",
            "dynamodb:BatchGetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            "dynamodb:DeleteItem",
            "dynamodb:ConditionCheckItem",
            "dynamodb:Query",
        )
        allow(role, f"{jobs}/index/*", "dynamodb:Query")
        uploads, results = buckets.uploads.bucket_arn, buckets.results.bucket_arn
        allow(role, f"{uploads}/uploads/*", "s3:GetObject", "s3:PutObject", "s3:DeleteObject")
        allow(role, f"{results}/files/*", "s3:DeleteObject")
        for bucket in (uploads, results):
            allow(role, bucket, "s3:ListBucket")
        allow(role, broker.secret.secret_arn, "secretsmanager:GetSecretValue")
        allow(role, group_arn(self, worker_group), "autoscaling:SetDesiredCapacity")
        reach_all(role, "autoscaling:DescribeAutoScalingGroups")
        reach_all(
            role,
            "cloudwatch:PutMetricData",
            conditions={"StringEquals": {"cloudwatch:namespace": self.settings.name}},
        )
        return role

    def _set_up(self, name: str, seconds: int, role: iam.Role) -> None:
        """Give a function its time, its runtime and a log that is kept for some days."""
        function: Any = self.chalice.get_resource(name)
        logs = log_group(self, f"{name}Log", self.settings)
        logs.grant_write(role)
        overrides = {
            "Runtime": RUNTIME,
            "Architectures": ["arm64"],
            "Timeout": seconds,
            "LoggingConfig": {"LogGroup": logs.log_group_name},
        }
        # One connection to the broker for each; the schedules never run twice at once.
        overrides["ReservedConcurrentExecutions"] = (
            self.settings.api_concurrency if name == HANDLER else 1
        )
        for key, value in overrides.items():
            function.add_property_override(key, value)
        self.functions[name] = function.ref

    def _set_up_gateway(self) -> None:
        gateway: Any = self.chalice.get_resource("RestAPI")
        self.gateway_name = f"{self.settings.name}-api"
        self.domain = f"{gateway.ref}.execute-api.{Aws.REGION}.{Aws.URL_SUFFIX}"
        gateway.add_property_override("Name", self.gateway_name)
        gateway.add_property_override(
            "MethodSettings",
            [
                {
                    "HttpMethod": "*",
                    "ResourcePath": "/*",
                    "ThrottlingRateLimit": self.settings.requests_per_second,
                    "ThrottlingBurstLimit": self.settings.requests_burst,
                    "MetricsEnabled": True,
                    # Paths hold batch ids, and who knows one may read the batch: never logged.
                    "LoggingLevel": "OFF",
                    "DataTraceEnabled": False,
                }
            ],
        )
        gateway.add_property_override(
            "GatewayResponses",
            {kind: problem(status, detail) for kind, (status, detail) in PROBLEMS.items()},
        )

    def _add_firewall(self) -> None:
        """Block for a while an address that asks too often."""
        seen = wafv2.CfnWebACL.VisibilityConfigProperty(
            cloud_watch_metrics_enabled=True,
            metric_name=f"{self.settings.name}-firewall",
            sampled_requests_enabled=False,
        )
        limit = wafv2.CfnWebACL.RateBasedStatementProperty(
            limit=self.settings.firewall_requests,
            aggregate_key_type="FORWARDED_IP",
            # The gateway sees CloudFront's address; the visitor's comes first in this header.
            forwarded_ip_config=wafv2.CfnWebACL.ForwardedIPConfigurationProperty(
                header_name="X-Forwarded-For", fallback_behavior="MATCH"
            ),
        )
        firewall = wafv2.CfnWebACL(
            self,
            "Firewall",
            scope="REGIONAL",
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=seen,
            rules=[
                wafv2.CfnWebACL.RuleProperty(
                    name="rate",
                    priority=0,
                    action=wafv2.CfnWebACL.RuleActionProperty(block={}),
                    statement=wafv2.CfnWebACL.StatementProperty(rate_based_statement=limit),
                    visibility_config=seen,
                )
            ],
        )
        gateway: Any = self.chalice.get_resource("RestAPI")
        # The stage is made by SAM; to name it so is to wait for it.
        stage = Token.as_string({"Ref": "RestAPI.Stage"})
        association = wafv2.CfnWebACLAssociation(
            self,
            "FirewallOfStage",
            web_acl_arn=firewall.attr_arn,
            resource_arn=Stack.of(self).format_arn(
                service="apigateway",
                account="",
                resource="/restapis",
                resource_name=f"{gateway.ref}/stages/{stage}",
            ),
        )
        Validations.of(association).acknowledge(
            Acknowledgment(
                id="CloudFormation-Validate::F1020",
                reason="the stage is not in the template: SAM makes it when it is deployed",
            )
        )


@contextlib.contextmanager
def environment_kept() -> Iterator[None]:
    """Put the environment back as it was."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def problem(status: int, detail: str) -> dict[str, Any]:
    """Build an answer of the gateway's own, in the form of the app's."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail or GATEWAY_SAYS,
    }
    headers = {"Content-Type": "'application/problem+json'", "Cache-Control": "'no-store'"}
    return {
        "StatusCode": str(status),
        "ResponseParameters": {"Headers": headers},
        "ResponseTemplates": {
            # The gateway puts in its sentence with quotation marks of its own.
            "application/json": json.dumps(body).replace(f'"{GATEWAY_SAYS}"', GATEWAY_SAYS)
        },
    }
