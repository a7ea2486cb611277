"""Settings of the server, from the environment of the container."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Settings of one app's server; times in seconds."""

    app: str
    port: int
    threads: int
    grace_seconds: int

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings; raises a ValueError that names each invalid variable and its value."""
        errors: list[str] = []

        def whole(key: str, default: int, highest: int) -> int:
            text = environ.get(key, str(default))
            if text.isascii() and text.isdigit() and 1 <= int(text) <= highest:
                return int(text)
            errors.append(f"{key}: {text!r} is not a whole number from 1 to {highest}.")
            return default

        settings = cls(
            app=environ.get("APP", "app"),
            port=whole("PORT", 8000, 65535),
            # Enough that a few waiting requests do not delay the others; more threads reduce the
            # throughput of short requests (benchmarks/app_servers.py).
            threads=whole("THREADS", 8, 1024),
            grace_seconds=whole("GRACE_SECONDS", 30, 86400),
        )
        if errors:
            raise ValueError("\n".join(errors))
        return settings
