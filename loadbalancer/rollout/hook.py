"""What a hook is told of the step before or after which it runs; pure."""

from loadbalancer.config.units import format_percentage as percentage
from loadbalancer.rollout.record import Progress
from loadbalancer.state.message import weights as written


def environment(progress: Progress, when: str, step: int) -> dict[str, str]:
    """Describe a step.

    Args:
        progress: the record of the rollout.
        when: "before" or "after" the step.
        step: the step's index.

    Returns:
        The variables that the hook gets beside the environment that it has.
    """
    plan = progress.plan
    return {
        "ROLLOUT_ID": progress.id,
        "ROLLOUT_WHEN": when,
        "ROLLOUT_STEP": str(step + 1),
        "ROLLOUT_STEPS": str(len(plan)),
        "ROLLOUT_PERCENT": percentage(plan[step].part).removesuffix("%"),
        "ROLLOUT_WEIGHTS": written(progress.weights_of(step)),
        "ROLLOUT_BEFORE": written(progress.before),
        "ROLLOUT_TARGET": written(progress.target),
        "ROLLOUT_FIGURES": progress.figures if when == "after" else "",
    }
