"""AWS on this machine with its rules enforced: signatures, presigned conditions, and policies.

ministack needs another botocore than the app, so it has a virtual environment of its own in
`.run/ministack`, from `ministack.lock` beside this file.
"""

import hashlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config

from config.contract import resources
from config.contract.settings import TOP
from infra.local.ports import HOST, answers, free_ports
from infra.local.process import Process
from infra.local.supervisor import Supervisor
from tests.infra.template import resolve

LOCK = Path(__file__).with_name("ministack.lock")
FOLDER = TOP / ".run" / "ministack"

REGION = "eu-central-1"
ACCOUNT = "000000000000"
# Of the emulator's administrator.
ROOT = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}

UPLOADS = f"dip-uploads-{ACCOUNT}-{REGION}"
RESULTS = f"dip-results-{ACCOUNT}-{REGION}"
TABLE = "dip-jobs"
GROUP = "dip-workers"

PSEUDO = {
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}


def ministack():
    """Return the emulator's command; install it if it is not there."""
    stamp, lock = FOLDER / "installed-from", hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != lock:
        subprocess.run([sys.executable, "-m", "venv", "--clear", FOLDER], check=True, timeout=120)
        pip = (FOLDER / "bin/python", "-m", "pip", "install", "--quiet", "--no-compile")
        subprocess.run([*pip, "--require-hashes", "--requirement", LOCK], check=True, timeout=300)
        stamp.write_text(lock)
    return str(FOLDER / "bin" / "ministack")


class Emulator:
    """AWS with policies enforced, and the stack's storage, secrets, group and roles in it.

    Parameters
    ----------
    folder : Path
        Of its files and its log.
    template : Template
        Whose roles are made.
    secret : mapping
        User and password of the broker.
    """

    def __init__(self, folder, template, secret):
        self.folder, self.template, self.secret = folder, template, secret
        (self.port,) = free_ports(1)
        self.url = f"http://{HOST}:{self.port}"
        self.supervisor = Supervisor(folder, print)

    def __enter__(self):
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment = {
            **kept,
            "AUTH": "true",
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": HOST,
            "IOT_MTLS_ENABLED": "0",
            "MINISTACK_REGION": REGION,
            "TMPDIR": str(self.folder),
        }
        self.supervisor.start(Process("ministack", (ministack(),), environment))
        self.supervisor.await_ready("ministack", lambda: answers(self.port), 60)
        self.known = {**PSEUDO, **self.create_storage(), **self.create_secrets()}
        self.create_group()
        return self

    def __exit__(self, *_):
        self.supervisor.end()

    def client(self, service, keys=ROOT):
        """Return a client, of the administrator or with other keys."""
        config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
        return boto3.client(
            service, endpoint_url=self.url, region_name=REGION, config=config, **keys
        )

    def create_storage(self):
        """Create buckets and table; return what references to them are."""
        s3 = self.client("s3")
        for bucket in (UPLOADS, RESULTS):
            location = {"LocationConstraint": REGION}
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
        table = self.client("dynamodb")
        made = table.create_table(TableName=TABLE, **resources.TABLE_SCHEMA)
        arn = made["TableDescription"]["TableArn"]
        known = {}
        for name, each in self.template.resources.items():
            if each["Type"] == "AWS::DynamoDB::Table":
                known |= {name: TABLE, f"{name}.Arn": arn}
            if each["Type"] == "AWS::S3::Bucket" and name.startswith("Buckets"):
                bucket = resolve(each["Properties"]["BucketName"], PSEUDO)
                known |= {name: bucket, f"{name}.Arn": f"arn:aws:s3:::{bucket}"}
        return known

    def create_secrets(self):
        """Create the two secrets; return what references to them are."""
        secrets = self.client("secretsmanager")
        contents = {"BrokerUser": json.dumps(self.secret), "ApiOrigin": "k" * 40}
        known = {}
        for name in self.template.all("AWS::SecretsManager::Secret"):
            content = next(text for start, text in contents.items() if name.startswith(start))
            known[name] = secrets.create_secret(Name=name, SecretString=content)["ARN"]
        return known

    def create_group(self):
        """Create the Auto Scaling group of the workers, empty."""
        groups = self.client("autoscaling")
        groups.create_launch_configuration(
            LaunchConfigurationName="node", ImageId="ami-12345678", InstanceType="c6i.xlarge"
        )
        groups.create_auto_scaling_group(
            AutoScalingGroupName=GROUP,
            LaunchConfigurationName="node",
            MinSize=0,
            MaxSize=2,
            DesiredCapacity=0,
            AvailabilityZones=[f"{REGION}a"],
        )

    def keys_of(self, construct, without=()):
        """Create the role of a construct as the template has it; return keys of a session.

        Parameters
        ----------
        construct : str
            ``"Api"`` or ``"Workers"``.
        without : collection of str
            Actions that are left out, to show what fails without them.
        """
        iam = self.client("iam")
        name = construct + "".join(without).replace(":", "-")
        trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        role = iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )["Role"]
        statements = []
        for statement in self.template.statements(f"{construct}Role"):
            found = resolve(statement, self.known)
            actions = found["Action"] if isinstance(found["Action"], list) else [found["Action"]]
            if kept := [action for action in actions if action not in without]:
                statements.append(found | {"Action": kept})
        iam.put_role_policy(
            RoleName=name,
            PolicyName="template",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )
        made = self.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="test")
        credentials = made["Credentials"]
        return {
            "aws_access_key_id": credentials["AccessKeyId"],
            "aws_secret_access_key": credentials["SecretAccessKey"],
            "aws_session_token": credentials["SessionToken"],
        }

    def environment(self, keys):
        """Return the environment by which a process reaches the emulator with some keys."""
        return {name.upper(): value for name, value in keys.items()} | {
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.url,
            "S3_ENDPOINT": self.url,
            "DYNAMODB_ENDPOINT": self.url,
        }


def send(method, url, content=b"", headers=None):
    """Send a request as a browser does; return its status and its answer."""
    request = urllib.request.Request(  # noqa: S310 - addresses of the emulator
        url, content or None, headers or {}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
