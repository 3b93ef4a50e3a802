"""RabbitMQ on Amazon MQ: private, TLS only, with its user's password in Secrets Manager."""

import json

from aws_cdk import Aws, Fn, RemovalPolicy
from aws_cdk import aws_amazonmq as amazonmq
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secrets
from constructs import Construct

from config.contract import resources
from infra.logs import DAYS
from infra.network import Network
from infra.settings import CONNECTIONS_MAX, MICRO, StackSettings, version_of

USER = "dip"
LOGS = ("general", "connection", "channel")

# If a job takes longer than this, it is delivered again while it runs, and its late acknowledgement
# closes the channel. So this must exceed the longest job (`StackSettings.job_seconds_max` is at
# most 7,200 s) with its transfers.
CONSUMER_TIMEOUT_MS = 10_800_000
# Amazon MQ allows 100 connections by default there, fewer than API and workers may open.
SMALLEST = "mq.m7g.medium"


def configuration_of(broker_type: str) -> str:
    """Build the configuration of a broker on instances of a type."""
    lines = [f"consumer_timeout = {CONSUMER_TIMEOUT_MS}"]
    if broker_type != MICRO:
        # With RabbitMQ 3 the limits have their largest values, and Amazon MQ lets nobody set them.
        lines.append(f"max_message_size = {resources.MESSAGE_BYTES_MAX}")
    if broker_type == SMALLEST:
        lines.append(f"connection_max = {CONNECTIONS_MAX[SMALLEST]}")
    return "\n".join(lines) + "\n"


class Broker(Construct):
    """The broker with its configuration and its user.

    Attributes
    ----------
    secret : secrets.Secret
        JSON with ``username`` and ``password``.
    url : str
        ``amqps://host:5671``, without user and password.
    name : str
        Name of the broker, also in CloudWatch.
    """

    def __init__(
        self, scope: Construct, id: str, *, network: Network, settings: StackSettings
    ) -> None:
        super().__init__(scope, id)
        self.secret = secrets.Secret(
            self,
            "User",
            description="User of the broker, for API and workers",
            generate_secret_string=secrets.SecretStringGenerator(
                secret_string_template=json.dumps({"username": USER}),
                generate_string_key="password",
                password_length=40,
                # Amazon MQ refuses some punctuation; a password of this length needs none.
                exclude_punctuation=True,
            ),
        )
        version = version_of(settings.broker_type)
        configuration = amazonmq.CfnConfiguration(
            self,
            "Configuration",
            name=f"{settings.name}-broker",
            engine_type="RABBITMQ",
            engine_version=version,
            data=Fn.base64(configuration_of(settings.broker_type)),
        )
        zones = network.vpc.select_subnets(subnet_type=network.inside.subnet_type).subnet_ids
        # The names of an account's brokers differ in all regions.
        self.name = f"{settings.name}-broker-{Aws.REGION}"
        broker = amazonmq.CfnBroker(
            self,
            "RabbitMQ",
            broker_name=self.name,
            engine_type="RABBITMQ",
            engine_version=version,
            host_instance_type=settings.broker_type,
            deployment_mode="CLUSTER_MULTI_AZ" if settings.broker_cluster else "SINGLE_INSTANCE",
            publicly_accessible=False,
            # Amazon MQ requires this from version 3.13 on; it updates in the maintenance window.
            auto_minor_version_upgrade=True,
            subnet_ids=zones if settings.broker_cluster else zones[:1],
            security_groups=[network.broker.security_group_id],
            configuration=amazonmq.CfnBroker.ConfigurationIdProperty(
                id=configuration.ref, revision=configuration.attr_revision
            ),
            logs=amazonmq.CfnBroker.LogListProperty(general=True),
            users=[
                amazonmq.CfnBroker.UserProperty(
                    username=USER,
                    # CloudFormation reads the password; the template holds only the secret's name.
                    password=self.secret.secret_value_from_json("password").unsafe_unwrap(),
                )
            ],
        )
        # The broker is never kept: it would keep the network. The rows of the table say which jobs
        # are queued, and the sweep sends their messages to a new broker.
        # Amazon MQ creates these log groups itself, so only their retention is set here, and that
        # they go with the broker.
        for log in LOGS:
            logs.LogRetention(
                self,
                f"{log.title()}LogDays",
                log_group_name=f"/aws/amazonmq/broker/{broker.attr_id}/{log}",
                retention=DAYS[settings.log_days],
                removal_policy=RemovalPolicy.DESTROY,
            )
        self.url = Fn.select(0, broker.attr_amqp_endpoints)
