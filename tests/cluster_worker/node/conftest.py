"""A runner with a real world, and the S3 and DynamoDB of `make run`."""

import boto3
import pytest

from cluster_worker.engine.engine import Engine
from cluster_worker.imagefiles.decoder_pool import Decoders
from cluster_worker.node.runner import Runner
from cluster_worker.node.storage import Storage
from cluster_worker.node.table import job_table
from config.contract import resources
from config.contract.settings import WorkerSettings
from tests.store_server import serving

REGION = "eu-central-1"


@pytest.fixture(scope="module")
def runner_settings(request, tmp_path_factory):
    """Start an S3 and a DynamoDB, with names of the test file's own."""
    own = request.module.__name__.rpartition(".")[2].replace("_", "-")
    with pytest.MonkeyPatch.context() as patch, serving() as url:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        # For ranks that work with other hosts.
        patch.setenv("AWS_REGION", REGION)
        patch.setenv("AWS_ENDPOINT", url)
        yield WorkerSettings(
            uploads_bucket=f"{own}-uploads",
            results_bucket=f"{own}-results",
            broker_url="amqp://unused",
            table=f"{own}-jobs",
            s3_endpoint=url,
            dynamodb_endpoint=url,
            aws_region=REGION,
            spool_dir=str(tmp_path_factory.mktemp("spool")),
        )


@pytest.fixture(scope="module")
def s3(runner_settings):
    client = boto3.client("s3", endpoint_url=runner_settings.s3_endpoint, region_name=REGION)
    for bucket in (runner_settings.uploads_bucket, runner_settings.results_bucket):
        client.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
    yield client
    client.close()


@pytest.fixture(scope="module")
def runner(request, runner_settings, s3, warm_engine):
    resource = boto3.resource(
        "dynamodb", endpoint_url=runner_settings.dynamodb_endpoint, region_name=REGION
    )
    resource.meta.client.create_table(TableName=runner_settings.table, **resources.TABLE_SCHEMA)
    resource.meta.client.close()
    with (
        Engine(getattr(request.module, "RANKS", 1), beside=warm_engine) as engine,
        Decoders(1, engine.decoder_source.address) as decoders,
    ):
        table, storage = job_table(runner_settings), Storage(runner_settings)
        yield Runner(runner_settings, engine, decoders, table, storage, "worker")
