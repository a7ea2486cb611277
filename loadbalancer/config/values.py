"""Validators of the values in the configuration: numbers, texts, flags and named values."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from loadbalancer.config import units

HIGHEST_WEIGHT = 1000

_PAIR = re.compile(r"\s*(?P<key>[^=,\s]+)\s*=\s*(?P<value>[^=,]*?)\s*")
_WHOLE = re.compile(r"[+-]?\d{1,18}")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:@-]{0,254}")


class Model(BaseModel):
    """Base of the models: keys in camel case, no unknown keys, immutable."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )

    @classmethod
    def key(cls, name: str) -> str:
        """Name the key of a field, as it stands in the configuration."""
        return cls.model_fields[name].alias or name


@dataclass(frozen=True, slots=True)
class Check(BeforeValidator):
    """A validator that turns a value as it is written into its type, which `kind` describes."""

    kind: str = ""


def whole_number(lowest: int, highest: int) -> Check:
    """Accept an integer or its decimal text, but no boolean, which Python takes for an integer."""

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

    return Check(check, kind=f"whole number, {lowest} to {highest}")


def text(parse: Callable[[str], object], kind: str) -> Check:
    """Accept what a function can parse, and keep it as text; a list is joined by commas."""

    def read(value: object) -> str:
        parts = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(one, bool) or not isinstance(one, str | int | float) for one in parts):
            raise PydanticCustomError("text", "is neither text nor a number")
        joined = ",".join(str(one).strip() for one in parts)
        try:
            parse(joined)
        except ValueError as error:
            reason = str(error).removeprefix(repr(joined)).strip()
            raise PydanticCustomError("unit", "{reason}", {"reason": reason}) from None
        return joined

    return Check(read, kind=kind)


def read_pairs(value: object) -> object:
    """Read an object from its JSON text or from `name=value,name=value`."""
    if not isinstance(value, str) or value.lstrip().startswith("{"):
        return read_json(value)
    parts = [_PAIR.fullmatch(part) for part in value.split(",")] if value.strip() else []
    if not all(parts):
        raise PydanticCustomError("pairs", "is neither JSON nor a list such as app1=7,app2=3")
    return _without_duplicates([(pair["key"], pair["value"]) for pair in parts if pair])


def read_json(value: object) -> object:
    """Read an object from its JSON text; other values are for the validators that follow."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return {}
    if not value.lstrip().startswith("{"):
        raise PydanticCustomError("object", "is not a set of named values")
    try:
        return json.loads(value, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        raise PydanticCustomError("json", f"is not valid JSON: {error}") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise PydanticCustomError("duplicate", "names {key} twice", {"key": key})
    return dict(pairs)


def _flag(value: object) -> bool:
    if value not in (True, False, "true", "false"):
        raise PydanticCustomError("flag", "is neither true nor false")
    return value in (True, "true")


def _processors(value: object) -> float:
    try:
        number = 0.0 if isinstance(value, bool) else float(str(value))
    except ValueError:
        number = 0.0
    # Docker takes hundredths of a processor; the upper bound is that of large hosts.
    if not 0.01 <= number <= 1024:  # noqa: PLR2004
        raise PydanticCustomError("processors", "is not a number of processors from 0.01 to 1024")
    return number


def _address(value: object) -> IPv4Address | IPv6Address:
    try:
        return ip_address(str(value))
    except ValueError:
        raise PydanticCustomError("address", "is not an IP address of the host") from None


def _networks(value: object) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read a list, its JSON text, or a text with commas."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.lstrip().startswith("[") else value.split(",")
        except json.JSONDecodeError as error:
            raise PydanticCustomError("json", f"is not valid JSON: {error}") from None
    parts = value if isinstance(value, list | tuple) else [value]
    try:
        return tuple(ip_network(text) for one in parts if (text := str(one).strip()))
    except ValueError:
        raise PydanticCustomError(
            "networks", "is not a list of IP addresses or networks, such as 10.0.0.0/8,192.168.1.5"
        ) from None


def choice(*choices: str) -> Check:
    """Accept one of some words."""

    def check(value: object) -> object:
        if value not in choices:
            raise PydanticCustomError("choice", f"is none of {', '.join(choices)}")
        return value

    return Check(check, kind=f"{', '.join(choices[:-1])} or {choices[-1]}")


def _image_reference(value: object) -> str:
    if not isinstance(value, str) or not _IMAGE.fullmatch(value):
        raise PydanticCustomError("image", "is not the name of an image, such as nginx:1.30")
    return value


Pairs = Check(read_pairs, kind="named values")
Json = Check(read_json, kind="named values")
Weight = Annotated[int, whole_number(0, HIGHEST_WEIGHT)]
Weights = Annotated[
    dict[str, Weight], Check(read_pairs, kind=f"weights by app, 0 to {HIGHEST_WEIGHT}")
]
Port = Annotated[int, whole_number(0, 65535)]
Memory = Annotated[int, whole_number(32, 1_048_576)]
"""MiB."""
Processors = Annotated[float, Check(_processors, kind="number, 0.01 to 1024")]
Address = Annotated[IPv4Address | IPv6Address, Check(_address, kind="IP address")]
Networks = Annotated[
    tuple[IPv4Network | IPv6Network, ...], Check(_networks, kind="IP addresses or networks")
]
ImageName = Annotated[str, Check(_image_reference, kind="name of an image")]
Flag = Annotated[bool, Check(_flag, kind="true or false")]
Percentage = Annotated[str, text(units.parse_percentage, "percentage")]
Duration = Annotated[str, text(units.parse_positive_duration, "duration")]
Timeout = Annotated[str, text(units.parse_timeout, "duration, at most 24h")]
Size = Annotated[str, text(units.parse_size, "size")]
HeaderSize = Annotated[str, text(units.parse_header_size, "size, 4KB to 1MB")]
