"""Settings of the server, from the environment of the container."""

from collections.abc import Mapping
from dataclasses import dataclass

from .middleware import LOWEST_STATUS


@dataclass(frozen=True)
class Settings:
    """Settings of one app's server; times in seconds, sizes in bytes."""

    app: str = "app"
    port: int = 8000
    # Threads are started when requests wait for them, and cost nothing before.
    threads: int = 32
    workers: int = 1
    grace_seconds: int = 30
    # Four lines of nginx's default size, and what nginx adds.
    head_bytes: int = 147456
    request_log: str = "all"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings; raises a ValueError that names each invalid variable and its value."""
        errors: list[str] = []

        def whole(key: str, default: int, highest: int, lowest: int = 1) -> int:
            text = environ.get(key, str(default))
            if text.isascii() and text.isdigit() and lowest <= int(text) <= highest:
                return int(text)
            errors.append(f"{key}: {text!r} is not a whole number from {lowest} to {highest}.")
            return default

        log = environ.get("REQUEST_LOG", cls.request_log)
        if log not in LOWEST_STATUS:
            errors.append(f"REQUEST_LOG: {log!r} is not one of {', '.join(LOWEST_STATUS)}.")
        settings = cls(
            app=environ.get("APP", cls.app),
            port=whole("PORT", cls.port, 65535),
            threads=whole("THREADS", cls.threads, 1024),
            workers=whole("WORKERS", cls.workers, 64),
            grace_seconds=whole("GRACE_SECONDS", cls.grace_seconds, 86400),
            head_bytes=whole("HEAD_BYTES", cls.head_bytes, 1 << 23, lowest=8192),
            request_log=log,
        )
        if errors:
            raise ValueError("\n".join(errors))
        return settings
