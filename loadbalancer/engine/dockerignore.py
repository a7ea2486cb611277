"""The rules of a .dockerignore file."""

from pathlib import Path

from docker.utils.build import Pattern
from docker.utils.fnmatch import fnmatchcase


class DockerIgnore:
    """Which files of a build's context Docker leaves out.

    A pattern that matches a folder matches all that is in it, and the last one that matches
    decides: https://docs.docker.com/build/concepts/context/#dockerignore-files
    """

    def __init__(self, context: Path) -> None:
        """Read the file of a context; Dockerfile.dockerignore goes before .dockerignore."""
        own = context / "Dockerfile.dockerignore"
        self.path = own if own.is_file() else context / ".dockerignore"
        text = self.path.read_text("utf-8-sig", "surrogateescape") if self.path.is_file() else ""
        lines = (line.strip() for line in text.splitlines() if not line.startswith("#"))
        self._patterns = [one for one in (Pattern(line) for line in lines) if one.dirs]

    @property
    def has_exceptions(self) -> bool:
        """Whether a file in a folder that is left out may be in the context."""
        return any(one.exclusion for one in self._patterns)

    def ignores(self, name: str) -> bool:
        """Tell whether a file or a folder, by its path in the context, is left out."""
        parts = name.split("/")
        paths = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        ignored = False
        for pattern in self._patterns:
            if pattern.exclusion == ignored and any(
                fnmatchcase(path, pattern.cleaned_pattern) for path in paths
            ):
                ignored = not ignored
        return ignored
