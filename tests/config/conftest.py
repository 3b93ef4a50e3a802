"""A table on moto's DynamoDB, which serves as `make run` has it serve."""

import threading

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from cluster_worker.node.table import job_table
from config.contract import resources
from config.contract.job import Batch
from config.contract.settings import WorkerSettings
from infra.local.aws import Handler, one_table_request_at_a_time, patch_moto

TABLE, REGION = "jobs", "eu-central-1"
NOW, KEPT = 1_800_000_000_000, 1_800_000_900_000
BATCH = "b" * 32


@pytest.fixture(scope="module")
def endpoint():
    """moto as `make run` serves it: its own server lets racing writes undo each other."""
    patch_moto()
    application = one_table_request_at_a_time(DomainDispatcherApplication(create_backend_app))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Handler)
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join(10)
        server.server_close()


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
