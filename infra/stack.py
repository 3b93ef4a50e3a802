"""The whole app on AWS, in the same sequence as the picture in ARCHITECTURE.md."""

import os
from typing import Any

from aws_cdk import App, CfnOutput, Stack, Tags, Validations
from cdk_nag import AwsSolutionsChecks
from constructs import Construct

from config.contract.settings import NO_BROKER
from infra import cost, rules
from infra.api import Api
from infra.broker import Broker
from infra.host import Host
from infra.network import Network
from infra.settings import StackSettings
from infra.site import Site
from infra.storage import Buckets, JobTable, bucket_name
from infra.watch import Watch, app_metric
from infra.workers import Workers


class AppStack(Stack):
    """Browser → CloudFront → API → table and broker → workers → results."""

    def __init__(
        self, scope: Construct, id: str, *, settings: StackSettings, **options: Any
    ) -> None:
        super().__init__(scope, id, **options)
        # Chalice needs a region to package the app, although nothing in the package depends on it.
        os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")
        prices = cost.read_prices()
        group, host_name = f"{settings.name}-workers", f"{settings.name}-host"
        thousand_images = sum(cost.thousand_images(settings, prices).values())

        network = Network(self, "Network", egress=cost.egress(settings, prices), settings=settings)
        table = JobTable(self, "Table", settings=settings)
        buckets = Buckets(self, "Buckets", settings=settings)
        broker = (
            None if settings.on_host else Broker(self, "Broker", network=network, settings=settings)
        )
        common = {
            "TABLE": table.table.table_name,
            "UPLOADS_BUCKET": bucket_name(settings, "uploads"),
            "RESULTS_BUCKET": bucket_name(settings, "results"),
            "PIXELS_MAX": str(settings.pixels_max),
            "UPLOAD_BYTES_MAX": str(settings.upload_bytes_max),
            "STREAMED_PIXELS_MAX": str(settings.streamed_pixels_max),
            "STREAMED_BYTES_MAX": str(settings.streamed_bytes_max),
        }
        if settings.trace_collector:
            common["TRACE_COLLECTOR"] = settings.trace_collector
        if broker:
            common |= {
                "BROKER_URL": broker.url,
                "BROKER_SECRET": broker.secret.secret_name,
                "WORKER_GROUP": group,
            }
        of_api = {
            "KEPT_SECONDS": str(settings.kept_days * 86_400),
            "METRICS_NAMESPACE": settings.name,
            "WORKERS_MAX": str(settings.workers_max),
            "WORKER_IMAGES": str(settings.worker_images),
            "THOUSAND_IMAGES_USD": f"{thousand_images:.4f}",
        }
        out_of_reach = {} if broker else {"BROKER_URL": NO_BROKER, "WORKER_HOST": host_name}
        api = Api(
            self,
            "Api",
            network=network,
            broker=broker,
            table=table,
            buckets=buckets,
            environment={**common, **of_api, **out_of_reach},
            worker_group=group if broker else host_name,
            settings=settings,
        )
        site = Site(self, "Site", api=api, buckets=buckets, settings=settings)
        buckets.allow_uploads_from(site.origin)
        of_worker = {
            **common,
            "JOB_SECONDS_MAX": str(settings.job_seconds_max),
            # A job that runs when the drain begins may take this long; the hook waits for it.
            "DRAIN_SECONDS": str(settings.job_seconds_max),
        }
        if broker:
            Workers(
                self,
                "Workers",
                network=network,
                broker=broker,
                table=table,
                buckets=buckets,
                environment=of_worker,
                name=group,
                wanted=app_metric(settings, "Wanted"),
                settings=settings,
            )
        else:
            Host(
                self,
                "Workers",
                network=network,
                table=table,
                buckets=buckets,
                api=api,
                environment={**of_worker, **of_api},
                name=host_name,
                settings=settings,
            )
        watch = Watch(
            self,
            "Watch",
            gateway=api.gateway_name,
            group=group,
            broker=broker.name if broker else "",
            table=table.table.table_name,
            functions=api.functions,
            settings=settings,
        )
        CfnOutput(self, "SiteUrl", value=site.origin)
        CfnOutput(self, "ApiUrl", value=f"{site.origin}/api")
        CfnOutput(self, "DashboardUrl", value=watch.address)
        CfnOutput(self, "DeadLettersFunction", value=api.functions["DeadLetters"])
        Tags.of(self).add("app", settings.name)


def add_stack(app: App, settings: StackSettings) -> AppStack:
    """Add the stack to a CDK app, with the checks of cdk-nag and our waivers; return the stack."""
    stack = AppStack(app, settings.name, settings=settings)
    rules.acknowledge(stack, settings)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return stack
