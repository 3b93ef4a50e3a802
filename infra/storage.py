"""Storage: the table of jobs, and the buckets of uploads and results."""

from typing import Any

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from constructs import Construct

from config.contract import resources
from infra.settings import StackSettings

TYPES = {"S": dynamodb.AttributeType.STRING, "N": dynamodb.AttributeType.NUMBER}


class JobTable(Construct):
    """The table with the state of every job, as `config.contract.resources` describes it.

    Attributes
    ----------
    table : dynamodb.Table
        The table: billed per request, encrypted, restorable to any second of the last 35 days,
        also after it was deleted by mistake.
    """

    def __init__(self, scope: Construct, id: str, *, settings: StackSettings) -> None:
        super().__init__(scope, id)
        schema = resources.TABLE_SCHEMA
        self.table = dynamodb.Table(
            self,
            "Jobs",
            **convert_keys(schema["KeySchema"]),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.AWS_MANAGED,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute="ttl",
            removal_policy=removal_policy(settings),
        )
        for index in schema["GlobalSecondaryIndexes"]:
            self.table.add_global_secondary_index(
                index_name=index["IndexName"],
                projection_type=dynamodb.ProjectionType[index["Projection"]["ProjectionType"]],
                **convert_keys(index["KeySchema"]),
            )


class Buckets(Construct):
    """The buckets of uploads and results.

    Their names follow from the settings, the account and the region, not from CloudFormation. The
    page's policy names the bucket of uploads, and that bucket's CORS rule names the page's origin.
    If CloudFormation chose the names, each of the two resources would wait for the other.

    Attributes
    ----------
    uploads, results : s3.Bucket
        The buckets: private, encrypted, TLS only; objects expire after `kept_days`.
    """

    def __init__(self, scope: Construct, id: str, *, settings: StackSettings) -> None:
        super().__init__(scope, id)
        self.uploads = self._bucket("Uploads", settings)
        # A worker deletes these when its job ends; the rule is for workers that were killed.
        self.uploads.add_lifecycle_rule(
            id="scratch", prefix=f"{resources.SCRATCH_PREFIX}/", expiration=Duration.days(1)
        )
        self.results = self._bucket("Results", settings)

    def allow_uploads_from(self, origin: str) -> None:
        """Allow pages of this origin, and no others, to upload files."""
        self.uploads.add_cors_rule(
            allowed_origins=[origin],
            allowed_methods=[s3.HttpMethods.POST, s3.HttpMethods.PUT, s3.HttpMethods.GET],
            allowed_headers=["*"],
            exposed_headers=["ETag"],
            max_age=3600,
        )

    def _bucket(self, id: str, settings: StackSettings) -> s3.Bucket:
        return s3.Bucket(
            self,
            id,
            bucket_name=bucket_name(settings, id.lower()),
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[
                # The sweep deletes objects on their day; this rule deletes those that it missed.
                s3.LifecycleRule(id="kept", expiration=Duration.days(settings.kept_days + 1)),
                s3.LifecycleRule(
                    id="abandoned", abort_incomplete_multipart_upload_after=Duration.days(1)
                ),
            ],
            auto_delete_objects=not settings.is_kept,
            removal_policy=removal_policy(settings),
        )


def bucket_name(settings: StackSettings, what: str) -> str:
    """Return the name of a bucket (`what`: uploads or results), known before it is created."""
    return f"{settings.name}-{what}-{Aws.ACCOUNT_ID}-{Aws.REGION}"


def bucket_origin(settings: StackSettings, what: str) -> str:
    """Return the origin at which browsers reach a bucket."""
    return f"https://{bucket_name(settings, what)}.s3.{Aws.REGION}.{Aws.URL_SUFFIX}"


def removal_policy(settings: StackSettings) -> RemovalPolicy:
    """Return the policy that keeps or deletes stored data when the stack is deleted.

    Data is not kept when the first create of the stack fails: nothing is in it then, and a bucket
    that stayed would block the next create, because its name is taken.
    """
    if settings.is_kept:
        return RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
    return RemovalPolicy.DESTROY


def convert_keys(schema: list[dict[str, str]]) -> dict[str, Any]:
    """Convert a key schema of DynamoDB's API to CDK's arguments."""
    types = {
        each["AttributeName"]: TYPES[each["AttributeType"]]
        for each in resources.TABLE_SCHEMA["AttributeDefinitions"]
    }
    arguments = {"HASH": "partition_key", "RANGE": "sort_key"}
    return {
        arguments[each["KeyType"]]: dynamodb.Attribute(
            name=each["AttributeName"], type=types[each["AttributeName"]]
        )
        for each in schema
    }
