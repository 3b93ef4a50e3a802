"""CloudWatch and Auto Scaling, simulated with the template's own rules."""

from dataclasses import dataclass, field


@dataclass
class Rule:
    """An alarm with its step scaling policy, both as the template has them."""

    alarm: dict
    policy: dict

    def breaches(self, value):
        threshold = self.alarm["Threshold"]
        return {
            "GreaterThanOrEqualToThreshold": value >= threshold,
            "LessThanThreshold": value < threshold,
        }[self.alarm["ComparisonOperator"]]

    def acts(self, values):
        """Return whether the last values, one per minute, trigger the alarm."""
        periods = self.alarm["EvaluationPeriods"]
        return len(values) >= periods and all(map(self.breaches, values[-periods:]))

    def capacity(self, value):
        """Return the capacity of the step that a value falls into."""
        assert self.policy["AdjustmentType"] == "ExactCapacity"
        beyond = value - self.alarm["Threshold"]
        for step in self.policy["StepAdjustments"]:
            low = step.get("MetricIntervalLowerBound", float("-inf"))
            high = step.get("MetricIntervalUpperBound", float("inf"))
            if low <= beyond < high:
                return step["ScalingAdjustment"]
        raise AssertionError(f"no step for {value}")


@dataclass
class Scaling:
    """The group's desired capacity, as its rules change it."""

    rules: list
    values: list = field(default_factory=list)

    @classmethod
    def of(cls, resources):
        """Read the rules from a template's resources."""
        policies = {
            name: each["Properties"]
            for name, each in resources.items()
            if each["Type"] == "AWS::AutoScaling::ScalingPolicy"
        }
        rules = [
            Rule(each["Properties"], policies[action["Ref"]])
            for each in resources.values()
            if each["Type"] == "AWS::CloudWatch::Alarm"
            for action in each["Properties"].get("AlarmActions", ())
            if action.get("Ref") in policies
        ]
        assert len(rules) == 2
        return cls(rules)

    def after(self, desired, value):
        """Add one minute's value; return the desired capacity after it."""
        self.values.append(value)
        for rule in self.rules:
            if rule.acts(self.values):
                return rule.capacity(value)
        return desired
