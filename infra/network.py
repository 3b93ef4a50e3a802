"""The network: two zones with private subnets, and how API and workers reach AWS from it."""

from aws_cdk import Aws
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from config.contract.settings import WorkerSettings
from infra.cost import ENDPOINTS
from infra.logs import log_group
from infra.settings import ZONES, StackSettings

HTTPS = ec2.Port.tcp(443)
AMQPS = ec2.Port.tcp(5671)
# By which workers share an image: their agents, and what MPI listens at.
HOSTS = {
    ec2.Port.tcp(WorkerSettings.agent_port): "agents",
    ec2.Port.tcp_range(*map(int, WorkerSettings.mpi_ports.split(":"))): "MPI",
}
NO_GATEWAY_OF_CDK = "@aws-cdk/aws-ec2:requirePrivateSubnetsForEgressOnlyInternetGateway"


class Network(Construct):
    """A network that cannot be reached from outside.

    S3 and DynamoDB are reached by gateway endpoints, which are free. The rest of AWS is reached by
    a NAT gateway, or by interface endpoints and nothing else. Or ``direct``, without a price while
    no worker runs: workers have public addresses, to which nothing may connect, and the API, which
    Lambda gives no public address, reaches Secrets Manager and Auto Scaling by IPv6.

    Parameters
    ----------
    egress : str
        ``nat``, ``endpoints`` or ``direct``.
    settings : StackSettings
        Retention of the flow logs.

    Attributes
    ----------
    egress : str
        As given.
    vpc : ec2.Vpc
        Two zones.
    inside : ec2.SubnetSelection
        The private subnets, for API and broker.
    for_workers : ec2.SubnetSelection
        The subnets of the workers.
    endpoints : dict of str to str
        Settings of the API: addresses of AWS that it must use here.
    api, worker, broker : ec2.SecurityGroup
        API and workers may connect to AWS and to the broker; nothing may connect to them, but
        workers to each other where they share images. There is the workers' alone where the broker
        is on their host.
    """

    def __init__(self, scope: Construct, id: str, *, egress: str, settings: StackSettings) -> None:
        super().__init__(scope, id)
        self.egress = egress
        by_nat, direct = egress == "nat", egress == "direct"
        inside = ec2.SubnetType.PRIVATE_WITH_EGRESS if by_nat else ec2.SubnetType.PRIVATE_ISOLATED
        subnets = []
        # Without a broker of its own, nothing is inside: the API needs no network then.
        if not settings.on_host:
            subnets.append(ec2.SubnetConfiguration(name="Inside", subnet_type=inside, cidr_mask=20))
        if by_nat or direct:
            subnets.append(
                ec2.SubnetConfiguration(
                    name="Outside",
                    subnet_type=ec2.SubnetType.PUBLIC,
                    cidr_mask=24 if direct else 28,
                    map_public_ip_on_launch=direct,
                )
            )
        # Otherwise CDK adds a gateway for IPv6 that nothing uses, beside ours.
        self.node.set_context(NO_GATEWAY_OF_CDK, True)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=None if settings.zones else ZONES,
            availability_zones=list(settings.zones) or None,
            nat_gateways=1 if by_nat else 0,
            ip_protocol=ec2.IpProtocol.DUAL_STACK if direct and not settings.on_host else None,
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
        self.for_workers = (
            ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC) if direct else self.inside
        )
        self.endpoints: dict[str, str] = {}
        self.worker = self._group("Worker", "worker nodes")
        if settings.on_host:
            self.worker.add_egress_rule(ec2.Peer.any_ipv4(), HTTPS, "AWS, and Debian's archive")
            return
        self.api = self._group("Api", "Lambda functions of the API")
        self.broker = self._group("Broker", "the broker")
        for group in (self.api, self.worker):
            group.add_egress_rule(ec2.Peer.any_ipv4(), HTTPS, "AWS: S3, DynamoDB and the rest")
            group.add_egress_rule(self.broker, AMQPS, "the broker")
            self.broker.add_ingress_rule(group, AMQPS, "API and workers, by TLS only")
        if settings.hosts_max > 1:
            for port, what in HOSTS.items():
                self.worker.add_ingress_rule(self.worker, port, f"workers that share: {what}")
                self.worker.add_egress_rule(self.worker, port, f"workers that share: {what}")
        if direct:
            self._add_ipv6()
        elif not by_nat:
            self._add_endpoints()

    def _group(self, id: str, what: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(self, id, vpc=self.vpc, description=what, allow_all_outbound=False)

    def _add_ipv6(self) -> None:
        """Let the private subnets reach AWS by IPv6, which needs no NAT and costs nothing.

        Secrets Manager's own address has IPv6; Auto Scaling has another address for it.
        """
        gateway = ec2.CfnEgressOnlyInternetGateway(self, "Ipv6", vpc_id=self.vpc.vpc_id)
        for number, subnet in enumerate(self.vpc.isolated_subnets):
            ec2.CfnRoute(
                self,
                f"Ipv6Route{number}",
                route_table_id=subnet.route_table.route_table_id,
                destination_ipv6_cidr_block="::/0",
                egress_only_internet_gateway_id=gateway.ref,
            )
        self.api.add_egress_rule(ec2.Peer.any_ipv6(), HTTPS, "AWS by IPv6")
        self.endpoints["AUTOSCALING_ENDPOINT"] = f"https://autoscaling.{Aws.REGION}.api.aws"

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
