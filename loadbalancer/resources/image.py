"""Image: built from a folder, tagged with the hash of its content."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pulumi
import pulumi_docker as docker

from loadbalancer import content
from loadbalancer.providers.image_lifetime import ImageLifetime


def content_hash(paths: Iterable[Path], parameters: Mapping[str, str]) -> str:
    """Hash files and folders by their names, modes and bytes, with the build's parameters.

    Returns:
        12 hexadecimal digits; the same wherever the project's folder is.
    """
    digest = hashlib.sha256()
    for path in paths:
        for file in content.files(path) if path.is_dir() else [path]:
            data = file.read_bytes()
            name = file.relative_to(path.parent).as_posix()
            executable = bool(file.stat().st_mode & 0o100)
            digest.update(f"{name}\0{executable}\0{len(data)}\0".encode() + data)
    for key, value in sorted(parameters.items()):
        digest.update(f"{key}={value}\0".encode())
    return digest.hexdigest()[:12]


def build(
    name: str,
    *,
    repository: pulumi.Input[str],
    context: Path,
    content: Sequence[Path],
    parameters: Mapping[str, str],
    labels: Mapping[str, pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """Declare an image that is built from a folder, and deleted once no container runs it.

    Args:
        name: the resource's name.
        repository: the image's name without its tag; the stack's own, since an image is deleted
            by name.
        context: folder that the Dockerfile's COPY sees.
        content: files and folders of it that the image depends on.
        parameters: build arguments.
        labels: labels of the image.
        opts: Pulumi's options.

    Returns:
        ID of the image.
    """
    tag = content_hash(content, parameters)
    built = docker.RemoteImage(
        name,
        name=pulumi.Output.concat(repository, ":", tag),
        build=docker.RemoteImageBuildArgs(
            context=str(context), build_args=dict(parameters), label=dict(labels)
        ),
        keep_locally=True,
        opts=pulumi.ResourceOptions.merge(
            # The provider's default replaces old before new, and with it every container.
            pulumi.ResourceOptions(delete_before_replace=False),
            opts,
        ),
    )
    return ImageLifetime(name, image=built.image_id, opts=opts).image
