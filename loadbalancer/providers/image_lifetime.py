"""ImageLifetime: the dynamic resource that removes an image once no container runs it."""

from contextlib import suppress
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider


class ImageLifetimeProvider(ResourceProvider):
    """Removes an image with the last container that runs it.

    The image resource itself deletes by name. When code is reverted after a failed update, that
    would remove the image that is in use again: the old resource, still to be deleted, has the
    same name as the new one.
    """

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Do nothing: the image exists already."""
        return CreateResult(id_=props["image"], outs=props)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Check whether the image still exists."""
        from loadbalancer import engine  # noqa: PLC0415

        try:
            engine.connect().images.get(id_)
        except engine.ImageNotFound:
            return ReadResult(id_="", outs={})
        return ReadResult(id_=id_, outs=props)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Replace for another image."""
        replaces = [] if olds.get("image") == news["image"] else ["image"]
        return DiffResult(changes=bool(replaces), replaces=replaces, delete_before_replace=False)

    def delete(self, id_: str, _props: dict[str, Any]) -> None:
        """Remove the image, unless a container runs it again."""
        from loadbalancer import engine  # noqa: PLC0415
        from loadbalancer.engine.wait import Wait  # noqa: PLC0415

        client = engine.connect()
        if any(container["ImageID"] == id_ for container in client.api.containers(all=True)):
            return

        def remove() -> None:
            with suppress(engine.ImageNotFound):
                client.images.remove(id_, force=True)

        # Docker fails now and then while another image with the same layers is built or removed.
        Wait(30, 0.5, forgives=(engine.APIError,)).until(f"Docker to remove image {id_}", remove)


class ImageLifetime(Resource, module="loadbalancer", name="ImageLifetime"):
    """An image that exists as long as containers run it; `image` is its ID."""

    image: pulumi.Output[str]

    def __init__(
        self, name: str, image: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the lifetime of an image.

        Args:
            name: the resource's name.
            image: ID of the image.
            opts: Pulumi's options.
        """
        super().__init__(ImageLifetimeProvider(), name, {"image": image}, opts)
