"""A table on the DynamoDB of `make run`."""

import boto3
import pytest

from cluster_worker.node.table import job_table
from config.contract import resources
from config.contract.job import Batch
from config.contract.settings import WorkerSettings
from tests.store_server import serving

TABLE, REGION = "jobs", "eu-central-1"
NOW, KEPT = 1_800_000_000_000, 1_800_000_900_000
BATCH = "b" * 32


@pytest.fixture(scope="session")
def endpoint():
    """Start a DynamoDB; return its address."""
    with pytest.MonkeyPatch.context() as patch, serving() as url:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield url


def settings_for(endpoint):
    return WorkerSettings(
        uploads_bucket="uploads",
        results_bucket="results",
        broker_url="amqp://unused",
        table=TABLE,
        dynamodb_endpoint=endpoint,
        aws_region=REGION,
    )


@pytest.fixture
def dynamodb(endpoint):
    client = boto3.resource("dynamodb", endpoint_url=endpoint, region_name=REGION).meta.client
    client.create_table(TableName=TABLE, **resources.TABLE_SCHEMA)
    batch = Batch(BATCH, ({"operation": "invert"},), "same", NOW, KEPT)
    client.put_item(TableName=TABLE, Item=batch.to_item())
    yield client
    client.delete_table(TableName=TABLE)


@pytest.fixture
def table(endpoint, dynamodb):
    return job_table(settings_for(endpoint))
