"""NginxFiles: the dynamic resource that puts nginx.conf and all it needs into a running nginx."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import (
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from loadbalancer import folder

if TYPE_CHECKING:
    from loadbalancer.running_files import RunningFiles

IMAGE = ("Dockerfile", "image")
"""What of nginx's folder its image is made of; everything else is put into the nginx that runs."""


class NginxFilesProvider(ResourceProvider):
    """Keeps the files of one nginx container equal to those of a folder.

    The state holds their digests, so that a preview names the files that change.
    """

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Put the files in; they are known by the container that they are in."""
        _apply(props)
        return CreateResult(id_=props["container"], outs=props)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Return what nginx really serves by; no container means no files."""
        from docker.errors import NotFound  # noqa: PLC0415

        try:
            nginx = _nginx(id_)
        except NotFound:
            return ReadResult(id_="", outs={})
        return ReadResult(id_=id_, outs={**props, "files": nginx.in_force()})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Other files change in place; another container needs them put in again."""
        replaces = ["container"] if olds.get("container") != news["container"] else []
        changes = any(olds.get(key) != news[key] for key in ("container", "files"))
        return DiffResult(changes=changes, replaces=replaces, delete_before_replace=False)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Put the other files in."""
        _apply(news)
        return UpdateResult(outs=news)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Leave nginx as it is: it goes with its container."""


def _apply(props: dict[str, Any]) -> None:
    from loadbalancer.running_files import FilesError  # noqa: PLC0415

    files = read(Path(props["folder"]))
    for name in sorted(files.keys() | props["files"].keys()):
        if name not in files or folder.digest(files[name]) != props["files"].get(name):
            path = Path(props["folder"]) / name
            raise FilesError(f"{path} changed while the update ran. Run it again: pulumi up")
    _nginx(props["container"]).apply(files)


def _nginx(container: str) -> "RunningFiles":
    from loadbalancer import engine  # noqa: PLC0415
    from loadbalancer.running_files import RunningFiles  # noqa: PLC0415

    return RunningFiles(engine.connect().containers.get(container))


def read(path: Path) -> dict[str, bytes]:
    """Read what of nginx's folder is put into the nginx that runs, by paths relative to it.

    Hidden files are left out: they are what editors keep beside the one that is edited.
    """
    paths = {one.relative_to(path): one for one in folder.files(path)}
    return {
        relative.as_posix(): one.read_bytes()
        for relative, one in paths.items()
        if relative.parts[0] not in IMAGE
        and not any(part.startswith(".") for part in relative.parts)
    }


class NginxFiles(Resource, module="loadbalancer", name="NginxFiles"):
    """nginx.conf, njs modules and the live page, as the running nginx serves by them."""

    container: pulumi.Output[str]
    files: pulumi.Output[dict[str, str]]

    def __init__(
        self,
        name: str,
        container: pulumi.Input[str],
        path: Path,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the files of an nginx.

        Args:
            name: the resource's name.
            container: ID of nginx's container.
            path: folder with nginx.conf.
            opts: Pulumi's options.
        """
        files = {name: folder.digest(data) for name, data in read(path).items()}
        inputs = {"container": container, "folder": path.as_posix(), "files": files}
        super().__init__(NginxFilesProvider(), name, inputs, opts)
