"""What the roles of API and workers may do, and whether it is what the code asks for."""

import re

import botocore.session
import pytest
from botocore import xform_name

from config.contract.settings import TOP
from infra.grants import ON_ALL

pytestmark = pytest.mark.slow


def actions_of(statement):
    actions = statement["Action"]
    return {actions} if isinstance(actions, str) else set(actions)


def test_what_is_granted_on_everything_is_named_with_its_reason(template):
    for start in ("Api", "Workers"):
        granted = set()
        for statement in template.statements(start):
            actions = actions_of(statement)
            assert not [action for action in actions if "*" in action]
            if statement["Resource"] == "*":
                granted |= actions
        assert granted
        assert granted <= set(ON_ALL)


@pytest.mark.parametrize("start", ["Api", "Workers"])
def test_every_request_to_the_table_is_granted_to_who_makes_it(template, start):
    access = TOP / "config" / "contract" / "table_access.py"
    granted = set().union(*map(actions_of, template.statements(start)))
    called = set(re.findall(r"\bclient\.([a-z_]+)\b", access.read_text()))
    assert {"batch_get_item", "transact_write_items"} <= called
    # A transaction is granted through each of its writes.
    writes = {"ConditionCheckItem", "PutItem", "UpdateItem", "DeleteItem"}
    wanted = {each.title().replace("_", "") for each in called - {"transact_write_items"}} | writes
    assert {f"dynamodb:{each}" for each in wanted} <= granted


# The S3 actions that each method of boto3's client needs, by AWS's service authorization reference.
S3_ACTIONS = {
    "abort_multipart_upload": {"AbortMultipartUpload"},
    "complete_multipart_upload": {"PutObject"},
    "create_multipart_upload": {"PutObject"},
    "delete_objects": {"DeleteObject"},
    "generate_presigned_post": {"PutObject"},
    "generate_presigned_url": {"PutObject"},
    "get_object": {"GetObject"},
    "head_bucket": {"ListBucket"},
    "head_object": {"GetObject"},
    "list_multipart_uploads": {"ListBucketMultipartUploads"},
    "list_objects_v2": {"ListBucket"},
    "list_parts": {"ListMultipartUploadParts"},
    "put_object": {"PutObject"},
    "upload_file": {"PutObject", "AbortMultipartUpload"},
    "upload_part": {"PutObject"},
    "upload_part_copy": {"GetObject", "PutObject"},
}


@pytest.mark.parametrize(
    ("start", "folder", "client"),
    [("Api", "api/chalicelib", r"s3\w*"), ("Workers", "cluster_worker/node", "client")],
)
def test_every_request_to_s3_is_granted_to_who_makes_it(template, start, folder, client):
    granted = set().union(*map(actions_of, template.statements(start)))
    source = "\n".join(path.read_text() for path in (TOP / folder).glob("*.py"))
    called = set(re.findall(rf"\b{client}\.([a-z_0-9]+)\(", source)) - {"get_paginator"}
    called |= set(re.findall(r'get_paginator\(\s*"(\w+)"', source))
    others = {"describe_auto_scaling_groups", "set_desired_capacity"}
    wanted = set().union(*(S3_ACTIONS[each] for each in called - others))
    assert {"PutObject", "GetObject"} <= wanted
    assert {f"s3:{each}" for each in wanted} <= granted


@pytest.mark.parametrize(
    ("start", "files"),
    [("Api", ["api/chalicelib"]), ("Workers", ["cluster_worker/node", "cluster_worker"])],
)
def test_every_request_to_the_group_and_for_secrets_is_granted(template, start, files):
    granted = set().union(*map(actions_of, template.statements(start)))
    paths = [path for folder in files for path in (TOP / folder).glob("*.py")]
    source = "\n".join(path.read_text() for path in paths)
    called = set(re.findall(r"\.([a-z_]+)\b", source))
    session = botocore.session.get_session()
    wanted = {
        f"{service}:{operation}"
        for service in ("autoscaling", "secretsmanager")
        for operation in session.get_service_model(service).operation_names
        if xform_name(operation) in called
    }
    assert {each.partition(":")[0] for each in wanted} == {"autoscaling", "secretsmanager"}
    assert wanted <= granted
