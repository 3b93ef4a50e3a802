"""Worker nodes: none while nothing waits, more the more waits, each drained before it goes."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Aws, Duration
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from config.contract.settings import TOP
from infra.broker import Broker
from infra.grants import allow, group_arn, reach_all
from infra.logs import log_group
from infra.network import Network
from infra.settings import StackSettings
from infra.storage import Buckets, JobTable

# The agent on a node sends a sign of life more often than that while it drains; a node whose
# agent is dead is waited for no longer.
HOOK_SECONDS = 120
HOOK = "drain"

# Nothing waits and nothing is in work for so many minutes: all nodes go.
IDLE_MINUTES = 5

METADATA = "http://169.254.169.254"

# What the image is built from; all else in this folder would change its hash.
IMAGE_NEEDS = ("cluster_worker", "config")
# What a node is set up with.
NODE_NEEDS = ("*.sh", "systemd")


class Workers(Construct):
    """The Auto Scaling group of worker nodes.

    Attributes
    ----------
    group : autoscaling.AutoScalingGroup
        From zero to `workers_max` nodes.
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
        self.image = ecr_assets.DockerImageAsset(
            self,
            "Image",
            directory=str(TOP),
            file="cluster_worker/Dockerfile",
            exclude=["*", *(f"!{each}" for each in IMAGE_NEEDS), "**/__pycache__", "**/.env"],
            platform=ecr_assets.Platform.LINUX_AMD64,
        )
        self.scripts = s3_assets.Asset(
            self,
            "Scripts",
            path=str(TOP / "config"),
            exclude=["*", *(f"!{each}" for each in NODE_NEEDS), "!systemd/*"],
        )
        self.log = log_group(self, "Log", settings)
        role = self._role(broker, table, buckets, name)
        self.group = autoscaling.AutoScalingGroup(
            self,
            "Group",
            auto_scaling_group_name=name,
            vpc=network.vpc,
            vpc_subnets=network.inside,
            min_capacity=0,
            max_capacity=settings.workers_max,
            mixed_instances_policy=self._mixture(network, role, environment, settings),
            # A spot instance that AWS is about to need is replaced before it goes.
            capacity_rebalance=True,
            group_metrics=[autoscaling.GroupMetrics.all()],
            # Old nodes are drained by the hook below, as whenever a node goes.
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
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
            description="What a worker node may do",
            managed_policies=[
                # A shell on a node without a key or an open port.
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
        results = f"{buckets.results.bucket_arn}/files/*"
        allow(role, results, "s3:PutObject", "s3:AbortMultipartUpload")
        allow(role, broker.secret.secret_arn, "secretsmanager:GetSecretValue")
        allow(
            role,
            group_arn(self, name),
            "autoscaling:SetInstanceProtection",
            "autoscaling:RecordLifecycleActionHeartbeat",
            "autoscaling:CompleteLifecycleAction",
        )
        allow(
            role,
            self.image.repository.repository_arn,
            "ecr:BatchCheckLayerAvailability",
            "ecr:GetDownloadUrlForLayer",
            "ecr:BatchGetImage",
        )
        reach_all(role, "ecr:GetAuthorizationToken")
        scripts = self.scripts.bucket.arn_for_objects(self.scripts.s3_object_key)
        allow(role, scripts, "s3:GetObject")
        self.log.grant_write(role)
        return role

    def _mixture(
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
            # From within a container it is one hop more.
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
        """Have a new node set itself up with the script that any other machine takes."""
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
        """Follow how many nodes are wanted: at once upwards, to zero after a while of nothing.

        The metric never wants fewer nodes than there are while anything waits or is in work
        (`chalicelib.backlog`), so no node is ordered away from its jobs.
        """
        up = autoscaling.CfnScalingPolicy(
            self,
            "Up",
            auto_scaling_group_name=self.group.auto_scaling_group_name,
            policy_type="StepScaling",
            adjustment_type="ExactCapacity",
            metric_aggregation_type="Maximum",
            estimated_instance_warmup=180,
            step_adjustments=steps_up(workers_max),
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
                # With no figure, nothing is known, and nothing is done.
                treat_missing_data=cloudwatch.TreatMissingData.IGNORE,
                alarm_description=f"Scales the worker nodes: {name.lower()}. Nothing to be done.",
            )
            action: Any = alarm.node.default_child
            action.alarm_actions = [policy.ref]


def steps_up(workers_max: int) -> list[autoscaling.CfnScalingPolicy.StepAdjustmentProperty]:
    """Build one step for each number of nodes; bounds count from the alarm's threshold of 1."""
    return [
        autoscaling.CfnScalingPolicy.StepAdjustmentProperty(
            metric_interval_lower_bound=nodes - 1,
            metric_interval_upper_bound=nodes if nodes < workers_max else None,
            scaling_adjustment=nodes,
        )
        for nodes in range(1, workers_max + 1)
    ]
