"""Which lines of the logs are wanted; pure."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from loadbalancer.logs.parse import Line, Source

_STATUS = re.compile(r"[1-5](?:\d\d|xx)")
_ID = re.compile(r"[!-~]{1,128}")


class FilterError(ValueError):
    """A filter that cannot be; the message says what is accepted."""


@dataclass(frozen=True)
class Filter:
    """What a line must be about; None and nothing stand for anything.

    `statuses` are codes (404) and classes of codes (5xx). With them or with a request's id, lines
    that log no request are left out.
    """

    app: str | None = None
    statuses: frozenset[str] = frozenset()
    id: str | None = None

    @classmethod
    def parse(cls, *, app: str | None, status: str | None, request: str | None) -> "Filter":
        """Read what a user has given.

        Raises:
            FilterError: when it cannot be.
        """
        statuses = (
            [part.strip().lower() for part in status.split(",")] if status is not None else []
        )
        for one in statuses:
            if not _STATUS.fullmatch(one):
                raise FilterError(
                    f"status: {one!r} is neither a code nor a class of codes. "
                    "Give some such as 404, 5xx or 200,404"
                )
        if request is not None and not _ID.fullmatch(request):
            raise FilterError(
                f"request: {request!r} is not the id of a request, which has 1 to 128 visible "
                "ASCII characters. Give one that a line of the log ends with"
            )
        return cls(app, frozenset(statuses), request)

    @property
    def takes_all(self) -> bool:
        """Whether every line of every container is wanted."""
        return self == Filter()

    def check(self, apps: Collection[str]) -> None:
        """Refuse an app that is none of these.

        Raises:
            FilterError: with the apps that there are.
        """
        if self.app is not None and self.app not in apps:
            there = f"Give one of these: {', '.join(sorted(apps))}" if apps else "There is none"
            raise FilterError(f"app: {self.app!r} has no container in this stack. {there}")

    def concerns(self, source: Source) -> bool:
        """Tell whether a container can have lines that are wanted."""
        return source.app is None or self.app in {None, source.app}

    def wants(self, line: Line) -> bool:
        """Tell whether a line is wanted."""
        return self._of_app(line) and self._of_status(line) and self._of_request(line)

    def _of_app(self, line: Line) -> bool:
        if self.app is None or line.source.app is not None:
            return self.app in {None, line.source.app}
        request = line.request
        return request is not None and self.app in {request.app, *(t.app for t in request.tries)}

    def _of_status(self, line: Line) -> bool:
        if not self.statuses:
            return True
        if line.request is None:
            return False
        code = f"{line.request.status:03}"
        return not self.statuses.isdisjoint({code, f"{code[0]}xx"})

    def _of_request(self, line: Line) -> bool:
        return self.id is None or line.id == self.id
