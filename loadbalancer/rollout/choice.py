"""From settings to a plan and the rules that its steps are watched by; pure."""

from loadbalancer.config.model import DEFAULT_STEPS, RolloutSettings
from loadbalancer.config.units import parse_duration, parse_percentage
from loadbalancer.rollout import plan
from loadbalancer.rollout.plan import Plan
from loadbalancer.rollout.verdict import Rules

def chosen(settings: RolloutSettings) -> Plan:
    """Make the plan that settings ask for: steps at 5, 10, 25, 50 and 100 % where they do not."""
    time = float(parse_duration(settings.step_time))
    if settings.linear:
        return plan.linear(settings.linear)
    if settings.canary:
        return plan.canary(settings.canary, time)
    if settings.at_once:
        return plan.at_once(time)
    return plan.steps(settings.steps or DEFAULT_STEPS, time)


def rules(settings: RolloutSettings) -> Rules:
    """Make the rules that settings ask for."""
    return Rules(
        max_error_rate=float(parse_percentage(settings.max_error_rate)),
        max_p99=float(parse_duration(settings.max_p99)),
        min_samples=settings.min_samples,
        compare=settings.compare,
    )


def confirmed(settings: RolloutSettings) -> frozenset[int]:
    """Number the steps, from 1, that a person must agree to."""
    if settings.confirm is None:
        return frozenset()
    count = len(chosen(settings))
    if settings.confirm == "all":
        return frozenset(range(1, count + 1))
    return frozenset(int(number) for number in settings.confirm.split(","))
