"""NginxFiles: the dynamic resource that puts nginx.conf and all it needs into a running nginx."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import Resource

from loadbalancer import content
from loadbalancer.providers.in_nginx import InNginxProvider, container

if TYPE_CHECKING:
    from docker.models.containers import Container

IMAGE = ("Dockerfile", "image")
"""What of nginx's folder its image is made of; everything else is put into the nginx that runs."""


class NginxFilesProvider(InNginxProvider):
    """Keeps the files of one nginx container equal to those of a folder.

    The state holds their digests, so that a preview names the files that change.
    """

    declared = "files"

    def apply(self, props: dict[str, Any]) -> None:
        """Put the files in, if they are those of the preview."""
        from loadbalancer.nginx.live_files import FilesError, RunningFiles  # noqa: PLC0415

        files = read(Path(props["folder"]))
        for name in sorted(files.keys() | props["files"].keys()):
            if name not in files or content.digest(files[name]) != props["files"].get(name):
                path = Path(props["folder"]) / name
                raise FilesError(f"{path} changed while the update ran. Run it again: pulumi up")
        RunningFiles(container(props["container"])).apply(files)

    def in_force(self, container: "Container") -> dict[str, str]:
        """Find the digests of the files that nginx serves by."""
        from loadbalancer.nginx.live_files import RunningFiles  # noqa: PLC0415

        return RunningFiles(container).in_force()


def read(path: Path) -> dict[str, bytes]:
    """Read what of nginx's folder is put into the nginx that runs, by paths relative to it.

    Hidden files are left out: they are what editors keep beside the one that is edited.
    """
    paths = {one.relative_to(path): one for one in content.files(path)}
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
        files = {name: content.digest(data) for name, data in read(path).items()}
        inputs = {"container": container, "folder": path.as_posix(), "files": files}
        super().__init__(NginxFilesProvider(), name, inputs, opts)
