"""What the dynamic resources have in common that keep something inside the running nginx."""

from typing import TYPE_CHECKING, Any, ClassVar

from pulumi.dynamic import (
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)

if TYPE_CHECKING:
    from docker.models.containers import Container


class InNginxProvider(ResourceProvider):
    """Keeps what one nginx container serves by equal to the declared.

    Pulumi stores only the class's name in its state, since its module can be imported; whatever
    needs the Docker engine is imported when it is used, since Pulumi also imports the module to
    find out that nothing has changed.
    """

    serialize_as_secret_always = False
    declared: ClassVar[str]
    """Name of the input that is compared with what is in force."""

    def apply(self, props: dict[str, Any]) -> None:
        """Put into nginx what is declared."""
        raise NotImplementedError

    def in_force(self, container: "Container") -> object:
        """Read what the nginx of a container serves by, in the form of the input."""
        raise NotImplementedError

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Apply it; it is known by the container that it is in."""
        self.apply(props)
        return CreateResult(id_=props["container"], outs=props)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Return what is really in force; no container means nothing."""
        from docker.errors import NotFound  # noqa: PLC0415

        try:
            nginx = container(id_)
        except NotFound:
            return ReadResult(id_="", outs={})
        return ReadResult(id_=id_, outs={**props, self.declared: self.in_force(nginx)})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Another input is applied in place; another container needs it put in again."""
        replaces = ["container"] if olds.get("container") != news["container"] else []
        changes = any(olds.get(key) != news[key] for key in ("container", self.declared))
        return DiffResult(changes=changes, replaces=replaces, delete_before_replace=False)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Apply the new input."""
        self.apply(news)
        return UpdateResult(outs=news)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Leave nginx as it is: it goes with its container, or the next one replaces this."""


def container(id_: str) -> "Container":
    """Find a container; raises NotFound where there is none."""
    from loadbalancer import engine  # noqa: PLC0415

    return engine.connect().containers.get(id_)
