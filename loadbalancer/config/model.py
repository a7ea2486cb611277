"""What a stack's configuration holds: each key, its type and its default; pure."""

import re
from ipaddress import IPv4Address
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, IPvAnyAddress
from pydantic_core import PydanticCustomError

from loadbalancer.config.rollout import RolloutSettings, read_rollout
from loadbalancer.config.values import WHOLE, Model, Weight, pairs, whole_number

DEFAULT_WEIGHTS = {"app1": 6, "app2": 4}
DEFAULT_PORT = 8080
DEFAULT_ADMIN_PORT = 9113
ADMIN_BIND = IPv4Address("127.0.0.1")
"""Address of the host on which the admin port is published, whatever the others are."""
EVERY_APP = "*"
"""Key of the number of replicas that apps have for which none is given."""

_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:@-]{0,254}")


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


def _one_for_all(value: object) -> object:
    """Read one number of replicas as that of every app."""
    if isinstance(value, str) and not WHOLE.fullmatch(value.strip()):
        return pairs(value)
    return value if isinstance(value, dict) else {EVERY_APP: value}


Port = Annotated[int, whole_number(0, 65535)]
Seconds = Annotated[int, whole_number(1, 3600)]
Replicas = Annotated[int, whole_number(1, 100)]
ImageName = Annotated[str, AfterValidator(_image_reference)]


class BaseImages(Model):
    """The images that the stack's own are built on."""

    python: ImageName = "python:3.14-slim"
    nginx: ImageName = "nginx:1.30"


class Limits(Model):
    """What one container of an app may use: memory in MiB, processors as a number."""

    memory: Annotated[int, whole_number(32, 1_048_576)] = 256
    cpus: Annotated[float, BeforeValidator(_positive_number)] = 1.0


class Settings(Model):
    """One stack's configuration. Units: seconds, MiB; weights are relative to each other."""

    weights: Annotated[dict[str, Weight], BeforeValidator(pairs)] = DEFAULT_WEIGHTS
    replicas: Annotated[dict[str, Replicas], BeforeValidator(_one_for_all)] = Field(
        default_factory=dict
    )
    port: Port = DEFAULT_PORT
    bind: IPvAnyAddress = Field(default="127.0.0.1", validate_default=True)
    admin_port: Port = DEFAULT_ADMIN_PORT
    direct_ports: Annotated[dict[str, Port], BeforeValidator(pairs)] = Field(default_factory=dict)
    base_images: Annotated[BaseImages, BeforeValidator(pairs)] = BaseImages()
    limits: Annotated[Limits, BeforeValidator(pairs)] = Limits()
    drain: Seconds = 30
    settle: Annotated[int, whole_number(0, 3600)] = 10
    rollout: Annotated[RolloutSettings, BeforeValidator(read_rollout)] = RolloutSettings()


KEYS = tuple(field.alias or name for name, field in Settings.model_fields.items())
"""The keys of the configuration, as Pulumi.yaml declares them."""
