"""What people edit in a stack: the code of its apps, and by hand its route."""

import io
import tarfile
from pathlib import Path

from loadbalancer.engine.wait import Wait
from loadbalancer.nginx.live_route import LiveRoute
from loadbalancer.nginx.process import ROUTE_FOLDER
from tests.stack.deployment import Deployment


def app_file(stack: Deployment, app: str) -> Path:
    """Find the code of an app in the stack's own copy of the project."""
    return stack.folder / "apps" / app / "app.py"


def change(stack: Deployment, app: str, code: str) -> None:
    """Add code to an app."""
    path = app_file(stack, app)
    path.write_text(path.read_text() + code)


def edit_by_hand(stack: Deployment, text: str) -> None:
    """Write a route into nginx's volume past the product's own code, and have nginx reload it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("route.conf")
        entry.size = len(text.encode())
        archive.addfile(entry, io.BytesIO(text.encode()))
    nginx = stack.nginx()
    running = LiveRoute(nginx)
    old_workers = set(running.workers())
    nginx.put_archive(ROUTE_FOLDER, buffer.getvalue())
    nginx.exec_run(["sh", "-c", "kill -HUP 1"])

    # A reload that came late would have the rotation begin anew in the middle of something else.
    def look() -> object:
        workers = set(running.workers())
        return None if workers and not workers & old_workers else f"only workers {workers}"

    Wait(120, 0.1).until("nginx to reload", look)
