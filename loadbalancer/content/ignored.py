"""Which files of a folder are not content: those that git ignores, and those of editors and caches.

The patterns are matched by `pathspec`, which is imported when it is needed: the command line starts
without it.
"""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_NEVER = """\
.git
.hg
.svn

# Python and its tools
__pycache__/
*.py[cod]
.pytest_cache/
.mypy_cache/
.ruff_cache/
.hypothesis/
.tox/
.nox/

# Vim, Emacs, nano, Kate, gedit, and programs that write a new file beside the old one
.*.sw[a-p]
.sw[a-p]
.*.un~
4913
!4913/
*~
\\#*\\#
.#*
.*.kate-swp
.goutputstream-*
*___jb_tmp___
*___jb_old___
.~lock.*\\#
.nfs*
.fuse_hidden*

# Settings of editors, and what file managers leave
.idea/
.vscode/
*.sublime-workspace
.DS_Store
._*
Thumbs.db
desktop.ini
.directory
.Trash-*
"""
"""What nobody means to deploy, in the form of a .gitignore file."""

_REPOSITORY = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}

Level = tuple[Path, "GitIgnoreSpec"]
"""The patterns of one file, and the folder to which they are relative."""


class GitIgnore:
    """The files that git ignores in a project.

    These are the rules of gitignore(5), also where there is no repository: every .gitignore, and in
    a repository .git/info/exclude and the user's own `core.excludesFile`. Files that are tracked
    are not ignored, whatever matches them.
    """

    def __init__(self, project: Path) -> None:
        """Read the rules of the repository that a project is in; without one, its own."""
        self._project = project
        self._top = next(
            (one for one in (project, *project.parents) if (one / ".git").exists()), project
        )
        self._general = [(self._top, _spec(_NEVER.splitlines()))]
        self._tracked: frozenset[str] = frozenset()
        if (self._top / ".git").exists():
            printed = self._git("config", "--type=path", "--get", "core.excludesFile").rstrip("\n")
            home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
            excludes = [Path(printed) if printed else home / "git/ignore"]
            printed = self._git("rev-parse", "--git-path", "info/exclude").rstrip("\n")
            excludes.append(project / printed if printed else self._top / ".git/info/exclude")
            self._general += [(self._top, _read(path)) for path in excludes if path.is_file()]
            self._tracked = self._tracked_and_matched()

    def levels(self, folder: Path) -> list[Level]:
        """Return the rules that hold in a folder, from the weakest to the strongest.

        A folder that is named by the user, such as an app, counts even where a pattern matches it
        as a whole: `build/` does not empty an app that is called so.
        """
        levels = list(self._general)
        inner = folder.relative_to(self._top).parts
        for depth in range(len(inner) + 1):
            levels += self.level(self._top.joinpath(*inner[:depth]))
        return [(base, _without_whole(base, spec, folder)) for base, spec in levels]

    def level(self, folder: Path) -> list[Level]:
        """Return the rules of a folder's own .gitignore, if it has one."""
        path = folder / ".gitignore"
        return [(folder, _read(path))] if path.is_file() else []

    def ignores(self, levels: Iterable[Level], path: Path, *, is_folder: bool) -> bool:
        """Tell whether a file, or a folder with all that is in it, is ignored."""
        for base, spec in reversed(list(levels)):
            name = path.relative_to(base).as_posix()
            include = spec.check_file(f"{name}/" if is_folder else name).include
            if include is not None:
                return include and not self._is_tracked(path)
        return False

    def _is_tracked(self, path: Path) -> bool:
        return path.relative_to(self._top).as_posix() in self._tracked

    def _tracked_and_matched(self) -> frozenset[str]:
        """List the tracked files that patterns match, and the folders that they are in."""
        options = ("-z", "--full-name", "--cached", "--ignored", "--exclude-standard")
        listed = self._git("ls-files", *options)
        found = [Path(name) for name in listed.split("\0") if name]
        return frozenset(one.as_posix() for path in found for one in (path, *path.parents))

    def _git(self, *arguments: str) -> str:
        """Run git; what it prints is empty where it fails or is not installed."""
        # A hook of git's runs with variables for another repository, maybe.
        environ = {key: text for key, text in os.environ.items() if key not in _REPOSITORY}
        try:
            done = subprocess.run(
                ["git", "-C", str(self._project), *arguments],
                env=environ,
                capture_output=True,
                check=False,
                encoding="utf-8",
                errors="surrogateescape",
            )
        except OSError:
            return ""
        return done.stdout if done.returncode == 0 else ""


def _read(path: Path) -> "GitIgnoreSpec":
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        text = ""  # as git does
    return _spec(text.removeprefix("\ufeff").split("\n"))


def _spec(lines: Iterable[str]) -> "GitIgnoreSpec":
    from pathspec import GitIgnoreSpec  # noqa: PLC0415
    from pathspec.patterns.gitignore import GitIgnorePatternError  # noqa: PLC0415
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern  # noqa: PLC0415

    patterns = []
    for line in lines:
        try:
            patterns.append(GitIgnoreSpecPattern(line))
        except GitIgnorePatternError:
            continue  # as git does
    return GitIgnoreSpec(patterns)


def _without_whole(base: Path, spec: "GitIgnoreSpec", folder: Path) -> "GitIgnoreSpec":
    """Leave out the patterns that match a folder as a whole."""
    if folder == base:
        return spec
    name = f"{folder.relative_to(base).as_posix()}/"
    kept = [one for one in spec.patterns if not (one.include and one.match_file(name))]
    return spec if len(kept) == len(spec.patterns) else type(spec)(kept)
