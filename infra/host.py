"""One EC2 instance with worker, broker and sweep, which sleeps between batches."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Aws
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from infra.api import Api
from infra.cost import HOST_GIGABYTES
from infra.grants import allow
from infra.logs import log_group
from infra.network import Network
from infra.settings import StackSettings
from infra.storage import Buckets, JobTable
from infra.workers import allow_set_up, node_scripts, worker_image, worker_role

# Debian, because it has packages of RabbitMQ; AWS keeps the newest image of a release there.
MACHINE = "/aws/service/debian/release/12/latest/amd64"
# Debian's archive by TLS, as the security group lets nothing else out.
ARCHIVE = (
    "find /etc/apt -type f \\( -name '*.list' -o -name '*.sources' \\)"
    " -exec sed -i 's|http://|https://|g' {} +"
)
# The agent of Session Manager, which Debian does not have; a host without it works as well.
AGENT = (
    f"curl -fsSo /root/agent.deb https://s3.{Aws.REGION}.{Aws.URL_SUFFIX}/amazon-ssm-{Aws.REGION}"
    "/latest/debian_amd64/amazon-ssm-agent.deb && dpkg -i /root/agent.deb || true"
)


class Host(Construct):
    """An instance that its own sweep stops when it is idle, and that the API starts.

    Its disk persists while it is stopped: image, compiled kernels and messages are there at the
    next start. A deployment that changes it replaces it; the rows of the table then say which
    messages the sweep must send again.

    Parameters
    ----------
    network, table, buckets
        The constructs that the host uses.
    api : Api
        Its package has the code of the sweep.
    environment : mapping
        Settings of worker and API, as environment variables.
    name : str
        By which the API finds the instance.
    settings : StackSettings
        Its type.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        network: Network,
        table: JobTable,
        buckets: Buckets,
        api: Api,
        environment: Mapping[str, str],
        name: str,
        settings: StackSettings,
    ) -> None:
        super().__init__(scope, id)
        image, scripts = worker_image(self, settings), node_scripts(self)
        log = log_group(self, "Log", settings)
        role = worker_role(self, table, buckets)
        allow_set_up(role, image, scripts, api.code)
        # What the sweep does beyond a worker's part.
        allow(role, f"{table.table.table_arn}/index/*", "dynamodb:Query")
        uploads, results = buckets.uploads.bucket_arn, buckets.results.bucket_arn
        allow(
            role,
            f"{uploads}/uploads/*",
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:ListMultipartUploadParts",
            "s3:AbortMultipartUpload",
        )
        allow(role, uploads, "s3:ListBucketMultipartUploads")
        allow(role, f"{results}/files/*", "s3:DeleteObject")
        for bucket in (uploads, results):
            allow(role, bucket, "s3:ListBucket")
        log.grant_write(role)
        node = {**environment, "AWS_REGION": Aws.REGION, "LOG_GROUP": log.log_group_name}
        instance = ec2.Instance(
            self,
            "Instance",
            instance_name=name,
            instance_type=ec2.InstanceType(settings.instance_types[0]),
            machine_image=ec2.MachineImage.from_ssm_parameter(
                MACHINE, user_data=set_up(scripts, api.code, image.image_uri, node)
            ),
            user_data_causes_replacement=True,
            vpc=network.vpc,
            vpc_subnets=network.for_workers,
            security_group=network.worker,
            role=role,
            http_tokens=ec2.HttpTokens.REQUIRED,
            # The worker asks from within a container, which adds one hop.
            http_put_response_hop_limit=2,
            detailed_monitoring=True,
            block_devices=[
                ec2.BlockDevice(
                    device_name="/dev/xvda",
                    volume=ec2.BlockDeviceVolume.ebs(
                        HOST_GIGABYTES, encrypted=True, volume_type=ec2.EbsDeviceVolumeType.GP3
                    ),
                )
            ],
        )
        found: Any = instance.node.default_child
        # A host that powers itself off is stopped, and its disk stays.
        found.instance_initiated_shutdown_behavior = "stop"


def set_up(
    scripts: s3_assets.Asset, code: s3_assets.Asset, image: str, node: Mapping[str, str]
) -> ec2.UserData:
    """Build the commands by which a new host sets itself up, once."""
    lines = "\n".join(f"{key}={value}" for key, value in node.items())
    data = ec2.UserData.for_linux()
    data.add_commands(
        "set -euo pipefail",
        "export DEBIAN_FRONTEND=noninteractive",
        ARCHIVE,
        "apt-get update -qq && apt-get install -yqq awscli unzip curl",
        AGENT,
        *(
            f"aws s3 cp --region {Aws.REGION} {asset.s3_object_url} /root/{name}.zip"
            for name, asset in (("node", scripts), ("api", code))
        ),
        # The broker's script makes the queues from these modules of the API's package.
        "mkdir -p /opt/dip && unzip -oq /root/api.zip 'config/*' -d /opt/dip",
        "unzip -oq /root/node.zip -d /opt/dip/config",
        f"install -m 600 /dev/stdin /root/host.env <<'END'\n{lines}\nEND",
        "bash /opt/dip/config/host-node-config.sh"
        f" --image {image} --env-file /root/host.env --api /root/api.zip",
    )
    return data
