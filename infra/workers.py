"""The worker nodes: their number follows the backlog, and each is drained before it ends."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Aws, Duration
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as s3_assets
from aws_cdk import aws_secretsmanager as secrets
from constructs import Construct

from config.contract import resources
from config.contract.settings import TOP
from infra.broker import Broker
from infra.grants import allow, allow_on_all, group_arn
from infra.logs import log_group
from infra.network import Network
from infra.settings import StackSettings
from infra.storage import Buckets, JobTable

# While a node drains, its agent sends heartbeats more often than this. After this time without one,
# the group terminates the node.
HOOK_SECONDS = 120
HOOK = "drain"

# After this time without waiting or running jobs, all nodes are terminated.
IDLE_MINUTES = 5

METADATA = "http://169.254.169.254"

# The folders that the image is built from; other files must not change its hash.
IMAGE_NEEDS = ("cluster_worker", "config")
# The files of `config` that set up a node.
NODE_NEEDS = ("*.sh", "systemd")


class Workers(Construct):
    """The Auto Scaling group of worker nodes.

    Parameters
    ----------
    network, broker, table, buckets
        The constructs that the nodes use.
    environment : mapping
        Settings of the nodes, as environment variables.
    name : str
        Name of the group.
    wanted : cloudwatch.Metric
        Number of nodes wanted.
    settings : StackSettings
        Instance types, spot share and most nodes.

    Attributes
    ----------
    group : autoscaling.AutoScalingGroup
        The group, of zero to `workers_max` nodes.
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
        name: str,
        wanted: cloudwatch.Metric,
        settings: StackSettings,
    ) -> None:
        super().__init__(scope, id)
        self.image = worker_image(self, settings)
        self.scripts = node_scripts(self)
        self.log = log_group(self, "Log", settings)
        role = self._role(broker, table, buckets, name)
        if settings.hosts_max > 1:
            environment = {**environment, **self._share_images(role, settings)}
        self.group = autoscaling.AutoScalingGroup(
            self,
            "Group",
            auto_scaling_group_name=name,
            vpc=network.vpc,
            vpc_subnets=network.for_workers,
            min_capacity=0,
            max_capacity=settings.workers_max,
            mixed_instances_policy=self._instances_policy(network, role, environment, settings),
            # When AWS is likely to reclaim a spot instance, start its replacement before it ends.
            capacity_rebalance=True,
            group_metrics=[autoscaling.GroupMetrics.all()],
            # In an update, too, the hook below drains each old node.
            update_policy=autoscaling.UpdatePolicy.rolling_update(min_instances_in_service=0),
        )
        self.group.add_lifecycle_hook(
            "Drain",
            lifecycle_hook_name=HOOK,
            lifecycle_transition=autoscaling.LifecycleTransition.INSTANCE_TERMINATING,
            heartbeat_timeout=Duration.seconds(HOOK_SECONDS),
            default_result=autoscaling.DefaultResult.CONTINUE,
        )
        self._scale(wanted, settings.workers_max)

    def _role(self, broker: Broker, table: JobTable, buckets: Buckets, name: str) -> iam.Role:
        role = worker_role(self, table, buckets)
        allow(role, broker.secret.secret_arn, "secretsmanager:GetSecretValue")
        allow(
            role,
            group_arn(self, name),
            "autoscaling:SetInstanceProtection",
            "autoscaling:RecordLifecycleActionHeartbeat",
            "autoscaling:CompleteLifecycleAction",
        )
        allow_set_up(role, self.image, self.scripts)
        self.log.grant_write(role)
        return role

    def _share_images(self, role: iam.Role, settings: StackSettings) -> dict[str, str]:
        """Let workers work on one image together; return the settings by which they do."""
        secret = secrets.Secret(
            self,
            "HostsSecret",
            description="By which workers know each other before one makes ranks for another",
            generate_secret_string=secrets.SecretStringGenerator(
                password_length=64, exclude_punctuation=True
            ),
        )
        allow(role, secret.secret_arn, "secretsmanager:GetSecretValue")
        return {"HOSTS_MAX": str(settings.hosts_max), "HOSTS_SECRET": secret.secret_name}

    def _instances_policy(
        self,
        network: Network,
        role: iam.Role,
        environment: Mapping[str, str],
        settings: StackSettings,
    ) -> autoscaling.MixedInstancesPolicy:
        template = ec2.LaunchTemplate(
            self,
            "Node",
            machine_image=ec2.MachineImage.latest_amazon_linux2023(),
            role=role,
            security_group=network.worker,
            user_data=self._user_data(environment),
            require_imdsv2=True,
            # The worker asks from within a container, which adds one hop.
            http_put_response_hop_limit=2,
            detailed_monitoring=True,
            block_devices=[
                ec2.BlockDevice(
                    device_name="/dev/xvda",
                    volume=ec2.BlockDeviceVolume.ebs(
                        30, encrypted=True, volume_type=ec2.EbsDeviceVolumeType.GP3
                    ),
                )
            ],
        )
        types = [ec2.InstanceType(each) for each in settings.instance_types]
        return autoscaling.MixedInstancesPolicy(
            launch_template=template,
            launch_template_overrides=[
                autoscaling.LaunchTemplateOverrides(instance_type=each) for each in types
            ],
            instances_distribution=autoscaling.InstancesDistribution(
                on_demand_base_capacity=0,
                on_demand_percentage_above_base_capacity=100 - settings.spot_percent,
                spot_allocation_strategy=(
                    autoscaling.SpotAllocationStrategy.PRICE_CAPACITY_OPTIMIZED
                ),
            ),
        )

    def _user_data(self, environment: Mapping[str, str]) -> ec2.UserData:
        """Build the commands by which a new node sets itself up.

        They run the same script as on any other machine.
        """
        node = {
            **environment,
            "AWS_REGION": Aws.REGION,
            "METADATA_ENDPOINT": METADATA,
            "LIFECYCLE_HOOK": HOOK,
            "LOG_GROUP": self.log.log_group_name,
        }
        lines = "\n".join(f"{key}={value}" for key, value in node.items())
        data = ec2.UserData.for_linux()
        data.add_commands(
            "set -euo pipefail",
            "dnf install --assumeyes unzip",
            f"aws s3 cp --region {Aws.REGION} {self.scripts.s3_object_url} /root/node.zip",
            "mkdir -p /opt/dip && unzip -oq /root/node.zip -d /opt/dip/config",
            f"install -m 600 /dev/stdin /root/worker.env <<'END'\n{lines}\nEND",
            "bash /opt/dip/config/worker-node-config.sh"
            f" --image {self.image.image_uri} --env-file /root/worker.env",
        )
        return data

    def _scale(self, wanted: cloudwatch.Metric, workers_max: int) -> None:
        """Scale the group with the metric: up at once, down to zero after `IDLE_MINUTES` at zero.

        While any job waits or runs, the metric is never below the number of nodes
        (`chalicelib.backlog`). So no node is terminated while it works.
        """
        up = autoscaling.CfnScalingPolicy(
            self,
            "Up",
            auto_scaling_group_name=self.group.auto_scaling_group_name,
            policy_type="StepScaling",
            adjustment_type="ExactCapacity",
            metric_aggregation_type="Maximum",
            estimated_instance_warmup=180,
            step_adjustments=scaling_steps(workers_max),
        )
        down = autoscaling.CfnScalingPolicy(
            self,
            "Down",
            auto_scaling_group_name=self.group.auto_scaling_group_name,
            policy_type="StepScaling",
            adjustment_type="ExactCapacity",
            metric_aggregation_type="Maximum",
            step_adjustments=[
                autoscaling.CfnScalingPolicy.StepAdjustmentProperty(
                    metric_interval_upper_bound=0, scaling_adjustment=0
                )
            ],
        )
        for name, rule, minutes, policy in (
            ("Wanted", "GREATER_THAN_OR_EQUAL_TO_THRESHOLD", 1, up),
            ("Idle", "LESS_THAN_THRESHOLD", IDLE_MINUTES, down),
        ):
            alarm = wanted.create_alarm(
                self,
                name,
                threshold=1,
                comparison_operator=cloudwatch.ComparisonOperator[rule],
                evaluation_periods=minutes,
                # Without values, the number of waiting jobs is unknown: do not scale.
                treat_missing_data=cloudwatch.TreatMissingData.IGNORE,
                alarm_description=f"Scales the worker nodes: {name.lower()}. Nothing to be done.",
            )
            action: Any = alarm.node.default_child
            action.alarm_actions = [policy.ref]


def worker_image(scope: Construct, settings: StackSettings) -> ecr_assets.DockerImageAsset:
    """Add the worker's image, built from the worker's own folders, with its kernels."""
    return ecr_assets.DockerImageAsset(
        scope,
        "Image",
        directory=str(TOP),
        file="cluster_worker/Dockerfile",
        exclude=["*", *(f"!{each}" for each in IMAGE_NEEDS), "**/__pycache__", "**/.env"],
        build_args={"PROCESSORS": settings.processors},
        platform=ecr_assets.Platform.LINUX_AMD64,
    )


def node_scripts(scope: Construct) -> s3_assets.Asset:
    """Add the scripts and units that set up a node."""
    return s3_assets.Asset(
        scope,
        "Scripts",
        path=str(TOP / "config"),
        exclude=["*", *(f"!{each}" for each in NODE_NEEDS), "!systemd/*"],
    )


def worker_role(scope: Construct, table: JobTable, buckets: Buckets) -> iam.Role:
    """Add a role that may do what a worker does with table and buckets."""
    role = iam.Role(
        scope,
        "Role",
        assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
        description="What a worker node may do",
        managed_policies=[
            # For a shell on a node without a key or an open port.
            iam.ManagedPolicy.from_aws_managed_policy_name("AmazonSSMManagedInstanceCore")
        ],
    )
    allow(
        role,
        table.table.table_arn,
        "dynamodb:GetItem",
        "dynamodb:BatchGetItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "dynamodb:DeleteItem",
        "dynamodb:ConditionCheckItem",
        "dynamodb:Query",
    )
    allow(role, f"{buckets.uploads.bucket_arn}/uploads/*", "s3:GetObject")
    # Pictures are made of results that never lay on the node as a whole.
    results = buckets.results.bucket_arn
    allow(role, f"{results}/files/*", "s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload")
    allow(role, results, "s3:ListBucketMultipartUploads")
    allow_scratch(role, buckets.uploads.bucket_arn)
    return role


def allow_scratch(role: iam.Role, bucket: str) -> None:
    """Allow ranks to leave objects for each other, and to delete them."""
    prefix = resources.SCRATCH_PREFIX
    allow(
        role,
        f"{bucket}/{prefix}/*",
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",
    )
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["s3:ListBucket"],
            resources=[bucket],
            conditions={"StringLike": {"s3:prefix": f"{prefix}/*"}},
        )
    )


def allow_set_up(
    role: iam.Role, image: ecr_assets.DockerImageAsset, *assets: s3_assets.Asset
) -> None:
    """Allow a node to read what it is set up from: its image, and files."""
    allow(
        role,
        image.repository.repository_arn,
        "ecr:BatchCheckLayerAvailability",
        "ecr:GetDownloadUrlForLayer",
        "ecr:BatchGetImage",
    )
    allow_on_all(role, "ecr:GetAuthorizationToken")
    for asset in assets:
        allow(role, asset.bucket.arn_for_objects(asset.s3_object_key), "s3:GetObject")


def scaling_steps(workers_max: int) -> list[autoscaling.CfnScalingPolicy.StepAdjustmentProperty]:
    """Build one step for each number of nodes; bounds are relative to the alarm's threshold, 1."""
    return [
        autoscaling.CfnScalingPolicy.StepAdjustmentProperty(
            metric_interval_lower_bound=nodes - 1,
            metric_interval_upper_bound=nodes if nodes < workers_max else None,
            scaling_adjustment=nodes,
        )
        for nodes in range(1, workers_max + 1)
    ]
