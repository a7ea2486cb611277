"""What a stack's configuration holds: each key, its type and its default; pure."""

import json
import re
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyAddress,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from loadbalancer.rollout import plan, quantities

DEFAULT_WEIGHTS = {"app1": 6, "app2": 4}
HIGHEST_WEIGHT = 1000
DEFAULT_PORT = 8080
DEFAULT_ADMIN_PORT = 9113
ADMIN_BIND = IPv4Address("127.0.0.1")
"""Address of the host on which the admin port is published, whatever the others are."""
EVERY_APP = "*"
"""Key of the number of replicas that apps have for which none is given."""

_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:@-]{0,254}")
_PAIR = re.compile(r"\s*(?P<key>[^=,\s]+)\s*=\s*(?P<value>[^=,]*?)\s*")
_WHOLE = re.compile(r"[+-]?\d{1,18}")


def _whole_number(lowest: int, highest: int) -> BeforeValidator:
    """Accept an integer or its decimal text; a boolean, a fraction or anything else is refused."""

    def check(value: object) -> int:
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise PydanticCustomError(
                "whole_number",
                "is not a whole number from {lowest} to {highest}",
                {"lowest": lowest, "highest": highest},
            )
        return value

    return BeforeValidator(check)


def _positive_number(value: object) -> float:
    try:
        number = 0.0 if isinstance(value, bool) else float(str(value))
    except ValueError:
        number = 0.0
    if not 0.01 <= number <= 1024:  # noqa: PLR2004 - what Docker can express, what a host can have
        raise PydanticCustomError("cpus", "is not a number of processors from 0.01 to 1024")
    return number


def _image_reference(value: str) -> str:
    if not _IMAGE.fullmatch(value):
        raise PydanticCustomError("image", "is not the name of an image, such as nginx:1.30")
    return value


def pairs(value: object) -> object:
    """Read an object from its JSON text or from `name=value,name=value`."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("{"):
        try:
            return json.loads(value, object_pairs_hook=_no_key_twice)
        except json.JSONDecodeError as error:
            raise PydanticCustomError("json", f"is not valid JSON: {error}") from None
    parts = [_PAIR.fullmatch(part) for part in value.split(",")] if value.strip() else []
    if not all(parts):
        raise PydanticCustomError("pairs", "is neither JSON nor a list such as app1=7,app2=3")
    return _no_key_twice([(pair["key"], pair["value"]) for pair in parts if pair])


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise PydanticCustomError("twice", "names {key} twice", {"key": key})
    return dict(pairs)


Weight = Annotated[int, _whole_number(0, HIGHEST_WEIGHT)]
Port = Annotated[int, _whole_number(0, 65535)]
Seconds = Annotated[int, _whole_number(1, 3600)]
Replicas = Annotated[int, _whole_number(1, 100)]
ImageName = Annotated[str, AfterValidator(_image_reference)]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class BaseImages(_Model):
    """The images that the stack's own are built on."""

    python: ImageName = "python:3.14-slim"
    nginx: ImageName = "nginx:1.30"


class Limits(_Model):
    """What one container of an app may use: memory in MiB, processors as a number."""

    memory: Annotated[int, _whole_number(32, 1_048_576)] = 256
    cpus: Annotated[float, BeforeValidator(_positive_number)] = 1.0


def _one_for_all(value: object) -> object:
    """Read one number of replicas as that of every app."""
    if isinstance(value, str) and not _WHOLE.fullmatch(value.strip()):
        return pairs(value)
    return value if isinstance(value, dict) else {EVERY_APP: value}


def _text(check: Callable[[str], object]) -> BeforeValidator:
    """Accept what a function can read, and keep it as text; a list is joined by commas."""

    def read(value: object) -> str:
        parts = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(one, bool) or not isinstance(one, str | int | float) for one in parts):
            raise PydanticCustomError("text", "is neither text nor a number")
        text = ",".join(str(one).strip() for one in parts)
        try:
            check(text)
        except ValueError as error:
            reason = str(error).removeprefix(repr(text)).strip()
            raise PydanticCustomError("quantity", "{reason}", {"reason": reason}) from None
        return text

    return BeforeValidator(read)


def _above_zero(text: str) -> None:
    if not quantities.seconds(text):
        raise ValueError("is no time at all")


def _step_numbers(text: str) -> None:
    if text != "all" and not re.fullmatch(r"[1-9]\d{0,3}( *, *[1-9]\d{0,3})*", text):
        raise ValueError("is neither a list of steps such as 1,3 nor all")


def _flag(value: object) -> bool:
    if value not in (True, False, "true", "false"):
        raise PydanticCustomError("flag", "is neither true nor false")
    return value in (True, "true")


Duration = Annotated[str, _text(_above_zero)]
Flag = Annotated[bool, BeforeValidator(_flag)]


class RolloutSettings(_Model):
    """How the stack gets to other weights; what is None is not asked for.

    Percentages and durations stay text, such as `1%` and `500ms`, which has been checked.
    """

    to: Annotated[dict[str, Weight], BeforeValidator(pairs)] = {}
    steps: Annotated[str, _text(lambda text: plan.steps(text, 1))] | None = None
    linear: Annotated[str, _text(plan.linear)] | None = None
    canary: Annotated[str, _text(lambda text: plan.canary(text, 1))] | None = None
    at_once: Flag = False
    step_time: Duration = "30s"
    interval: Duration = "5s"
    max_error_rate: Annotated[str, _text(quantities.percent)] = "1%"
    max_p99: Duration = "500ms"
    min_samples: Annotated[int, _whole_number(1, 1_000_000)] = 100
    failure_limit: Annotated[int, _whole_number(1, 1000)] = 3
    deadline: Duration = "10min"
    compare: Flag = False
    confirm: Annotated[str, _text(_step_numbers)] | None = None
    hook: Annotated[str, Field(max_length=4096)] | None = None


def _rollout(value: object) -> object:
    """Read an object or its JSON; lists inside it leave no room for `name=value,name=value`."""
    if isinstance(value, str) and not value.strip():
        return {}
    if isinstance(value, str) and not value.lstrip().startswith("{"):
        raise PydanticCustomError("json", "is not a set of named values")
    return pairs(value)


class Settings(_Model):
    """One stack's configuration. Units: seconds, MiB; weights are relative to each other."""

    weights: Annotated[dict[str, Weight], BeforeValidator(pairs)] = DEFAULT_WEIGHTS
    replicas: Annotated[dict[str, Replicas], BeforeValidator(_one_for_all)] = {}
    port: Port = DEFAULT_PORT
    bind: IPvAnyAddress = Field(default="127.0.0.1", validate_default=True)
    admin_port: Port = DEFAULT_ADMIN_PORT
    direct_ports: Annotated[dict[str, Port], BeforeValidator(pairs)] = {}
    base_images: Annotated[BaseImages, BeforeValidator(pairs)] = BaseImages()
    limits: Annotated[Limits, BeforeValidator(pairs)] = Limits()
    drain: Seconds = 30
    settle: Annotated[int, _whole_number(0, 3600)] = 10
    rollout: Annotated[RolloutSettings, BeforeValidator(_rollout)] = RolloutSettings()


KEYS = tuple(field.alias or name for name, field in Settings.model_fields.items())
"""The keys of the configuration, as Pulumi.yaml declares them."""
