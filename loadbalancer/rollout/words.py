"""What is said of a rollout: its course, its steps, how it stands and what can be done; pure."""

from datetime import UTC, datetime

from loadbalancer.config.units import format_percentage as percentage
from loadbalancer.rollout.record import Progress, State
from loadbalancer.state.message import weights as written


def sentence(text: str) -> str:
    """Begin with a capital letter and end with a full stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "."


def course(progress: Progress) -> str:
    """Say from where to where it goes, and by which steps."""
    steps = ", ".join(percentage(step.part) for step in progress.plan)
    return f"{ends(progress)}, steps {steps} of the way"


def ends(progress: Progress) -> str:
    """Say from where to where it goes."""
    return f"from {written(progress.before)} to {written(progress.target)}"


def title(progress: Progress, step: int) -> str:
    """Name a step, by its index: "step 2 of 5 (10%)"."""
    plan = progress.plan
    return f"step {step + 1} of {len(plan)} ({percentage(plan[step].part)})"


def standing(record: Progress) -> str:
    """Say how a rollout is that nobody is at work on."""
    how = f"held: {record.reason}" if record.state is State.HELD else "cut off"
    return (
        f"A rollout to {written(record.target)} by {record.holder} was {how}, "
        f"at step {record.step + 1} of {len(record.plan)} with {written(record.weights)}"
    )


def ways(stack: str) -> str:
    """Say by which commands a rollout that nobody is at work on goes on, or back."""
    on, back = (f"make rollout DO={verb} STACK={stack}" for verb in ("resume", "abort"))
    return f"Go on with it: {on}; take it back: {back}"


def report(record: Progress, stack: str, *, alive: bool) -> str:
    """Say how far a rollout is; `alive` tells whether somebody is at work on it."""
    since = datetime.fromtimestamp(record.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    now = f"It is {record.state.value}." if alive else f"{standing(record)}. {ways(stack)}"
    return (
        f"Rollout {record.id} of {stack} since {since}, by {record.holder}:\n{ends(record)}, "
        f"step {record.step + 1} of {len(record.plan)}, now {written(record.weights)}.\n{now}"
    )
