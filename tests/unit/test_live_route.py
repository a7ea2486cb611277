"""Changes of the live route and files that fail half-way, with an engine that a test scripts."""

import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import cast

import pytest
from requests import ConnectionError as NoConnectionError

from loadbalancer.engine import APIError, EngineError, Handle, exec
from loadbalancer.engine.wait import WaitTimeoutError
from loadbalancer.nginx import upstream
from loadbalancer.nginx.live_files import FilesError, LiveFiles
from loadbalancer.nginx.live_route import LiveRoute, RouteError
from loadbalancer.nginx.process import NginxError, NginxProcess, SupersededError

OLD = upstream.split({"app1": 1}, {"app1": [("old", 5001)]})
NEW = upstream.split({"app1": 1}, {"app1": [("new", 5001)]})
REWEIGHTED = OLD.replace("weight=1", "weight=7").replace("# weight 1", "# weight 7")
FAILURES = (
    APIError("500"),
    EngineError("no engine"),
    NoConnectionError("refused"),
    TimeoutError("read"),
    WaitTimeoutError("waited"),
    NginxError("invalid"),
    OSError("broken pipe"),
)


class Nginx:
    """The files in nginx's container, what nginx serves by, and which operation fails."""

    def __init__(self, **fails: Exception) -> None:
        self.files: dict[str, bytes] = {"route.conf": OLD.encode()}
        self.current = "v1"
        self.served = ""
        self.reloads = 0
        self.fails = fails
        self.tidied: list[str] = []
        self.meanwhile: dict[str, Callable[[], None]] = {}
        """What another change does in the midst of an operation."""

    def fail(self, operation: str) -> None:
        error = self.fails.pop(operation, None)
        if act := self.meanwhile.pop(operation, None):
            act()
        if error:
            raise error

    def read(self, _: object, folder: str) -> dict[str, bytes]:
        return dict(self.files)

    def write(self, _: object, folder: str, files: Mapping[str, bytes]) -> None:
        if files.keys() != {"owner"}:
            self.fail(f"write{self.reloads}")
        self.files.update(files)

    def reload(self, change: NginxProcess, generation: str) -> set[str]:
        self.fail(f"reload{self.reloads}")
        change._expect_owner()
        self.reloads += 1
        assert generation in self.files["generation.conf"].decode()
        self.served = self.files["route.conf"].decode() + self.current
        return set()

    def run(self, _: object, command: list[str], *, user: str = "") -> tuple[int, str]:
        self.fail(command[0])
        if command[0] == "readlink":
            return 0, self.current
        if command[0] == "sh" and "ln -sfn" in command[2]:
            self.current = command[-1]
            self.fail("pointed")
        if command[0] == "sh" and command[2].startswith("find"):
            self.tidied.append(command[-1])
        return 0, ""


@pytest.fixture
def nginx(monkeypatch: pytest.MonkeyPatch) -> Nginx:
    found = Nginx()

    def reload(change: NginxProcess, generation: str) -> set[str]:
        return found.reload(change, generation)

    monkeypatch.setattr(exec, "read_folder", found.read)
    monkeypatch.setattr(exec, "write_folder", found.write)
    monkeypatch.setattr(exec, "run", found.run)
    monkeypatch.setattr(exec, "health", lambda _: "healthy")
    monkeypatch.setattr(NginxProcess, "_reload", reload)
    monkeypatch.setattr(LiveRoute, "_wait_until_released", lambda *_: None)
    return found


CONTAINER = cast(Handle, SimpleNamespace(name="nginx"))


@pytest.mark.parametrize("operation", ["write0", "reload0", "curl", "write1", "reload1"])
@pytest.mark.parametrize("error", FAILURES, ids=lambda one: type(one).__name__)
def test_whatever_fails_the_route_before_is_put_back(
    operation: str, error: Exception, nginx: Nginx
) -> None:
    nginx.fails = {operation: error}
    # The wait for a newcomer forgives this error, so that the change succeeds.
    forgiven = operation == "curl" and isinstance(error, APIError)
    if forgiven:
        LiveRoute(CONTAINER).apply(NEW)
        assert nginx.files["route.conf"].decode() == NEW
        return
    with pytest.raises(RouteError, match=f"^the route was not changed: .*{error}"):
        LiveRoute(CONTAINER).apply(NEW)
    assert nginx.fails == {}
    assert nginx.files["route.conf"].decode() == OLD
    assert nginx.served == OLD + "v1"


def test_a_change_succeeds_after_one_that_was_killed_while_staged(nginx: Nginx) -> None:
    staged = upstream.staged(OLD, ["other:5001"])
    assert staged is not None
    nginx.files["route.conf"] = staged.encode()
    route = LiveRoute(CONTAINER)
    assert route.newcomers(NEW) == ["new:5001"]
    route.apply(NEW)
    assert nginx.files["route.conf"].decode() == NEW
    # Servers that were only staged still have to be ready and checked.
    staged = upstream.staged(OLD, ["new:5001"])
    assert staged is not None
    nginx.files["route.conf"] = staged.encode()
    assert route.newcomers(NEW) == ["new:5001"]


def test_what_is_put_back_has_no_staging(nginx: Nginx) -> None:
    staged = upstream.staged(OLD, ["other:5001"])
    assert staged is not None
    nginx.files["route.conf"] = staged.encode()
    nginx.fails = {"reload0": NginxError("invalid")}
    with pytest.raises(RouteError):
        LiveRoute(CONTAINER).apply(NEW)
    assert nginx.files["route.conf"].decode() == OLD


@pytest.mark.parametrize("operation", ["write0", "nginx", "sh", "pointed", "reload0"])
@pytest.mark.parametrize("error", FAILURES, ids=lambda one: type(one).__name__)
def test_whatever_fails_the_files_before_are_put_back(
    operation: str, error: Exception, nginx: Nginx
) -> None:
    nginx.fails = {operation: error}
    with pytest.raises(FilesError, match=f"^nginx's files were not changed: {error}"):
        LiveFiles(CONTAINER).apply({"nginx.conf": b"new"})
    assert nginx.fails == {}
    assert nginx.current == "v1"


def test_an_error_names_both_failures_where_nothing_can_be_put_back(nginx: Nginx) -> None:
    nginx.fails = {"reload0": NginxError("first")}

    def fail(*_: object) -> set[str]:
        raise NoConnectionError("second")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LiveRoute, "_reload", fail)
        with pytest.raises(RouteError, match="second; and the route before could not be put back"):
            LiveRoute(CONTAINER).apply(NEW)


def test_a_table_of_another_route_is_no_route_in_force(
    nginx: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LiveRoute, "_has_loaded", lambda *_: True)
    route = LiveRoute(CONTAINER)
    route.apply(NEW)
    assert route.in_force() == NEW
    table = json.loads(nginx.files["route.json"])
    table["rotation"]["bounds"] = [7]
    for edited in (json.dumps(table).encode(), b"{}", b"[]", b"7", b"not JSON", b""):
        nginx.files["route.json"] = edited
        assert route.in_force() == NEW + "# route.json has the table of another route.\n"


@pytest.mark.parametrize("moment", ["reload0", "curl", "reload1"])
@pytest.mark.parametrize("fails", [True, False], ids=["fails", "goes on"])
def test_a_change_that_another_one_overtakes_leaves_its_route_alone(
    moment: str, fails: bool, nginx: Nginx
) -> None:
    # A plugin whose update was killed waits, while the next update changes the route.
    latest = upstream.split({"app1": 7}, {"app1": [("latest", 5001)]})
    nginx.meanwhile = {moment: lambda: LiveRoute(CONTAINER).apply(latest)}
    if fails:
        nginx.fails = {moment: WaitTimeoutError("waited for an app that is gone")}
    with pytest.raises(RouteError, match="another update has begun to change nginx"):
        LiveRoute(CONTAINER).apply(NEW)
    assert nginx.files["route.conf"].decode() == latest
    assert nginx.served == latest + "v1"


def test_a_change_is_overtaken_while_it_waits_for_its_servers(nginx: Nginx) -> None:
    first, second = LiveRoute(CONTAINER), LiveRoute(CONTAINER)
    first.take_over()
    second.take_over()
    with pytest.raises(RouteError, match="another update has begun to change nginx"):
        first.apply(NEW)
    assert nginx.files["route.conf"].decode() == OLD
    second.apply(NEW)
    assert nginx.files["route.conf"].decode() == NEW


@pytest.mark.parametrize("moment", ["nginx", "pointed", "reload0"])
@pytest.mark.parametrize("fails", [True, False], ids=["fails", "goes on"])
def test_files_that_another_change_has_overtaken_are_left_alone(
    moment: str, fails: bool, nginx: Nginx
) -> None:
    latest = []

    def overtake() -> None:
        LiveFiles(CONTAINER).apply({"nginx.conf": b"latest"})
        latest.append(nginx.current)

    nginx.meanwhile = {moment: overtake}
    if fails:
        nginx.fails = {moment: WaitTimeoutError("waited")}
    with pytest.raises((FilesError, SupersededError), match="another update has begun"):
        LiveFiles(CONTAINER).apply({"nginx.conf": b"new"})
    assert [nginx.current] == latest
    assert nginx.tidied == latest


def test_weights_alone_need_no_reload(nginx: Nginx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LiveRoute, "_has_loaded", lambda *_: True)
    LiveRoute(CONTAINER).apply(OLD)  # with its table
    reloads = nginx.reloads
    LiveRoute(CONTAINER).apply(REWEIGHTED)
    assert nginx.reloads == reloads
    assert nginx.files["route.conf"].decode() == REWEIGHTED
    assert json.loads(nginx.files["route.json"])["apps"][0]["weight"] == 7


@pytest.mark.parametrize("loaded", [True, False], ids=["refused", "not loaded"])
def test_nginx_reloads_where_it_cannot_take_weights_alone(
    loaded: bool, nginx: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LiveRoute, "_has_loaded", lambda *_: loaded)
    LiveRoute(CONTAINER).apply(OLD)
    reloads = nginx.reloads
    monkeypatch.setattr(LiveRoute, "_load_weights", lambda *_: False)
    LiveRoute(CONTAINER).apply(REWEIGHTED)
    assert nginx.reloads == reloads + 1
    assert nginx.served == REWEIGHTED + "v1"


class KilledError(BaseException):
    """Ends a change as SIGKILL does: nothing is put back."""


@pytest.mark.parametrize("last", [1, 2])
def test_a_route_is_not_taken_for_loaded_after_a_kill_at_any_write(
    last: int, nginx: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = 'map "" $generation { default before; }\n'
    nginx.files["generation.conf"] = generation.encode()
    written: list[Mapping[str, bytes]] = []

    def write(container: object, folder: str, files: Mapping[str, bytes]) -> None:
        nginx.write(container, folder, files)
        written.extend([files] if files.keys() != {"owner"} else [])
        if len(written) == last:
            raise KilledError

    monkeypatch.setattr(exec, "write_folder", write)
    with pytest.raises(KilledError):
        LiveRoute(CONTAINER).apply(NEW)
    monkeypatch.setattr(LiveRoute, "_fetch", lambda *_: (0, "before"))
    assert LiveRoute(CONTAINER).loaded() is None
