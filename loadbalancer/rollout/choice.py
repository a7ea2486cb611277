"""From settings to a plan and the rules that its steps are watched by; pure."""

from collections.abc import Iterator

from loadbalancer.config.rollout import RolloutSettings
from loadbalancer.config.units import percent, seconds
from loadbalancer.rollout import plan
from loadbalancer.rollout.plan import Plan
from loadbalancer.rollout.verdict import Rules

DEFAULT_STEPS = "5,10,25,50,100"
KINDS = ("steps", "linear", "canary", "at_once")
"""The settings of which one says what the plan is."""


def chosen(settings: RolloutSettings) -> Plan:
    """Make the plan that settings ask for: steps at 5, 10, 25, 50 and 100 % where they do not."""
    time = float(seconds(settings.step_time))
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
        max_error_rate=float(percent(settings.max_error_rate)),
        max_p99=float(seconds(settings.max_p99)),
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


def faults(settings: RolloutSettings) -> Iterator[tuple[str, object, str]]:
    """Find what cannot be together: the key, its value, and why."""
    kinds = [kind for kind in KINDS if getattr(settings, kind)]
    for kind in kinds[1:]:
        key = "atOnce" if kind == "at_once" else kind
        first = "atOnce" if kinds[0] == "at_once" else kinds[0]
        yield key, getattr(settings, kind), f"is a second plan, beside {first}"
    if settings.to and not any(settings.to.values()):
        yield "to", settings.to, "are all 0, so that no app could answer"
    late = sorted(confirmed(settings) - set(range(1, len(chosen(settings)) + 1)))
    if late:
        reason = f"names step {late[0]}, and there are {len(chosen(settings))}"
        yield "confirm", settings.confirm, reason
