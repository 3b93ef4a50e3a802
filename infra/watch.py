"""Monitoring: one dashboard, and alarms whose texts name the steps to take."""

from aws_cdk import Annotations, Aws, Duration, Fn
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.settings import StackSettings

MINUTE = Duration.minutes(1)
ABOVE = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
MISSING = cloudwatch.TreatMissingData

# A node starts within three minutes after the first image. If an image waits longer than this,
# something is wrong.
OLDEST_SECONDS_MAX = 1800
NO_WORKER_MINUTES = 15
ERROR_PERCENT_MAX = 5

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
    gateway, group, broker : str
        Names of the API's gateway, the workers' Auto Scaling group and the broker in CloudWatch.
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
        broker: str,
        settings: StackSettings,
    ) -> None:
        super().__init__(scope, id)
        self.settings = settings
        self.topic = sns.Topic(self, "Alarms", enforce_ssl=True)
        if settings.alarm_mail:
            self.topic.add_subscription(subscriptions.EmailSubscription(settings.alarm_mail))
        else:
            Annotations.of(self).add_warning_v2("dip:alarm_mail", NO_MAIL)
        self._watch_jobs()
        self._watch_api(gateway)
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

    def _watch_jobs(self) -> None:
        self._alarm(
            "DeadLetters",
            app_metric(self.settings, "DeadLetters"),
            0,
            1,
            "Images failed by our fault. Runbook 1: list them with their reasons by `make letters`;"
            " mend the cause; send them back by `make letters SEND=all`.",
        )
        self._alarm(
            "OldestWaiting",
            app_metric(self.settings, "OldestWaitingSeconds"),
            OLDEST_SECONDS_MAX,
            3,
            f"An image has waited for more than {OLDEST_SECONDS_MAX // 60} minutes. Runbook 2: look"
            " at wanted and running nodes on the dashboard; if fewer run than are wanted, look at"
            " the group's activity (no spot capacity, quota); else raise workers_max.",
        )
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
        desired = cloudwatch.Metric(
            namespace="AWS/AutoScaling",
            metric_name="GroupDesiredCapacity",
            dimensions_map={"AutoScalingGroupName": group},
            statistic="Maximum",
            period=MINUTE,
        )
        memory = cloudwatch.Metric(
            namespace="AWS/AmazonMQ",
            metric_name="RabbitMQMemUsed",
            dimensions_map={"Broker": broker},
            statistic="Maximum",
            period=MINUTE,
        )
        dashboard.add_widgets(
            graph("Images", app_metric(settings, "Waiting"), app_metric(settings, "InHand")),
            graph("Nodes", app_metric(settings, "Wanted"), app_metric(settings, "Nodes"), desired),
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
            graph("Broker's memory, bytes", memory),
        )
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


def graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    """Build a widget that draws metrics over time."""
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=8)
