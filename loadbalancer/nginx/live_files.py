"""nginx.conf and what belongs to it, in a running nginx: read them, change them by a reload.

Each version has a folder of its own, and a link leads to the one that nginx reads: whoever is
killed half-way leaves the link where it was, and nginx able to start.
"""

import secrets
from collections.abc import Mapping

from docker.errors import APIError

from loadbalancer.content import digest
from loadbalancer.engine.wait import WaitTimeoutError
from loadbalancer.nginx.process import CURRENT, FILES_FOLDER, NginxError, NginxProcess

_ROOT = "0"
"""Who owns the folder; nginx itself may only read it."""
_POINT = f'ln -sfn "$1" {CURRENT}.new && mv -T {CURRENT}.new {CURRENT}'
_TIDY = f'find {FILES_FOLDER} -mindepth 1 -maxdepth 1 -type d ! -name "$1" -exec rm -r {{}} +'


class FilesError(RuntimeError):
    """nginx did not take its files; the message holds nginx's own."""


class RunningFiles(NginxProcess):
    """The files that one nginx serves by."""

    def in_force(self) -> dict[str, str]:
        """Find the digest of each file that nginx serves by; none if it has not read them yet."""
        if not self._is_current():
            return {}
        return {name: digest(data) for name, data in self._read(CURRENT).items()}

    def apply(self, files: Mapping[str, bytes]) -> None:
        """Make nginx serve by these files, and come back only when all its workers do.

        Whatever fails, the files that were there before serve on.

        Args:
            files: the content of each, by its path relative to nginx.conf.

        Raises:
            FilesError: with nginx's own message, or with what was waited for in vain.
        """
        self._wait_until_healthy()
        before, version = self._version(), secrets.token_hex(6)
        try:
            self._write(FILES_FOLDER, {f"{version}/{name}": files[name] for name in sorted(files)})
            self._test(f"{FILES_FOLDER}/{version}")
            self._point(version)
            self._reload()
        except (NginxError, WaitTimeoutError, APIError) as error:
            self._put_back(before, error)
            raise FilesError(f"nginx's files were not changed: {error}") from error
        self._tidy(version)

    def _put_back(self, before: str, cause: Exception) -> None:
        try:
            if self._version() != before:
                self._point(before)
                self._reload()
            self._tidy(before)
        except (NginxError, WaitTimeoutError, APIError) as error:
            message = f"{cause}; and those before could not be put back: {error}"
            raise FilesError(message) from error

    def _version(self) -> str:
        code, said = self._run("readlink", CURRENT)
        if code or not said:
            raise FilesError(f"{CURRENT} is not the link that it should be: {said}")
        return said

    def _point(self, version: str) -> None:
        """Have the link lead to another version; at no moment does it lead nowhere."""
        code, said = self._run("sh", "-c", _POINT, "sh", version, user=_ROOT)
        if code:
            raise NginxError(said)

    def _tidy(self, version: str) -> None:
        """Remove every version but this one."""
        self._run("sh", "-c", _TIDY, "sh", version, user=_ROOT)
