"""Handover: the dynamic resource that starts a container in place of its predecessor."""

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider


class HandoverProvider(ResourceProvider):
    """Starts a container that publishes ports of the host, once its predecessor has stopped.

    Pulumi creates the container, which does not run, beside its predecessor, and deletes the
    predecessor at the end of the update. In between the ports are handed over.
    """

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Hand the ports over; if the container does not serve, its predecessor does again."""
        from loadbalancer import engine  # noqa: PLC0415
        from loadbalancer.engine.handover import hand_over  # noqa: PLC0415

        hand_over(engine.connect(), props["container"], grace=int(props["grace"]))
        return CreateResult(id_=props["container"], outs=props)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Check that the container runs; otherwise the next update starts it."""
        from loadbalancer import engine  # noqa: PLC0415

        try:
            found = engine.connect().containers.get(id_)
        except engine.NotFound:
            return ReadResult(id_="", outs={})
        stopped = found.status in {"created", "exited", "dead"}
        return ReadResult(id_=id_, outs={**props, "container": "" if stopped else id_})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Replace for another container, or for one that does not run."""
        replaces = [] if olds.get("container") == news["container"] else ["container"]
        return DiffResult(changes=bool(replaces), replaces=replaces, delete_before_replace=False)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Leave the container as it is: Pulumi deletes it, or another resource took over."""


class Handover(Resource, module="loadbalancer", name="Handover"):
    """A container that publishes ports of the host and runs; `container` is its ID."""

    container: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        container: pulumi.Input[str],
        grace: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare that a container runs.

        Args:
            name: the resource's name.
            container: ID of the container, which is created and not started.
            grace: seconds that requests in flight get to finish in its predecessor.
            opts: Pulumi's options.
        """
        super().__init__(HandoverProvider(), name, {"container": container, "grace": grace}, opts)
