"""Logs, kept for as many days as the settings say."""

from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.settings import StackSettings
from infra.storage import removal

DAYS = {
    1: logs.RetentionDays.ONE_DAY,
    3: logs.RetentionDays.THREE_DAYS,
    5: logs.RetentionDays.FIVE_DAYS,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    60: logs.RetentionDays.TWO_MONTHS,
    90: logs.RetentionDays.THREE_MONTHS,
    120: logs.RetentionDays.FOUR_MONTHS,
    150: logs.RetentionDays.FIVE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
}


def log_group(scope: Construct, id: str, settings: StackSettings) -> logs.LogGroup:
    """Make a log group."""
    return logs.LogGroup(
        scope, id, retention=DAYS[settings.log_days], removal_policy=removal(settings)
    )
