"""Log groups, whose logs are kept for the `log_days` of the settings."""

from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.settings import StackSettings
from infra.storage import removal_policy

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
    """Create a log group with the retention and the removal policy of the settings."""
    return logs.LogGroup(
        scope, id, retention=DAYS[settings.log_days], removal_policy=removal_policy(settings)
    )
