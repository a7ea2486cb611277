"""Many updates in a row: broken versions, good ones, other weights, up and destroy."""

import pytest

from loadbalancer.state.pulumi import PulumiError
from tests.stack.deployment import Deployment
from tests.stack.editing import app_file, change
from tests.stack.load import wrk

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

BROKEN = {
    "does not start": ("\nraise SystemExit('no database')\n", "no database"),
    "never gets healthy": (
        "\napp.view_functions['healthz'] = lambda: ('not yet', 500)\nprint('warming up')\n",
        "warming up",
    ),
    "crashes after 5 seconds": (
        "\nimport os, threading\n"
        "threading.Timer(5, lambda: (print('out of luck', flush=True), os._exit(3))).start()\n",
        "out of luck",
    ),
}


def test_a_broken_version_gets_no_request_and_the_next_good_one_cleans_up(
    changing_stack: Deployment,
) -> None:
    stack = changing_stack
    # Longer by far than it takes until the crash, also where the app or what watches it stalls.
    stack.set("settle", 40)
    stack.up()
    good = app_file(stack, "app1").read_text()
    before = stack.ids()
    for what, (code, message) in BROKEN.items():
        app_file(stack, "app1").write_text(good + code)
        with (
            wrk(stack.url, method="GET") as get,
            wrk(stack.url, method="POST") as post,
            pytest.raises(PulumiError) as failed,
        ):
            stack.up()
        assert message in str(failed.value), what
        assert get.failures == post.failures == [], what
        assert set(before.values()) <= {str(c.id) for c in stack.labelled()}
    stack.set("settle", 1)
    with wrk(stack.url, method="GET") as get:
        app_file(stack, "app1").write_text(good + "\nVERSION = 2\n")
        stack.up()
    assert get.failures == []
    assert sorted(str(c.id) for c in stack.labelled()) == sorted(stack.ids().values())
    assert stack.shares(10) == {"app1": 6, "app2": 4}


def test_ten_new_versions_of_both_apps_cost_no_request(changing_stack: Deployment) -> None:
    stack = changing_stack
    stack.up()
    with (
        wrk(stack.url, method="GET") as get,
        wrk(stack.url, method="POST", body="name=value") as post,
        wrk(stack.url, method="GET", keep_alive=False) as short,
    ):
        for version in range(10):
            for app in ("app1", "app2"):
                change(stack, app, f"\nVERSION = {version}\n")
            stack.up()
    for load in (get, post, short):
        assert load.failures == []
        assert load.requests > 100
    assert sorted(str(c.id) for c in stack.labelled()) == sorted(stack.ids().values())


def test_up_and_destroy_again_and_again(changing_stack: Deployment) -> None:
    stack = changing_stack
    for _ in range(3):
        stack.up()
        assert stack.shares(10) == {"app1": 6, "app2": 4}
        stack.destroy()
        assert stack.leftovers() == []
    stack.up()


def test_ten_changes_of_the_weights_cost_no_request(changing_stack: Deployment) -> None:
    stack = changing_stack
    stack.up()
    with (
        wrk(stack.url, method="GET") as get,
        wrk(stack.url, method="POST", body="name=value") as post,
        wrk(stack.url, method="GET", keep_alive=False) as short,
    ):
        for app1 in range(10):
            stack.set_weights(app1=app1, app2=10 - app1)
            stack.up()
    for load in (get, post, short):
        assert load.failures == []
        assert load.requests > 100
