"""nginx.conf and its files in a running nginx: read them, and change them by a reload.

Each version has its own folder, and a link points to the version that nginx reads: an update that
is killed half-way leaves the link unchanged, and nginx able to start.
"""

import secrets
from collections.abc import Mapping

from loadbalancer.content import digest
from loadbalancer.engine import exec
from loadbalancer.nginx.process import (
    CURRENT,
    FILES_FOLDER,
    ROUTE_FOLDER,
    NginxError,
    NginxProcess,
    SupersededError,
)

_ROOT = "0"
"""Owner of the folder; nginx itself may only read it."""
_POINT = f'ln -sfn "$1" {CURRENT}.new && mv -T {CURRENT}.new {CURRENT}'
_TIDY = f'find {FILES_FOLDER} -mindepth 1 -maxdepth 1 -type d ! -name "$1" -exec rm -r {{}} +'


class FilesError(RuntimeError):
    """nginx refused its files; the message holds nginx's own."""


class LiveFiles(NginxProcess):
    """The files that one nginx serves by."""

    def digests(self) -> dict[str, str]:
        """Compute the digest of each file of the current version."""
        files = exec.read_folder(self._container, CURRENT)
        return {name: digest(data) for name, data in files.items()}

    def in_force(self) -> dict[str, str]:
        """Compute the digests of the files that nginx serves by; none if it has not loaded them."""
        folder = exec.read_folder(self._container, ROUTE_FOLDER)
        return self.digests() if self._has_loaded(folder) else {}

    def apply(self, files: Mapping[str, bytes]) -> None:
        """Make nginx serve by these files; returns when all its workers do.

        Whatever fails, nginx keeps serving by the files before, or by those of a change that was
        begun later.

        Args:
            files: the content of each, by its path relative to nginx.conf.

        Raises:
            FilesError: with nginx's message, or with the condition that was not met.
        """
        self.take_over()
        self._wait_until_healthy()
        before, version = self._version(), secrets.token_hex(6)
        try:
            paths = {f"{version}/{name}": files[name] for name in sorted(files)}
            exec.write_folder(self._container, FILES_FOLDER, paths)
            self._test(f"{FILES_FOLDER}/{version}")
            self._point(version)
            self._reload(self._write({}))
        except SupersededError as error:
            raise FilesError(f"nginx's files were not changed: {error}") from error
        except Exception as error:  # whatever the cause, such as an engine that has gone away
            self._put_back(before, error)
            raise FilesError(f"nginx's files were not changed: {error}") from error
        self._tidy(version)

    def _put_back(self, before: str, cause: Exception) -> None:
        try:
            if self._version() != before:
                self._point(before)
                self._reload(self._write({}))
            self._tidy(before)
        except Exception as error:
            message = f"{cause}; and the files before could not be put back: {error}"
            raise FilesError(message) from error

    def _version(self) -> str:
        code, output = self._run("readlink", CURRENT)
        if code or not output:
            raise FilesError(f"{CURRENT} is not a link to a version: {output}")
        return output

    def _point(self, version: str) -> None:
        """Point the link to another version, atomically."""
        self._expect_owner()
        code, output = self._run("sh", "-c", _POINT, "sh", version, user=_ROOT)
        if code:
            raise NginxError(output)

    def _tidy(self, version: str) -> None:
        """Remove every version but this one."""
        self._expect_owner()
        self._run("sh", "-c", _TIDY, "sh", version, user=_ROOT)
