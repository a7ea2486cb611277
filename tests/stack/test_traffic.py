"""Shares as clients see them, and changes of shares under load."""

import pytest

from loadbalancer.nginx.live_route import LiveRoute
from tests.stack.deployment import Deployment
from tests.stack.load import wrk

APP1 = "Salam alikom, this is App1 :) "
APP2 = "Salam alikom, this is App2 :) "


def test_sixty_and_forty_of_a_hundred(stack: Deployment) -> None:
    nginx = LiveRoute(stack.nginx())
    nginx.apply(nginx.text())  # a rotation that starts anew
    answers = stack.answers(100)
    assert (answers.count(APP1), answers.count(APP2)) == (60, 40)
    assert (answers[:10].count(APP1), answers[:10].count(APP2)) == (6, 4)


def test_outputs_tell_weights_and_percentages(stack: Deployment) -> None:
    assert stack.output("weights") == {"app1": 6, "app2": 4}
    assert stack.output("percentages") == {"app1": 60, "app2": 40}
    assert stack.output("directUrls") == {}


def test_a_change_of_weights_changes_the_route_alone(stack: Deployment) -> None:
    before = stack.ids()
    stack.set_weights(app1=7, app2=3)
    changes = stack.up()
    assert changes.keys() == {"same", "update"}
    assert changes["update"] == 1
    assert stack.shares(100) == {"app1": 70, "app2": 30}
    assert stack.ids() == before


def test_weight_0_runs_and_gets_nothing(stack: Deployment) -> None:
    stack.set_weights(app2=0)
    stack.up()
    assert stack.shares(20) == {"app1": 20}
    assert all(container.status == "running" for container in stack.containers().values())


@pytest.mark.timeout(3600)
def test_ten_changes_under_load_cost_no_request(stack: Deployment) -> None:
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
        assert load.requests > 100, "hardly a load; how many more is the machine's affair"
