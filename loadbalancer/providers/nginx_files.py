"""NginxFiles: the dynamic resource that puts nginx.conf and all it needs into a running nginx."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import Resource

from loadbalancer import content
from loadbalancer.content import files
from loadbalancer.content.files import Source
from loadbalancer.providers.in_nginx import InNginxProvider, container

if TYPE_CHECKING:
    from loadbalancer.engine import Handle

IMAGE = ("Dockerfile", "image")
"""What nginx's image is built from; every other file of the folder goes into the running nginx."""


class NginxFilesProvider(InNginxProvider):
    """Keeps the files of one nginx container equal to those of a folder, and to its settings.

    The state holds their digests, so that a preview names the files that change. Of the settings,
    which are files that the program writes, it has the text as well.
    """

    desired = "files"

    def apply(self, props: dict[str, Any]) -> None:
        """Apply the files, if they are still those of the preview."""
        from loadbalancer.nginx.live_files import FilesError, LiveFiles  # noqa: PLC0415

        found = {**read(Path(props["folder"])), **encoded(props["settings"])}
        for name in sorted(found.keys() | props["files"].keys()):
            if name not in found or content.digest(found[name]) != props["files"].get(name):
                path = Path(props["folder"]) / name
                raise FilesError(f"{path} changed while the update ran. Run the update again")
        LiveFiles(container(props["container"])).apply(found)

    def in_force(self, container: "Handle") -> dict[str, str]:
        """Compute the digests of the files that nginx serves by."""
        from loadbalancer.nginx.live_files import LiveFiles  # noqa: PLC0415

        return LiveFiles(container).in_force()


def read(path: Path) -> dict[str, bytes]:
    """Read the files for the running nginx from its folder, by their paths in it.

    Raises:
        ContentError: for a file that cannot be read, and a link that leads nowhere.
    """
    found = files.read(source(path)).files
    return {one.name: one.path.read_bytes() for one in found}


def encoded(texts: Mapping[str, str]) -> dict[str, bytes]:
    """Encode files that the program writes."""
    return {name: text.encode() for name, text in texts.items()}


def source(path: Path) -> Source:
    """Describe which files of nginx's folder go into the running nginx."""
    return Source(path.parent, path.name, without=IMAGE)


def image(path: Path) -> Source:
    """Describe what nginx's image is built from."""
    return Source(path.parent, path.name, IMAGE, kept=IMAGE[:1])


class NginxFiles(Resource, module="loadbalancer", name="NginxFiles"):
    """nginx.conf, njs modules and the admin page of the running nginx."""

    container: pulumi.Output[str]
    files: pulumi.Output[dict[str, str]]

    def __init__(
        self,
        name: str,
        container: pulumi.Input[str],
        path: Path,
        settings: pulumi.Input[Mapping[str, str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the files of an nginx.

        Args:
            name: the resource's name.
            container: ID of nginx's container.
            path: folder with nginx.conf.
            settings: the text of files that stand in place of those of the folder, by their paths.
            opts: Pulumi's options.
        """
        files = read(path)

        def digests(texts: Mapping[str, str]) -> dict[str, str]:
            every = {**files, **encoded(texts)}
            return {name: content.digest(data) for name, data in every.items()}

        inputs = {
            "container": container,
            "folder": path.as_posix(),
            "files": pulumi.Output.from_input(settings).apply(digests),
            "settings": settings,
        }
        super().__init__(NginxFilesProvider(), name, inputs, opts)
