"""The API: the Chalice app on Lambda behind API Gateway, with its schedules and grants."""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aws_cdk import Acknowledgment, Aws, Stack, Token, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as s3_assets
from aws_cdk import aws_secretsmanager as secrets
from aws_cdk import aws_wafv2 as wafv2
from chalice.cdk import Chalice
from constructs import Construct

from config.contract.visitor import ADDRESS_HEADER
from infra import package
from infra.broker import Broker
from infra.grants import (
    LAMBDA_NETWORK,
    allow,
    allow_on_all,
    allow_start_of,
    group_arn,
    policy_on_all,
)
from infra.logs import log_group
from infra.network import Network
from infra.settings import StackSettings
from infra.storage import Buckets, JobTable

# Chalice's names of the functions in `api/app.py`, with their timeouts in seconds.
HANDLER = "APIHandler"
FUNCTIONS = {HANDLER: 29, "Sweep": 60, "Backlog": 30, "DeadLetters": 60}
RUNTIME = "python3.13"
MEGABYTES = 256
# Name of the only stage. It must equal the path of the API at the site's origin.
STAGE = "api"

# Status and sentence of API Gateway's own errors, sent as problem details (RFC 9457) like those of
# the app. An empty sentence stands for the gateway's own message.
PROBLEMS: Mapping[str, tuple[int, str]] = {
    "DEFAULT_4XX": (400, ""),
    "BAD_REQUEST_BODY": (400, ""),
    "BAD_REQUEST_PARAMETERS": (400, ""),
    "ACCESS_DENIED": (403, "this request is not allowed"),
    "WAF_FILTERED": (403, "too many requests from this address; try again in five minutes"),
    # The gateway reports a path without a route as a missing token.
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
    """The API, with a role that allows only what the API does.

    Parameters
    ----------
    network, broker, table, buckets
        The constructs that the API uses; the broker is None if it is on the worker's host.
    environment : mapping
        Settings of the API, as environment variables.
    worker_group : str
        Name of the workers' Auto Scaling group, or of the worker's host.
    settings : StackSettings
        Rates, concurrency and firewall.

    Attributes
    ----------
    domain : str
        Host name of the gateway, whose stage is called `api`.
    gateway_name : str
        Name of the gateway, also in CloudWatch.
    functions : dict of str to str
        Names of the Lambda functions.
    code : s3_assets.Asset
        Their package.
    origin_secret : secrets.Secret
        The text by which the API knows requests that came by the site's origin.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        network: Network,
        broker: Broker | None,
        table: JobTable,
        buckets: Buckets,
        environment: Mapping[str, str],
        worker_group: str,
        settings: StackSettings,
    ) -> None:
        super().__init__(scope, id)
        self.settings = settings
        self.origin_secret = secrets.Secret(
            self,
            "Origin",
            description="What CloudFront sends to the API, which then believes its other headers",
            generate_secret_string=secrets.SecretStringGenerator(
                password_length=40, exclude_punctuation=True
            ),
        )
        role = self._role(broker, table, buckets, worker_group)
        self.by_ipv6 = network.egress == "direct" and not settings.on_host
        self.chalice = self._package(
            {
                "api_gateway_stage": STAGE,
                "api_gateway_endpoint_type": "REGIONAL",
                "minimum_compression_size": 1024,
                "manage_iam_role": False,
                "iam_role_arn": role.role_arn,
                "environment_variables": {
                    **environment,
                    "ORIGIN_SECRET": self.origin_secret.secret_name,
                    **network.endpoints,
                },
                **self._place(network),
                "lambda_memory_size": MEGABYTES,
            }
        )
        code: Any = self.chalice.node.find_child("ChaliceAppCode")
        self.code: s3_assets.Asset = code
        self.functions: dict[str, str] = {}
        for name, seconds in FUNCTIONS.items():
            self._configure_function(name, seconds, role)
        self._configure_gateway()
        if settings.firewall_requests:
            self._add_firewall()

    def _place(self, network: Network) -> dict[str, Any]:
        """Place the functions beside the broker; outside of any network if none is there."""
        if self.settings.on_host:
            return {}
        inside = network.vpc.select_subnets(subnet_type=network.inside.subnet_type)
        return {
            "subnet_ids": inside.subnet_ids,
            "security_group_ids": [network.api.security_group_id],
        }

    def _package(self, stage_config: Mapping[str, Any]) -> Chalice:
        with tempfile.TemporaryDirectory() as folder:
            staged = package.stage(Path(folder) / "api")
            # Chalice writes its output into the current folder, and the functions' environment
            # into that of this process. It imports the app, whose bytecode would get into the
            # package and make it differ from the one before.
            with contextlib.chdir(folder), restored_environment(), without_bytecode():
                return Chalice(
                    self, "Chalice", source_dir=str(staged), stage_config=dict(stage_config)
                )

    def _role(
        self, broker: Broker | None, table: JobTable, buckets: Buckets, worker_group: str
    ) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description="What the API may do",
            # Lambda needs this when it creates a function, so it must be in the role itself. The
            # policy below names the buckets, which depend on the site, which depends on the
            # function.
            inline_policies={"Network": policy_on_all(*LAMBDA_NETWORK)} if broker else None,
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
        allow(
            role,
            f"{uploads}/uploads/*",
            "s3:GetObject",
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:ListMultipartUploadParts",
            "s3:AbortMultipartUpload",
        )
        allow(role, uploads, "s3:ListBucketMultipartUploads")
        allow(role, f"{results}/files/*", "s3:DeleteObject")
        for bucket in (uploads, results):
            allow(role, bucket, "s3:ListBucket")
        for secret in [self.origin_secret, *([broker.secret] if broker else [])]:
            allow(role, secret.secret_arn, "secretsmanager:GetSecretValue")
        if broker is None:
            allow_start_of(role, self, worker_group)
        else:
            allow(role, group_arn(self, worker_group), "autoscaling:SetDesiredCapacity")
            allow_on_all(role, "autoscaling:DescribeAutoScalingGroups")
        return role

    def _configure_function(self, name: str, seconds: int, role: iam.Role) -> None:
        """Set timeout (in seconds), runtime, log group and concurrency of a Lambda function."""
        function: Any = self.chalice.get_resource(name)
        logs = log_group(self, f"{name}Log", self.settings)
        logs.grant_write(role)
        overrides: dict[str, Any] = {
            "Runtime": RUNTIME,
            "Architectures": ["arm64"],
            "Timeout": seconds,
            "LoggingConfig": {"LogGroup": logs.log_group_name},
        }
        if not self.settings.on_host:
            # A bound for the connections to the broker. A schedule never runs twice at once.
            overrides["ReservedConcurrentExecutions"] = (
                self.settings.api_concurrency if name == HANDLER else 1
            )
        if self.by_ipv6:
            overrides["VpcConfig.Ipv6AllowedForDualStack"] = True
        for key, value in overrides.items():
            function.add_property_override(key, value)
        self.functions[name] = function.ref

    def _configure_gateway(self) -> None:
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
                    # Do not log paths: they hold batch ids, and whoever knows one can read the
                    # batch.
                    "LoggingLevel": "OFF",
                    "DataTraceEnabled": False,
                }
            ],
        )
        gateway.add_property_override(
            "GatewayResponses",
            {
                error: gateway_response(status, detail)
                for error, (status, detail) in PROBLEMS.items()
            },
        )

    def _add_firewall(self) -> None:
        """Block addresses that send more than `firewall_requests` requests in five minutes."""
        seen = wafv2.CfnWebACL.VisibilityConfigProperty(
            cloud_watch_metrics_enabled=True,
            metric_name=f"{self.settings.name}-firewall",
            sampled_requests_enabled=False,
        )
        limit = wafv2.CfnWebACL.RateBasedStatementProperty(
            limit=self.settings.firewall_requests,
            aggregate_key_type="FORWARDED_IP",
            # The gateway sees CloudFront's address. X-Forwarded-For begins with what the visitor
            # wrote into it; CloudFront writes this header itself.
            forwarded_ip_config=wafv2.CfnWebACL.ForwardedIPConfigurationProperty(
                header_name=ADDRESS_HEADER, fallback_behavior="MATCH"
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
        # SAM creates the stage; this reference makes CloudFormation wait for it.
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
def restored_environment() -> Iterator[None]:
    """Restore the environment variables of this process on exit."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def without_bytecode() -> Iterator[None]:
    """Keep Python from writing the bytecode of what is imported."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def gateway_response(status: int, detail: str) -> dict[str, Any]:
    """Build the gateway's answer for one of its own errors, as problem details (RFC 9457)."""
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
            # The gateway inserts its message with quotation marks, so remove ours.
            "application/json": json.dumps(body).replace(f'"{GATEWAY_SAYS}"', GATEWAY_SAYS)
        },
    }
