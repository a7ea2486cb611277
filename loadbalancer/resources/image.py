"""Image: built from the content of a folder, and tagged with the hash of that."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import pulumi
import pulumi_docker as docker

from loadbalancer.config.problems import ConfigError, Problem
from loadbalancer.content import files, staging
from loadbalancer.content.files import Content, ContentError, Source
from loadbalancer.content.ignored import GitIgnore
from loadbalancer.engine.dockerignore import DockerIgnore
from loadbalancer.providers.image_lifetime import ImageLifetime


def check(sources: Iterable[Source]) -> None:
    """Read all content before anything is declared, and say what is left out of it.

    Raises:
        ConfigError: with every file that cannot be content.
    """
    problems = []
    for source in sources:
        try:
            for note in read(source).notes:
                pulumi.log.info(note)
        except ContentError as error:
            problems.append(Problem(error.path, error.value, error.reason, error.fix))
    if problems:
        raise ConfigError(problems)


@cache
def read(source: Source) -> Content:
    """Read the content of an image, once: a program builds what it has checked.

    Docker gets the Dockerfile whatever ignores it.

    Raises:
        ContentError: for a file that cannot be content.
    """
    context = source.project / source.folder
    return files.read(source, _docker(context), _git(source.project.resolve()), _parts(context))


@cache
def _docker(context: Path) -> DockerIgnore:
    """Read the rules of a .dockerignore once for all images of its context."""
    return DockerIgnore(context)


@cache
def _parts(_context: Path) -> files.Parts:
    """Keep what the images of one context share, such as the server of the apps."""
    return {}


@cache
def _git(project: Path) -> GitIgnore:
    """Read the rules of git once for all images: that starts processes."""
    return GitIgnore(project)


def build(
    name: str,
    *,
    repository: pulumi.Input[str],
    source: Source,
    parameters: Mapping[str, str],
    labels: Mapping[str, pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """Declare an image that is built from a folder, and deleted once no container runs it.

    Args:
        name: the resource's name.
        repository: the image's name without its tag; the stack's own, since an image is deleted
            by name.
        source: what the image is built from, with its Dockerfile.
        parameters: build arguments.
        labels: labels of the image.
        opts: Pulumi's options.

    Returns:
        ID of the image.
    """
    content = read(source)
    tag = content.hash(parameters.items())
    if not pulumi.runtime.is_dry_run():
        staging.stage(source.project, tag, content)
    built = docker.RemoteImage(
        name,
        name=pulumi.Output.concat(repository, ":", tag),
        build=docker.RemoteImageBuildArgs(
            # Relative, so that the same content is the same image wherever the project is.
            context=f"{staging.FOLDER}/{tag}",
            build_args=dict(parameters),
            label=dict(labels),
        ),
        keep_locally=True,
        opts=pulumi.ResourceOptions.merge(
            # The provider's default replaces old before new, and with it every container.
            pulumi.ResourceOptions(delete_before_replace=False),
            opts,
        ),
    )
    return ImageLifetime(name, image=built.image_id, opts=opts).image
