"""Values as a user writes them in the configuration, and what each may be; pure."""

import json
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

HIGHEST_WEIGHT = 1000

_PAIR = re.compile(r"\s*(?P<key>[^=,\s]+)\s*=\s*(?P<value>[^=,]*?)\s*")
WHOLE = re.compile(r"[+-]?\d{1,18}")
"""A whole number in decimal digits."""


def whole_number(lowest: int, highest: int) -> BeforeValidator:
    """Accept an integer or its decimal text; a boolean, a fraction or anything else is refused."""

    def check(value: object) -> int:
        if isinstance(value, str) and WHOLE.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise PydanticCustomError(
                "whole_number",
                "is not a whole number from {lowest} to {highest}",
                {"lowest": lowest, "highest": highest},
            )
        return value

    return BeforeValidator(check)


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


def text(check: Callable[[str], object]) -> BeforeValidator:
    """Accept what a function can read, and keep it as text; a list is joined by commas."""

    def read(value: object) -> str:
        parts = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(one, bool) or not isinstance(one, str | int | float) for one in parts):
            raise PydanticCustomError("text", "is neither text nor a number")
        joined = ",".join(str(one).strip() for one in parts)
        try:
            check(joined)
        except ValueError as error:
            reason = str(error).removeprefix(repr(joined)).strip()
            raise PydanticCustomError("quantity", "{reason}", {"reason": reason}) from None
        return joined

    return BeforeValidator(read)


def _flag(value: object) -> bool:
    if value not in (True, False, "true", "false"):
        raise PydanticCustomError("flag", "is neither true nor false")
    return value in (True, "true")


Weight = Annotated[int, whole_number(0, HIGHEST_WEIGHT)]
Flag = Annotated[bool, BeforeValidator(_flag)]


class Model(BaseModel):
    """A part of the configuration: keys in camel case, none but those it has, never changed."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )
