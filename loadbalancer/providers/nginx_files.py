"""NginxFiles: the dynamic resource that puts nginx.conf and all it needs into a running nginx."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import Resource

from loadbalancer import content
from loadbalancer.providers.in_nginx import InNginxProvider, container

if TYPE_CHECKING:
    from loadbalancer.engine import Handle

IMAGE = ("Dockerfile", "image")
"""What nginx's image is built from; every other file of the folder goes into the running nginx."""


class NginxFilesProvider(InNginxProvider):
    """Keeps the files of one nginx container equal to those of a folder.

    The state holds their digests, so that a preview names the files that change.
    """

    desired = "files"

    def apply(self, props: dict[str, Any]) -> None:
        """Apply the files, if they are still those of the preview."""
        from loadbalancer.nginx.live_files import FilesError, LiveFiles  # noqa: PLC0415

        files = read(Path(props["folder"]))
        for name in sorted(files.keys() | props["files"].keys()):
            if name not in files or content.digest(files[name]) != props["files"].get(name):
                path = Path(props["folder"]) / name
                raise FilesError(f"{path} changed while the update ran. Run it again: ./lb up")
        LiveFiles(container(props["container"])).apply(files)

    def in_force(self, container: "Handle") -> dict[str, str]:
        """Compute the digests of the files that nginx serves by."""
        from loadbalancer.nginx.live_files import LiveFiles  # noqa: PLC0415

        return LiveFiles(container).in_force()


def read(path: Path) -> dict[str, bytes]:
    """Read the files for the running nginx from its folder, by their paths in it.

    Hidden files are left out: editors keep such beside the one that is edited.
    """
    paths = {one.relative_to(path): one for one in content.files(path)}
    return {
        relative.as_posix(): one.read_bytes()
        for relative, one in paths.items()
        if relative.parts[0] not in IMAGE
        and not any(part.startswith(".") for part in relative.parts)
    }


class NginxFiles(Resource, module="loadbalancer", name="NginxFiles"):
    """nginx.conf, njs modules and the admin page of the running nginx."""

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
        files = {name: content.digest(data) for name, data in read(path).items()}
        inputs = {"container": container, "folder": path.as_posix(), "files": files}
        super().__init__(NginxFilesProvider(), name, inputs, opts)
