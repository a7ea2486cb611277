"""The base of the dynamic resources that manage something inside the running nginx."""

from typing import TYPE_CHECKING, Any, ClassVar

from pulumi.dynamic import (
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)

if TYPE_CHECKING:
    from loadbalancer.engine import Handle


class InNginxProvider(ResourceProvider):
    """Keeps what one nginx container serves by equal to an input.

    Pulumi stores only the reference to the class in its state, since its module can be imported.
    Whatever needs the Docker engine is imported when it is used, since Pulumi also imports the
    module to find out that nothing has changed.
    """

    serialize_as_secret_always = False
    desired: ClassVar[str]
    """Name of the input that is compared with what is in force."""

    def apply(self, props: dict[str, Any]) -> None:
        """Apply the input to nginx."""
        raise NotImplementedError

    def in_force(self, container: "Handle") -> object:
        """Read what the nginx of a container serves by, in the form of the input."""
        raise NotImplementedError

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Apply it; its ID is that of the container."""
        self.apply(props)
        return CreateResult(id_=props["container"], outs=props)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Return what is in force; without the container the resource does not exist."""
        from loadbalancer.engine import NotFound  # noqa: PLC0415

        try:
            nginx = container(id_)
        except NotFound:
            return ReadResult(id_="", outs={})
        return ReadResult(id_=id_, outs={**props, self.desired: self.in_force(nginx)})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Update in place for another input, replace for another container."""
        replaces = ["container"] if olds.get("container") != news["container"] else []
        changes = any(olds.get(key) != news[key] for key in ("container", self.desired))
        return DiffResult(changes=changes, replaces=replaces, delete_before_replace=False)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Apply the new input."""
        self.apply(news)
        return UpdateResult(outs=news)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Leave nginx as it is: its container is deleted too, or another resource takes over."""


def container(id_: str) -> "Handle":
    """Find a container; raises NotFound where there is none."""
    from loadbalancer import engine  # noqa: PLC0415

    return engine.connect().containers.get(id_)
