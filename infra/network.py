"""The network: two zones with private subnets, which reach AWS by NAT or by endpoints."""

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from infra.cost import ENDPOINTS
from infra.logs import log_group
from infra.settings import ZONES, StackSettings

HTTPS = ec2.Port.tcp(443)
AMQPS = ec2.Port.tcp(5671)


class Network(Construct):
    """A network whose private subnets cannot be reached from outside.

    Parameters
    ----------
    egress : str
        ``nat`` or ``endpoints``.
    settings : StackSettings
        Retention of the flow logs.

    Attributes
    ----------
    vpc : ec2.Vpc
        Two zones; S3 and DynamoDB are reached by gateway endpoints, which are free.
    inside : ec2.SubnetSelection
        The private subnets, for API, workers and broker.
    api, worker, broker : ec2.SecurityGroup
        API and workers may connect to AWS and to the broker; nothing may connect to them.
    """

    def __init__(self, scope: Construct, id: str, *, egress: str, settings: StackSettings) -> None:
        super().__init__(scope, id)
        by_nat = egress == "nat"
        inside = ec2.SubnetType.PRIVATE_WITH_EGRESS if by_nat else ec2.SubnetType.PRIVATE_ISOLATED
        subnets = [ec2.SubnetConfiguration(name="Inside", subnet_type=inside, cidr_mask=20)]
        if by_nat:
            public = ec2.SubnetType.PUBLIC
            subnets.append(
                ec2.SubnetConfiguration(
                    name="Outside", subnet_type=public, cidr_mask=28, map_public_ip_on_launch=False
                )
            )
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=None if settings.zones else ZONES,
            availability_zones=list(settings.zones) or None,
            nat_gateways=1 if by_nat else 0,
            subnet_configuration=subnets,
            restrict_default_security_group=False,
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
                "DynamoDB": ec2.GatewayVpcEndpointOptions(
                    service=ec2.GatewayVpcEndpointAwsService.DYNAMODB
                ),
            },
            flow_logs={
                "Refused": ec2.FlowLogOptions(
                    traffic_type=ec2.FlowLogTrafficType.REJECT,
                    destination=ec2.FlowLogDestination.to_cloud_watch_logs(
                        log_group(self, "Flows", settings)
                    ),
                )
            },
        )
        self.inside = ec2.SubnetSelection(subnet_type=inside)
        self.api = self._group("Api", "Lambda functions of the API")
        self.worker = self._group("Worker", "worker nodes")
        self.broker = self._group("Broker", "the broker")
        for group in (self.api, self.worker):
            group.add_egress_rule(ec2.Peer.any_ipv4(), HTTPS, "AWS: S3, DynamoDB and the rest")
            group.add_egress_rule(self.broker, AMQPS, "the broker")
            self.broker.add_ingress_rule(group, AMQPS, "API and workers, by TLS only")
        if not by_nat:
            self._add_endpoints()

    def _group(self, id: str, what: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(self, id, vpc=self.vpc, description=what, allow_all_outbound=False)

    def _add_endpoints(self) -> None:
        """Add endpoints by which the private subnets reach AWS and nothing else."""
        group = self._group("Endpoints", "interface endpoints of AWS")
        for client in (self.api, self.worker):
            group.add_ingress_rule(client, HTTPS, "API and workers")
        for name in ENDPOINTS:
            self.vpc.add_interface_endpoint(
                "".join(word.title() for word in name.split(".")),
                service=ec2.InterfaceVpcEndpointAwsService(name),
                subnets=self.inside,
                security_groups=[group],
                open=False,
            )
