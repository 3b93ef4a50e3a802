"""Monitoring: one dashboard, and alarms whose texts name the steps to take."""

from collections.abc import Mapping, Sequence

from aws_cdk import Annotations, Aws, Duration, Fn
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.settings import CONNECTIONS_MAX, StackSettings

MINUTE, FIVE_MINUTES = Duration.minutes(1), Duration.minutes(5)
ABOVE = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
MISSING = cloudwatch.TreatMissingData

# A node starts within three minutes after the first image. If an image waits longer than this,
# something is wrong.
OLDEST_SECONDS_MAX = 1800
NO_WORKER_MINUTES = 15
ERROR_PERCENT_MAX = 5
# An image may hold workers for this many times its limit of processor time: its ranks also wait for
# the store.
LEASE_LIMITS = 6
# Within five minutes. A node or a broker that is replaced makes a call or two fail.
FUNCTION_ERRORS_MAX = 3
# DynamoDB's clients try again; a table that just grows refuses some requests.
TABLE_THROTTLES_MAX = 20
BROKER_PERCENT_MAX = 80
ROOM = (
    "look for clients that connect again and again in the broker's log; then choose a larger"
    " broker_type, or lower api_concurrency or workers_max."
)

NO_MAIL = (
    "alarm_mail is not set, so no mail is sent when an alarm is raised; "
    "deploy with -c alarm_mail=ops@example.org"
)


def app_metric(settings: StackSettings, name: str, statistic: str = "Maximum") -> cloudwatch.Metric:
    """Return a metric that the app publishes every minute (`chalicelib.backlog` and `sweep`)."""
    return cloudwatch.Metric(
        namespace=settings.name, metric_name=name, statistic=statistic, period=MINUTE
    )


class Watch(Construct):
    """The dashboard and the alarms.

    Parameters
    ----------
    gateway, group, table, broker : str
        Names of the API's gateway, the workers' Auto Scaling group, the table and the broker in
        CloudWatch. The broker's is empty if it is on the worker's host, which has no group either.
    functions : mapping of str to str
        Names of the Lambda functions.
    settings : StackSettings
        Name of the app, mail address of the alarms, and budget.

    Attributes
    ----------
    address : str
        URL of the dashboard.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        gateway: str,
        group: str,
        table: str,
        broker: str,
        functions: Mapping[str, str],
        settings: StackSettings,
    ) -> None:
        super().__init__(scope, id)
        self.settings = settings
        self.topic = sns.Topic(self, "Alarms", enforce_ssl=True)
        if settings.alarm_mail:
            self.topic.add_subscription(subscriptions.EmailSubscription(settings.alarm_mail))
        else:
            Annotations.of(self).add_warning_v2("dip:alarm_mail", NO_MAIL)
        self._watch_jobs(has_group=bool(broker))
        self._watch_api(gateway)
        self._watch_functions(functions)
        self._watch_table(table)
        if broker:
            self._watch_scaling()
            self._watch_broker(broker)
        if settings.hosts_max > 1:
            self._watch_leases()
        self._watch_spend()
        self._add_dashboard(gateway, group, broker)

    def _alarm(
        self,
        id: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        minutes: int,
        text: str,
        missing: cloudwatch.TreatMissingData = MISSING.NOT_BREACHING,
    ) -> None:
        """Add an alarm that is raised when a metric was above the threshold for some periods."""
        alarm = cloudwatch.Alarm(
            self,
            id,
            metric=metric,
            threshold=threshold,
            comparison_operator=ABOVE,
            evaluation_periods=minutes,
            treat_missing_data=missing,
            alarm_description=text,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))

    def _watch_jobs(self, *, has_group: bool) -> None:
        # A single host has no group, and its broker's dead letters can be seen there alone.
        letters = (
            "list them with their reasons by `make letters`; mend the cause; send them back by"
            " `make letters SEND=all`."
            if has_group
            else "read their reasons in the logs of the host's sweep; mend the cause; retry the"
            " images on their page."
        )
        waiting = (
            "look at wanted and running nodes on the dashboard; if fewer run than are wanted, look"
            " at the group's activity (no spot capacity, quota); else raise workers_max."
            if has_group
            else "look whether the host runs; if not, look at the log of the API for"
            " worker_not_woken; else read the host's own log."
        )
        self._alarm(
            "DeadLetters",
            app_metric(self.settings, "DeadLetters"),
            0,
            1,
            f"Images failed by our fault. Runbook 1: {letters}",
        )
        self._alarm(
            "OldestWaiting",
            app_metric(self.settings, "OldestWaitingSeconds"),
            OLDEST_SECONDS_MAX,
            3,
            f"An image has waited for more than {OLDEST_SECONDS_MAX // 60} minutes. Runbook 2: "
            f"{waiting}",
        )

    def _watch_scaling(self) -> None:
        """Watch that nodes come, and that what they come by is measured."""
        idle = cloudwatch.MathExpression(
            expression="IF(waiting > 0 AND nodes < 1, 1, 0)",
            using_metrics={
                "waiting": app_metric(self.settings, "Waiting"),
                "nodes": app_metric(self.settings, "Nodes"),
            },
            period=MINUTE,
            label="images wait and no node consumes",
        )
        self._alarm(
            "NoConsumer",
            idle,
            0,
            NO_WORKER_MINUTES,
            "Images wait and no node consumes. Runbook 3: look at the group's activity (quota,"
            " capacity); open a shell on a node by Session Manager and read `journalctl -u"
            " docker-worker-compose`.",
        )
        self._alarm(
            "NoFigures",
            app_metric(self.settings, "Wanted", "SampleCount"),
            # No count exceeds this threshold, so only missing values raise the alarm.
            1_000_000,
            5,
            "The backlog is not measured, so nodes do not follow it. Runbook 4: read the log of"
            " the Backlog function; most often the broker does not answer: look at its page.",
            MISSING.BREACHING,
        )

    def _watch_leases(self) -> None:
        """Watch for how long one image holds several workers."""
        most = LEASE_LIMITS * self.settings.job_seconds_max
        self._alarm(
            "OldestLease",
            app_metric(self.settings, "OldestLeaseSeconds"),
            most,
            3,
            f"An image has held workers for more than {most // 60} minutes. Runbook 10: read the"
            " rows `hosts` of the table, whose lease names job and attempt; cancel the image on its"
            " page, or end the worker that holds it. A lease ends by itself when its worker has.",
        )

    def _watch_api(self, gateway: str) -> None:
        rate = cloudwatch.MathExpression(
            expression="IF(calls > 20, 100 * errors / calls, 0)",
            using_metrics={
                "calls": gateway_metric(gateway, "Count", "SampleCount"),
                "errors": gateway_metric(gateway, "5XXError", "Sum"),
            },
            period=Duration.minutes(5),
            label="calls that failed by our fault, %",
        )
        self._alarm(
            "Errors",
            rate,
            ERROR_PERCENT_MAX,
            1,
            f"More than {ERROR_PERCENT_MAX} % of the calls fail. Runbook 5: open /api/health, which"
            " names the part that does not answer; read the log of the APIHandler function for"
            " lines of level error.",
        )

    def _watch_functions(self, functions: Mapping[str, str]) -> None:
        # The operator who calls DeadLetters sees its errors.
        failures = total(
            "functions that failed",
            [
                lambda_metric(functions[name], "Errors")
                for name in ("APIHandler", "Sweep", "Backlog")
            ],
        )
        self._alarm(
            "FunctionErrors",
            failures,
            FUNCTION_ERRORS_MAX,
            2,
            "A function of the app ends with an error or runs out of time. Runbook 6: read the logs"
            " of APIHandler, Sweep and Backlog for a traceback or `Task timed out`.",
        )
        self._alarm(
            "FunctionThrottles",
            lambda_metric(functions["APIHandler"], "Throttles"),
            0,
            2,
            "The API is called more often at once than it may be. Runbook 7: raise api_concurrency,"
            " and the account's quota of Lambda if there is no room; a single address that calls"
            " too often is stopped by firewall_requests.",
        )

    def _watch_table(self, table: str) -> None:
        throttled = total(
            "requests that the table refused",
            [table_metric(table, f"{which}ThrottleEvents") for which in ("Read", "Write")],
        )
        self._alarm(
            "TableThrottles",
            throttled,
            TABLE_THROTTLES_MAX,
            2,
            "DynamoDB refuses requests because there are too many. Runbook 8: a table billed by the"
            " request grows with its load within half an hour; if it does not, look at the"
            " account's quotas of the table's throughput.",
        )

    def _watch_broker(self, broker: str) -> None:
        full = f"of a broker is used. Above its limit it blocks all who publish. Runbook 9: {ROOM}"
        for what, part, whole in (
            ("memory", "RabbitMQMemUsed", "RabbitMQMemLimit"),
            # The free disk falls towards the limit, at which the broker blocks.
            ("disk", "RabbitMQDiskFreeLimit", "RabbitMQDiskFree"),
        ):
            percent = cloudwatch.MathExpression(
                expression="100 * part / whole",
                using_metrics={
                    "part": broker_metric(broker, part),
                    "whole": broker_metric(broker, whole),
                },
                period=FIVE_MINUTES,
                label=f"{what}, % of the limit",
            )
            self._alarm(
                f"Broker{what.title()}", percent, BROKER_PERCENT_MAX, 2, f"Most {what} {full}"
            )
        most = CONNECTIONS_MAX[self.settings.broker_type] * BROKER_PERCENT_MAX // 100
        self._alarm(
            "BrokerConnections",
            broker_metric(broker, "ConnectionCount"),
            most,
            2,
            f"More than {most} connections are open, and the broker takes"
            f" {CONNECTIONS_MAX[self.settings.broker_type]}. Runbook 9: {ROOM}",
        )

    def _watch_spend(self) -> None:
        """Notify when the spend of a month exceeds the budget, or is forecast to exceed it."""
        budgets_service = iam.ServicePrincipal("budgets.amazonaws.com")
        self.topic.grant_publish(budgets_service)
        receiver = budgets.CfnBudget.SubscriberProperty(
            subscription_type="SNS", address=self.topic.topic_arn
        )
        budgets.CfnBudget(
            self,
            "Spend",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=f"{self.settings.name}-{Aws.REGION}",
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(
                    amount=self.settings.budget_usd, unit="USD"
                ),
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        comparison_operator="GREATER_THAN",
                        notification_type=kind,
                        threshold=100,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[receiver],
                )
                for kind in ("ACTUAL", "FORECASTED")
            ],
        )

    def _add_dashboard(self, gateway: str, group: str, broker: str) -> None:
        settings = self.settings
        name = settings.name
        # Dashboards and budgets have one list of names for all regions of the account.
        title = f"{name}-{Aws.REGION}"
        dashboard = cloudwatch.Dashboard(self, "Dashboard", dashboard_name=title)
        nodes = [app_metric(settings, "Wanted"), app_metric(settings, "Nodes")]
        if broker:
            desired = cloudwatch.Metric(
                namespace="AWS/AutoScaling",
                metric_name="GroupDesiredCapacity",
                dimensions_map={"AutoScalingGroupName": group},
                statistic="Maximum",
                period=MINUTE,
            )
            nodes.append(desired)
        dashboard.add_widgets(
            graph("Images", app_metric(settings, "Waiting"), app_metric(settings, "InHand")),
            graph("Nodes", *nodes),
            graph("Oldest waiting, seconds", app_metric(settings, "OldestWaitingSeconds")),
        )
        dashboard.add_widgets(
            graph("Dead letters", app_metric(settings, "DeadLetters")),
            graph(
                "API",
                gateway_metric(gateway, "Count", "SampleCount"),
                gateway_metric(gateway, "4XXError", "Sum"),
                gateway_metric(gateway, "5XXError", "Sum"),
            ),
        )
        if broker:
            memory = broker_metric(broker, "RabbitMQMemUsed")
            dashboard.add_widgets(graph("Broker's memory, bytes", memory))
        self.address = Fn.sub(
            "https://${AWS::Region}.console.aws.amazon.com/cloudwatch/home?region=${AWS::Region}"
            f"#dashboards/dashboard/{name}-${{AWS::Region}}"
        )


def gateway_metric(gateway: str, name: str, statistic: str) -> cloudwatch.Metric:
    """Return a metric of the API's gateway, over five minutes."""
    return cloudwatch.Metric(
        namespace="AWS/ApiGateway",
        metric_name=name,
        dimensions_map={"ApiName": gateway},
        statistic=statistic,
        period=Duration.minutes(5),
    )


def lambda_metric(function: str, name: str) -> cloudwatch.Metric:
    """Return a metric of a Lambda function, summed over five minutes."""
    return cloudwatch.Metric(
        namespace="AWS/Lambda",
        metric_name=name,
        dimensions_map={"FunctionName": function},
        statistic="Sum",
        period=FIVE_MINUTES,
    )


def table_metric(table: str, name: str) -> cloudwatch.Metric:
    """Return a metric of a DynamoDB table, summed over five minutes."""
    return cloudwatch.Metric(
        namespace="AWS/DynamoDB",
        metric_name=name,
        dimensions_map={"TableName": table},
        statistic="Sum",
        period=FIVE_MINUTES,
    )


def broker_metric(broker: str, name: str) -> cloudwatch.Metric:
    """Return the largest value of a metric of the broker in five minutes."""
    return cloudwatch.Metric(
        namespace="AWS/AmazonMQ",
        metric_name=name,
        dimensions_map={"Broker": broker},
        statistic="Maximum",
        period=FIVE_MINUTES,
    )


def total(label: str, metrics: Sequence[cloudwatch.IMetric]) -> cloudwatch.MathExpression:
    """Return the sum of metrics over five minutes; one without values counts as 0."""
    named = {f"m{number}": metric for number, metric in enumerate(metrics)}
    return cloudwatch.MathExpression(
        expression=" + ".join(f"FILL({name}, 0)" for name in named),
        using_metrics=named,
        period=FIVE_MINUTES,
        label=label,
    )


def graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    """Build a widget that draws metrics over time."""
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=8)
