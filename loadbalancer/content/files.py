"""The files of a folder that are its content, with links resolved."""

import hashlib
import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from loadbalancer.content.ignored import GitIgnore, Level

_KINDS = {stat.S_IFSOCK: "socket", stat.S_IFIFO: "named pipe"}


class ContentError(ValueError):
    """A file that cannot be content: its path, what is wrong with it, and what fixes it.

    `path`, `value`, `reason` and `fix` are those of a `Problem` of the configuration.
    """

    def __init__(self, path: str, value: str, reason: str, fix: str) -> None:
        super().__init__(f"{path}: {value} {reason}. {fix}")
        self.path, self.value, self.reason, self.fix = path, value, reason, fix


@dataclass(frozen=True)
class Source:
    """Where content is read from.

    `folder` is relative to the project. `parts` are the files and folders of it that count, all
    where it is empty, and `without` are top-level names that do not count. `required` are files
    that must not be ignored, and `kept` those that count although a rule ignores them.
    """

    project: Path
    folder: str
    parts: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


class DockerIgnore(Protocol):
    """The rules of a .dockerignore file."""

    path: Path

    @property
    def has_exceptions(self) -> bool:
        """Whether a file in a folder that is left out may be in the context."""

    def ignores(self, name: str) -> bool:
        """Tell whether it leaves out a file or a folder of the context."""


@dataclass(frozen=True)
class File:
    """A file: its name in the folder, where it lies, and its bytes' SHA-256."""

    name: str
    path: Path
    executable: bool
    size: int
    digest: str


@dataclass(frozen=True)
class Content:
    """The files of a source, by name, and notes on what was left out.

    `hidden` are the files that Docker gets, and that COPY does not see, such as a Dockerfile that
    .dockerignore names.
    """

    files: tuple[File, ...]
    notes: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    def hash(self, parameters: Iterable[tuple[str, str]] = ()) -> str:
        """Hash names, modes and bytes, and parameters of the build.

        Returns:
            12 hexadecimal digits; the same wherever the project's folder is.
        """
        found = hashlib.sha256()
        for file in self.files:
            found.update(os.fsencode(file.name))
            found.update(f"\0{file.executable}\0{file.size}\0{file.digest}\0".encode())
        for key, value in sorted(parameters):
            found.update(f"{key}={value}\0".encode())
        return found.hexdigest()[:12]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file of any size, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


Parts = dict[Source, tuple[File, ...]]
"""Files by the part of a source that they are in: the source with that part alone."""


def read(
    source: Source,
    docker: DockerIgnore | None = None,
    git: GitIgnore | None = None,
    known: Parts | None = None,
) -> Content:
    """Read the content of a folder.

    Neither what git ignores nor what Docker ignores is part of it, nor are the files of editors and
    caches, virtual environments and empty folders. A link counts as what it leads to.

    Args:
        source: the folder, and what of it counts.
        docker: the rules of the context's .dockerignore.
        git: the rules of git in the project; by default they are read.
        known: parts that were read before, by the same rules, which are not read again, such as
            files that all apps share; those of this source are added.

    Raises:
        ContentError: for a link that leads nowhere, out of the project or into itself, for a file
            that cannot be read, and for a required file that is ignored.
    """
    git = git or GitIgnore(source.project.resolve())
    return _Reader(source, docker, git, {} if known is None else known).read()


class _Reader:
    def __init__(
        self, source: Source, docker: DockerIgnore | None, git: GitIgnore, known: Parts
    ) -> None:
        self._source = source
        self._known = known
        self._docker = docker
        self._project = source.project.resolve()
        self._git = git
        self._notes: list[str] = []

    def read(self) -> Content:
        folder = self._project / self._source.folder
        try:
            names = self._source.parts or tuple(one.name for one in folder.iterdir())
        except OSError as error:
            raise self._unreadable(folder) from error
        files: list[File] = []
        for name in sorted(set(names) - set(self._source.without), key=os.fsencode):
            part = replace(self._source, parts=(name,), without=(), required=())
            if part not in self._known:
                self._known[part] = tuple(self._part(folder, name))
            files += self._known[part]
        found = {file.name for file in files}
        for name in self._source.required:
            if name not in found and (folder / name).is_file():
                raise self._ignored(name)
        files.sort(key=lambda one: os.fsencode(one.name))
        hidden = [one for one in self._source.kept if self._docker and self._docker.ignores(one)]
        return Content(tuple(files), tuple(self._notes), tuple(hidden))

    def _part(self, folder: Path, name: str) -> Iterator[File]:
        path = folder / name
        if self._source.parts and path.is_dir():
            # Named by the user, so that no pattern leaves it out as a whole.
            real = self._target(path, (folder,)) if path.is_symlink() else path
            return self._folder(real, name, self._git.levels(real), ())
        return self._entry(path, name, self._git.levels(folder), (folder,))

    def _folder(
        self, real: Path, name: str, levels: list[Level], within: tuple[Path, ...]
    ) -> Iterator[File]:
        """Read a folder, which has another name in the content where a link leads to it."""
        try:
            entries = sorted((one.name for one in real.iterdir()), key=os.fsencode)
        except OSError as error:
            raise self._unreadable(real) from error
        for entry in entries:
            yield from self._entry(real / entry, f"{name}/{entry}", levels, (*within, real))

    def _entry(
        self, path: Path, name: str, levels: list[Level], within: tuple[Path, ...]
    ) -> Iterator[File]:
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return  # removed meanwhile, such as an editor's temporary file
        is_folder = stat.S_ISDIR(mode)
        kept = name in self._source.kept
        if not kept and self._git.ignores(levels, path, is_folder=is_folder):
            return
        ignored = bool(not kept and self._docker and self._docker.ignores(name))
        if ignored and not (
            self._docker and self._docker.has_exceptions and not stat.S_ISREG(mode)
        ):
            return
        if stat.S_ISLNK(mode):
            target = self._target(path, within)
            if target.is_dir():
                yield from self._folder(target, name, self._git.levels(target), within)
                return
            path, mode = target, target.stat().st_mode
        if is_folder:
            if not (path / "pyvenv.cfg").exists():
                yield from self._folder(path, name, levels + self._git.level(path), within)
        elif not ignored and stat.S_ISREG(mode):
            yield from self._file(path, name, mode)
        elif not ignored:
            kind = _KINDS.get(stat.S_IFMT(mode), "device")
            self._notes.append(f"{self._shown(path)} is a {kind}, so it is not in the image.")

    def _file(self, path: Path, name: str, mode: int) -> Iterator[File]:
        try:
            size, sha256 = path.stat().st_size, digest(path)
        except FileNotFoundError:
            return  # as above
        except OSError as error:
            raise self._unreadable(path) from error
        yield File(name, path, bool(mode & stat.S_IXUSR), size, sha256)

    def _target(self, link: Path, within: tuple[Path, ...]) -> Path:
        """Find what a link leads to."""
        text, shown = str(link.readlink()), self._shown(link)
        remove = f"rm {shlex.quote(shown)}"
        try:
            target = link.resolve(strict=True)
        except FileNotFoundError as error:
            reason = "does not exist, and this link leads there"
            raise ContentError(shown, text, reason, f"Remove the link: {remove}") from error
        except (RuntimeError, OSError) as error:
            reason = "leads back to this link"
            raise ContentError(shown, text, reason, f"Remove the link: {remove}") from error
        if target in within:
            reason = "is a folder around this link, so that it would contain itself"
            raise ContentError(shown, text, reason, f"Remove the link: {remove}")
        if not target.is_relative_to(self._project):
            copy = f"{remove} && cp -rL {shlex.quote(str(target))} {shlex.quote(shown)}"
            reason = "is outside of the project, where a link must not lead"
            raise ContentError(shown, text, reason, f"Copy it: {copy}")
        return target

    def _unreadable(self, path: Path) -> ContentError:
        try:
            mode = f"{stat.S_IMODE(path.stat().st_mode):04o}"
        except OSError:
            mode = "its folder"
        shown = self._shown(path)
        bits = "u+rx" if path.is_dir() else "u+r"
        fix = f"Permit it: chmod {bits} {shlex.quote(shown)}"
        return ContentError(shown, mode, "is a mode by which you cannot read it", fix)

    def _ignored(self, name: str) -> ContentError:
        """Explain that a file is ignored which the image needs."""
        path = self._project / self._source.folder / name
        if self._docker and self._docker.ignores(name):
            rules, exception = self._docker.path, f"!{name}"
        else:
            rules, exception = path.with_name(".gitignore"), f"!/{path.name}"
        fix = (
            f"Add an exception: echo {shlex.quote(exception)} >> {shlex.quote(self._shown(rules))}"
        )
        by = self._docker.path.name if self._docker and self._docker.ignores(name) else "git"
        reason = f"is ignored by {by}, and the image needs it"
        return ContentError(self._shown(path), path.name, reason, fix)

    def _shown(self, path: Path) -> str:
        """Write a path relative to the project."""
        inside = path.is_relative_to(self._project)
        return str(path.relative_to(self._project) if inside else path)
