"""The filter of log lines: by app, status code, request ID and time."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from loadbalancer.config import units
from loadbalancer.logs.parse import Line, Source

_STATUS = re.compile(r"[1-5](?:\d\d|xx)")
_ID = re.compile(r"[!-~]{1,128}")


class FilterError(ValueError):
    """An invalid filter; the message says what is valid."""


@dataclass(frozen=True)
class Filter:
    """What a line must match; None and an empty set match every line.

    `statuses` are codes (404) and classes of codes (5xx). With `statuses` or `id`, only lines that
    log a request match. `since` is the earliest time in UTC, which is compared as text with that of
    a line; empty for none.
    """

    app: str | None = None
    statuses: frozenset[str] = frozenset()
    id: str | None = None
    since: str = ""

    @classmethod
    def parse(
        cls,
        *,
        app: str | None = None,
        status: str | None = None,
        request: str | None = None,
        since: str | None = None,
    ) -> "Filter":
        """Parse the options of a user.

        Raises:
            FilterError: when one is invalid.
        """
        statuses = (
            [part.strip().lower() for part in status.split(",")] if status is not None else []
        )
        for one in statuses:
            if not _STATUS.fullmatch(one):
                raise FilterError(
                    f"--status: {one!r} is neither a status code nor a class of codes. "
                    "Examples: 404, 5xx or 200,404"
                )
        if request is not None and not _ID.fullmatch(request):
            raise FilterError(
                f"--request: {request!r} is not a valid request ID: 1 to 128 visible ASCII "
                "characters, as at the end of a log line"
            )
        return cls(app, frozenset(statuses), request, _time(since) if since is not None else "")

    @property
    def takes_all(self) -> bool:
        """Whether every line of every container matches that is new enough."""
        return replace(self, since="") == Filter()

    def check(self, apps: Collection[str]) -> None:
        """Check that the app is one of these.

        Raises:
            FilterError: with the valid apps.
        """
        if self.app is not None and self.app not in apps:
            valid = f"Valid apps: {', '.join(sorted(apps))}" if apps else "No app has one"
            raise FilterError(f"--app: {self.app!r} has no container in this stack. {valid}")

    def reads(self, source: Source) -> bool:
        """Tell whether a container can have lines that match."""
        return source.app is None or self.app in {None, source.app}

    def matches(self, line: Line) -> bool:
        """Tell whether a line matches."""
        if line.time < self.since:
            return False
        return self._of_app(line) and self._of_status(line) and self._of_request(line)

    def _of_app(self, line: Line) -> bool:
        if self.app is None or line.source.app is not None:
            return self.app in {None, line.source.app}
        request = line.request
        return request is not None and self.app in {
            request.app,
            *(one.app for one in request.attempts),
        }

    def _of_status(self, line: Line) -> bool:
        if not self.statuses:
            return True
        if line.request is None:
            return False
        code = f"{line.request.status:03}"
        return not self.statuses.isdisjoint({code, f"{code[0]}xx"})

    def _of_request(self, line: Line) -> bool:
        return self.id is None or line.id == self.id


def _time(text: str) -> str:
    """Read a time, or how long ago it is, as the text of a time in UTC, which sorts by time.

    Raises:
        FilterError: when it is neither.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        try:
            found = datetime.now(UTC) - timedelta(seconds=float(units.parse_duration(text)))
        except (ValueError, OverflowError):
            raise FilterError(
                f"--since: {text!r} is neither a duration nor a time. "
                "Examples: 10min, 2h or 2026-01-31T12:00:00Z"
            ) from None
    # Without its end, since Docker's times have more digits, which come after.
    return f"{found.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"
