"""Every key of a stack's configuration: its type, default, description and examples.

This is the only place where a key stands. The commands in error messages, the options of
`./lb rollout start` and docs/configuration.md derive from the metadata of these fields, and
Pulumi.yaml is compared with it by tests/unit/test_config_reference.py.

The first example of a key is a value as it is written on the command line, and is used in fix
commands. `item` is the example for one entry of a key that holds named values.
"""

from ipaddress import IPv4Address
from typing import Annotated

from pydantic import Field

from loadbalancer.config import units
from loadbalancer.config.values import (
    Address,
    Duration,
    Flag,
    HeaderSize,
    ImageName,
    Json,
    Memory,
    Model,
    Networks,
    Pairs,
    Percentage,
    Port,
    Processors,
    Size,
    Timeout,
    Weights,
    choice,
    text,
    whole_number,
)

DEFAULT_WEIGHTS = {"app1": 6, "app2": 4}
DEFAULT_STEPS = "5,10,25,50,100"
"""Steps of a rollout for which no plan is set."""
PLANS = ("steps", "linear", "canary", "at_once")
"""Fields of RolloutSettings of which at most one is set: the plan."""


_STEP_NUMBERS = text(lambda value: units.parse_step_numbers(value, 0), "numbers of steps, or all")


class BaseImages(Model):
    """Keys of `baseImages`."""

    python: ImageName = Field(
        default="python:3.14-slim",
        description="Image that the images of the apps are built on.",
        examples=["python:3.14-slim"],
    )
    nginx: ImageName = Field(
        default="nginx:1.30",
        description="Image that the image of the proxy is built on.",
        examples=["nginx:1.30"],
    )


class Limits(Model):
    """Keys of `limits` and `apps.<name>.limits`."""

    memory: Memory = Field(
        default=256, description="Memory of one container of an app, in MiB.", examples=["256"]
    )
    cpus: Processors = Field(
        default=1.0, description="Processors that one container of an app may use.", examples=["1"]
    )


class ClientLimits(Model):
    """Keys of `limits.perClient`; a limit that is not set does not hold."""

    connections: Annotated[int, whole_number(1, 65535)] | None = Field(
        default=None,
        description="Requests that one client address may have in progress at the same time, each "
        "on a connection of its own; more are refused with 429.",
        examples=["100"],
    )
    requests: Annotated[int, whole_number(1, 1_000_000)] | None = Field(
        default=None,
        description="Requests per second of one client address, and as many at once; more are "
        "refused with 429.",
        examples=["50"],
    )


class StackLimits(Limits):
    """Keys of `limits`: those of each app, and those of each client."""

    per_client: Annotated[ClientLimits, Pairs] = Field(
        default=ClientLimits(),
        description="Limits of each client address; none by default.",
        examples=["connections=100,requests=50"],
    )


class Http(Model):
    """Keys of `http`; sizes and durations stay text, such as `100MB` and `60s`."""

    max_body: Size = Field(
        default="100MB",
        description="Largest body of a request; a larger one is refused with 413.",
        examples=["100MB"],
    )
    header_size: HeaderSize = Field(
        default="32KB",
        description="Largest header of a response, and largest line in the header of a request: a "
        "longer address is refused with 414, a larger field with 431.",
        examples=["32KB"],
    )
    read_timeout: Timeout = Field(
        default="60s",
        description="Longest pause of an app before and within its response, after which the "
        "client gets 504, and of a client within its body.",
        examples=["60s"],
    )
    send_timeout: Timeout = Field(
        default="10min",
        description="Longest time in which a client takes nothing of its response, or an app "
        "nothing of a request.",
        examples=["10min"],
    )
    proxy_protocol: Flag = Field(
        default=False,
        description="Whether every connection to `port` starts with a header of the PROXY "
        "protocol, whose address of the client is taken from `trustedProxies`.",
        examples=["true"],
    )


# Keys that are set for all apps at the top level, and for one app under `apps.<name>`.
Replicas = Annotated[
    int,
    whole_number(1, 100),
    Field(
        description="Containers of each app. An app's share does not depend on it.",
        examples=["2"],
    ),
]
AppLimits = Annotated[
    Limits,
    Pairs,
    Field(
        description="Limits of each container of an app.",
        examples=["memory=256,cpus=1"],
    ),
]
Threads = Annotated[
    int,
    whole_number(1, 1024),
    Field(
        description="Requests that one process of an app answers at once; further ones wait. "
        "Health probes do not count.",
        examples=["32"],
    ),
]
Workers = Annotated[
    int,
    whole_number(1, 64),
    Field(
        description="Processes in each container of an app. Python uses one processor in each.",
        examples=["2"],
    ),
]
RequestLog = Annotated[
    str,
    choice("all", "errors", "none"),
    Field(
        description="Requests that an app logs beside nginx: all, those with a status of 500 or "
        "more, or none.",
        examples=["all"],
    ),
]


class AppSettings(Model):
    """Keys of `apps.<name>`; those that Settings has as well default to the value there."""

    replicas: Replicas = 1
    limits: AppLimits = Limits()
    threads: Threads = 32
    workers: Workers = 1
    request_log: RequestLog = "errors"
    direct_port: Port | None = Field(
        default=None,
        description="Port of the host that leads to the app's one container, past nginx; 0 takes "
        "a free one and keeps it.",
        examples=["5001"],
    )


class RolloutSettings(Model):
    """Keys of `rollout` and options of `./lb rollout start`.

    Percentages and durations stay text, such as `1%` and `500ms`, which has been checked.
    """

    to: Weights = Field(
        default_factory=dict,
        description="Target weights.",
        examples=["app1=0,app2=100"],
        json_schema_extra={"item": "1"},
    )
    steps: Annotated[str, text(units.parse_steps, "percentages that rise to 100")] | None = Field(
        default=None,
        description="Plan: the percentage of the way after each step. This is the plan if none is "
        f"set, with {DEFAULT_STEPS}.",
        examples=["5,10,25,50,100"],
    )
    linear: Annotated[str, text(units.parse_linear, "percentage/duration")] | None = Field(
        default=None,
        description="Plan: equal steps, each of this percentage and duration.",
        examples=["10%/60s"],
    )
    canary: Annotated[str, text(units.parse_canary, "percentage/duration")] | None = Field(
        default=None,
        description="Plan: one step of this percentage and duration, then 100 %.",
        examples=["5%/10min"],
    )
    at_once: Flag = Field(default=False, description="Plan: one step to 100 %.", examples=["true"])
    step_time: Duration = Field(
        default="30s",
        description="Duration of a step for which the plan has none.",
        examples=["30s"],
    )
    interval: Duration = Field(
        default="5s", description="Time between two checks of a step.", examples=["5s"]
    )
    max_error_rate: Percentage = Field(
        default="1%",
        description="Highest rate of failed requests, and of failed attempts, of a healthy step.",
        examples=["1%"],
    )
    max_p99: Duration = Field(
        default="500ms",
        description="Longest 99th percentile of the times until an app's response header in a "
        "healthy step.",
        examples=["500ms"],
    )
    min_samples: Annotated[int, whole_number(1, 1_000_000)] = Field(
        default=100, description="Requests that a check needs for a verdict.", examples=["100"]
    )
    failure_limit: Annotated[int, whole_number(1, 1000)] = Field(
        default=3,
        description="Failed checks in a row after which the rollout rolls back.",
        examples=["3"],
    )
    deadline: Duration = Field(
        default="10min",
        description="Time beyond its duration after which a step that has not passed rolls back.",
        examples=["10min"],
    )
    compare: Flag = Field(
        default=False,
        description="Also compare the apps that gain share with the others in the same window.",
        examples=["true"],
    )
    confirm: Annotated[str, _STEP_NUMBERS] | None = Field(
        default=None,
        description="Steps that wait for a confirmation: numbers from 1, or `all`.",
        examples=["1,3"],
    )
    hook: Annotated[str, Field(max_length=4096)] | None = Field(
        default=None,
        description="Command that runs before and after each step; an exit code other than 0 "
        "rolls back.",
        examples=["./check.sh"],
    )


class Settings(Model):
    """The keys of a stack's configuration."""

    weights: Weights = Field(
        default=DEFAULT_WEIGHTS,
        description="Weight of each app, relative to the others; 0 runs the app but sends it no "
        "requests. A list or JSON is the whole set; single weights are merged over the default.",
        examples=["app1=6,app2=4"],
        json_schema_extra={"item": "6"},
    )
    replicas: Replicas = 1
    limits: Annotated[StackLimits, Pairs] = Field(
        default=StackLimits(),
        description="Limits of each container of an app, and of each client.",
        examples=["memory=256,cpus=1"],
    )
    threads: Threads = 32
    workers: Workers = 1
    request_log: RequestLog = "errors"
    apps: Annotated[dict[str, Annotated[AppSettings, Json]], Json] = Field(
        default_factory=dict,
        description="Settings of single apps, by name; they override those for all apps.",
        examples=["""'{"app1":{"replicas":2}}'"""],
        json_schema_extra={"item": """'{"replicas":2}'"""},
    )
    port: Port = Field(
        default=8080,
        description="Port of the host on which nginx answers; 0 takes a free one and keeps it.",
        examples=["8080"],
    )
    bind: Address = Field(
        default=IPv4Address("127.0.0.1"),
        description="Address of the host on which ports are published; `0.0.0.0` for all of IPv4, "
        "`::` for all of IPv6 and IPv4.",
        examples=["127.0.0.1"],
    )
    admin_port: Port = Field(
        default=9113,
        description="Port of the host, on 127.0.0.1 only, with the live page and the metrics; 0 "
        "takes a free one and keeps it.",
        examples=["9113"],
    )
    http: Annotated[Http, Pairs] = Field(
        default=Http(),
        description="Sizes and times that nginx allows requests and responses.",
        examples=["maxBody=100MB,readTimeout=60s"],
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Addresses or networks of proxies in front of this one whose word on the "
        "client is taken: `X-Forwarded-*` and the PROXY protocol. 127.0.0.1 stands for programs "
        "on this host. What any other client sends is replaced.",
        examples=["10.0.0.0/8,192.168.1.5"],
    )
    access_log: Annotated[str, choice("all", "errors", "none")] = Field(
        default="all",
        description="Requests for which nginx writes a line: all, those answered with 400 and "
        "above, or none. Metrics count all.",
        examples=["errors"],
    )
    base_images: Annotated[BaseImages, Pairs] = Field(
        default=BaseImages(),
        description="Images that the stack's own images are built on.",
        examples=["python=python:3.14-slim,nginx=nginx:1.30"],
    )
    drain: Annotated[int, whole_number(1, 3600)] = Field(
        default=30,
        description="Seconds that requests in flight get to finish when their container stops.",
        examples=["30"],
    )
    settle: Annotated[int, whole_number(0, 3600)] = Field(
        default=10,
        description="Seconds that a new container must stay healthy before it gets requests.",
        examples=["10"],
    )
    rollout: Annotated[RolloutSettings, Json] = Field(
        default=RolloutSettings(),
        description="Target, plan and limits of `./lb rollout start`, whose options override them.",
        examples=["""'{"steps":"5,10,25,50,100"}'"""],
    )

    def app(self, name: str) -> AppSettings:
        """Resolve the settings of one app: its own over those for all apps."""
        shared = AppSettings.model_fields.keys() & Settings.model_fields.keys()
        own = self.apps.get(name, AppSettings()).model_dump(exclude_unset=True)
        of_all = self.model_dump(include=shared, exclude={"limits": {"per_client"}})
        return AppSettings.model_validate(_merge(of_all, own))


def _merge(defaults: dict[str, object], own: dict[str, object]) -> dict[str, object]:
    merged = dict(defaults)
    for key, value in own.items():
        default = merged.get(key)
        nested = isinstance(value, dict) and isinstance(default, dict)
        merged[key] = _merge(default, value) if nested else value  # type: ignore[arg-type]
    return merged


KEYS = tuple(field.alias or name for name, field in Settings.model_fields.items())
"""The top-level keys, as Pulumi.yaml declares them."""
