"""Places for objects: a folder, and an S3 of this machine."""

import uuid

import boto3
import pytest

from tests.store_server import serving


@pytest.fixture(scope="session")
def s3():
    """Start an S3, and tell this process and its children where it is."""
    with pytest.MonkeyPatch.context() as patch, serving() as url:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_REGION", "eu-central-1")
        patch.setenv("AWS_ENDPOINT_URL", url)
        client = boto3.client("s3", region_name="eu-central-1")
        where = {"LocationConstraint": "eu-central-1"}
        client.create_bucket(Bucket="images", CreateBucketConfiguration=where)
        yield "s3://images"


@pytest.fixture(params=["folder", "s3"])
def address(request, tmp_path):
    """Return an address without objects."""
    if request.param == "folder":
        return f"file://{tmp_path}"
    return f"{request.getfixturevalue('s3')}/{uuid.uuid4().hex}"
