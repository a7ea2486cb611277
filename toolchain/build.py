"""Pulumi's programs and its Docker plugin, built from Go modules.

Go's build cache makes this resumable. A program is installed by renaming, and the stamp that
marks it as current is written afterwards, so an interruption leaves no incomplete program.
"""

from __future__ import annotations

import hashlib
import os
import selectors
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from toolchain.steps import ToolchainError
from toolchain.versions import DOCKER_PLUGIN_VERSION, PULUMI_VERSION

Report = Callable[[str], None]

MODULE = Path(__file__).parent
SCHEMA = MODULE / "cmd" / "pulumi-resource-docker" / "schema" / "schema.json"
SDK = "github.com/pulumi/pulumi/sdk/v3"
EXECUTOR = "pulumi-language-python-exec"

TICK = 1.0
"""Seconds after which progress is reported again although there is no new output."""

LAST_LINES = 15

ENVIRONMENT = {
    # The build must match go.sum and use the given Go, whatever this user's settings are. It does
    # without a C compiler, because not every machine has one.
    "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
    "CGO_ENABLED": "0",
}

TAGS = "no_compose"
"""Leaves docker-compose out of the Docker plugin: no resource of Pulumi's uses it."""

HINTS = (
    (("dial tcp", "i/o timeout", "TLS handshake", "no such host", "proxyconnect"), "Go's modules "
     "could not be fetched: check the network, or set GOPROXY to a mirror"),
    (("no space left",), "The disk is full: make room (Go's cache needs about 5 GB)"),
    (("signal: killed",), "The system killed the compiler: it needs about 2 GB of memory"),
    (("checksum mismatch", "SECURITY ERROR"), "A module differs from go.sum: check the "
     "connection to the module proxy"),
    (("requires go >=",), "This Go is too old: put a newer one on PATH"),
)  # fmt: skip


class BuildError(ToolchainError):
    """A step of the build failed; the message has its last lines and what to do about it."""


@dataclass(frozen=True)
class Program:
    """A program to build: its Go package, and the variables that the linker sets in it."""

    name: str
    package: str
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def flags(self) -> list[str]:
        """The flags with which it is compiled and linked."""
        values = " ".join(f"-X {name}={value}" for name, value in self.variables)
        return ["-tags", TAGS, "-ldflags", f"-s -w {values}".strip()]

    @property
    def is_own(self) -> bool:
        """Whether its sources are in this module."""
        return self.package.startswith("./")


SDK_VERSION = (f"{SDK}/go/common/version.Version", f"v{PULUMI_VERSION}")
CLI = Program("pulumi", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", (SDK_VERSION,))
HOST = Program("pulumi-language-python", "./cmd/pulumi-language-python", (SDK_VERSION,))
DYNAMIC = Program("pulumi-resource-pulumi-python", "./cmd/pulumi-resource-pulumi-python")
SCHEMA_WRITER = Program("docker-schema", "./cmd/docker-schema")
DOCKER = Program(
    "pulumi-resource-docker",
    "./cmd/pulumi-resource-docker",
    (("main.version", DOCKER_PLUGIN_VERSION),),
)


def build_programs(go: Path, into: Path, report: Report) -> None:
    """Build Pulumi's CLI, its Python language host and the Docker plugin into a folder.

    Programs that are current are not built again. `report` is called at least every second with
    a line of progress. Raises BuildError.
    """
    into.mkdir(parents=True, exist_ok=True)
    compiler = Compiler(go, report)
    for program in (CLI, HOST, DYNAMIC):
        with _made(into, program.name, compiler.stamp(program)) as file:
            if file is not None:
                compiler.build(program, file)
    with _made(into, EXECUTOR, compiler.stamp(CLI)) as file:
        if file is not None:
            shutil.copyfile(compiler.sdk() / "python" / "cmd" / EXECUTOR, file)
    with _made(into, DOCKER.name, compiler.stamp(DOCKER)) as file:
        if file is not None:
            _write_schema(compiler, into)
            compiler.build(DOCKER, file)


def _write_schema(compiler: Compiler, into: Path) -> None:
    """Write the schema where the Docker plugin embeds it."""
    with _made(into, SCHEMA_WRITER.name, compiler.stamp(SCHEMA_WRITER)) as file:
        if file is not None:
            compiler.build(SCHEMA_WRITER, file)
    with _partial(into, SCHEMA.name) as file:
        writer = [str(into / SCHEMA_WRITER.name), DOCKER_PLUGIN_VERSION, str(file)]
        compiler.run("writing the Docker plugin's schema", writer)
        SCHEMA.parent.mkdir(exist_ok=True)
        # Renaming needs a copy on the same disk. Its name begins with a dot, so it would not be
        # embedded if it were left behind.
        with _partial(SCHEMA.parent, SCHEMA.name) as beside:
            shutil.copyfile(file, beside)
            beside.replace(SCHEMA)


@contextmanager
def _partial(folder: Path, name: str) -> Iterator[Path]:
    """Yield a temporary file to write to; afterwards it is removed unless it was renamed."""
    handle, path = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    os.close(handle)
    try:
        yield Path(path)
    finally:
        Path(path).unlink(missing_ok=True)


@contextmanager
def _made(folder: Path, name: str, stamp: str) -> Iterator[Path | None]:
    """Yield a file to write the program to, or None when the one in the folder is current."""
    program, stamp_file = folder / name, folder / f".{name}.stamp"
    if program.is_file() and stamp_file.is_file() and stamp_file.read_text() == stamp:
        yield None
        return
    with _partial(folder, name) as file:
        yield file
        file.chmod(0o755)
        stamp_file.unlink(missing_ok=True)
        file.replace(program)
    with _partial(folder, stamp_file.name) as file:
        file.write_text(stamp)
        file.replace(stamp_file)


class Compiler:
    """Runs Go in this module, with progress."""

    def __init__(self, go: Path, report: Report) -> None:
        self.go = go
        self.report = report
        self.version = self.run("asking Go for its version", [str(go), "env", "GOVERSION"]).strip()

    def stamp(self, program: Program) -> str:
        """Return a hash of what a program is built from; it is current while this is the same."""
        text = repr((self.version, program, sorted(ENVIRONMENT.items())))
        content = hashlib.sha256(text.encode())
        files = [MODULE / "go.mod", MODULE / "go.sum"]
        if program.is_own:
            own = (path for name in ("cmd", "shim") for path in (MODULE / name).rglob("*"))
            files += sorted(path for path in own if _is_source(path))
        for path in files:
            content.update(f"{path.relative_to(MODULE)}\n".encode())
            content.update(path.read_bytes())
        return content.hexdigest() + "\n"

    def build(self, program: Program, file: Path) -> None:
        """Compile and link a program into a file."""
        step = f"building {program.name}"
        listing = [str(self.go), "list", "-deps", *program.flags, "-f"]
        form = "{{if .Stale}}{{.ImportPath}}{{end}}"
        stale = self.run(step, [*listing, form, program.package])
        todo = len(stale.split())
        command = [str(self.go), "build", "-v", *program.flags, "-o", str(file), program.package]
        self.run(step, command, todo)

    def sdk(self) -> Path:
        """Return the folder of the Go module that has the SDK's scripts."""
        command = [str(self.go), "list", "-m", "-f", "{{.Dir}}", SDK]
        return Path(self.run("looking for the SDK", command).strip())

    def run(self, step: str, command: Sequence[str], packages: int = 0) -> str:
        """Run a command and return what it printed.

        Each line on standard error is progress: a module fetched, or one of `packages` done.
        """
        last: deque[str] = deque(maxlen=LAST_LINES)
        lines = 0
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8") as out,
            # Go leaves its temporary files behind when it is interrupted.
            tempfile.TemporaryDirectory(
                prefix="go-", dir=os.environ.get("GOTMPDIR") or None, ignore_cleanup_errors=True
            ) as scratch,
            subprocess.Popen(
                command,
                cwd=MODULE,
                env={**os.environ, **ENVIRONMENT, "GOTMPDIR": scratch},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            ) as process,
        ):
            try:
                for line in _lines(process, TICK):
                    if line:
                        last.append(line)
                        lines += 1
                    self.report(_progress(step, lines, packages))
            except BaseException:
                process.terminate()
                process.wait()
                raise
            if process.wait() != 0:
                raise BuildError(_failure(step, process.returncode, last))
            out.seek(0)
            return out.read()


def _is_source(path: Path) -> bool:
    return path.is_file() and path != SCHEMA and not path.name.endswith("_test.go")


def _progress(step: str, lines: int, packages: int) -> str:
    if not packages:
        return f"{step}: {lines:,} modules fetched" if lines else step
    if lines < packages:
        return f"{step}: {lines:,} of {packages:,} packages"
    return f"{step}: linking"


def _failure(step: str, code: int, last: Sequence[str]) -> str:
    printed = "\n".join(last)
    hints = (hint for signs, hint in HINTS if any(sign in printed for sign in signs))
    hint = next(hints, "See the lines above")
    return (
        f"{step} failed (exit code {code}):\n{printed}\n"
        f"{hint}, and run the same command again. Packages that are compiled already are kept."
    )


def _lines(process: subprocess.Popen[str], tick: float) -> Iterator[str]:
    """Yield a process's lines as they come, and an empty one when none came for `tick` seconds."""
    assert process.stderr is not None  # noqa: S101 - it was started with a pipe
    rest = ""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stderr, selectors.EVENT_READ)
        while True:
            if not selector.select(tick):
                yield ""
                continue
            chunk = os.read(process.stderr.fileno(), 65536)
            if not chunk:
                break
            *complete, rest = (rest + chunk.decode(errors="replace")).split("\n")
            yield from filter(None, complete)
    if rest:
        yield rest
