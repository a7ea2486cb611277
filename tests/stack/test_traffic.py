"""Shares as clients see them, and changes of shares under load."""

import pytest

from loadbalancer.nginx.live_route import LiveRoute
from tests.stack.deployment import Deployment
from tests.stack.load import wrk

APP1 = "Salam alikom, this is App1 :) "
APP2 = "Salam alikom, this is App2 :) "


def test_sixty_and_forty_of_a_hundred(stack: Deployment) -> None:
    answers = stack.answers(100)
    assert (answers.count(APP1), answers.count(APP2)) == (60, 40)
    for start in range(91):
        window = answers[start : start + 10]
        assert (window.count(APP1), window.count(APP2)) == (6, 4)


def test_outputs_name_weights_and_percentages(stack: Deployment) -> None:
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


@pytest.mark.faults
def test_an_app_of_weight_0_runs_and_gets_no_request(stack_of_any_weights: Deployment) -> None:
    stack = stack_of_any_weights
    stack.set_weights(app1=6, app2=0)
    stack.up()
    assert stack.shares(20) == {"app1": 20}
    assert all(container.status == "running" for container in stack.containers().values())


def test_changes_under_load_cost_no_request(stack_of_any_weights: Deployment) -> None:
    """Every change of the weights is one of the route; an update adds nothing to that."""
    stack = stack_of_any_weights
    with (
        wrk(stack.url, method="GET") as get,
        wrk(stack.url, method="POST", body="name=value") as post,
        wrk(stack.url, method="GET", keep_alive=False) as short,
    ):
        stack.set_weights(app1=1, app2=9)
        stack.up()
        nginx = LiveRoute(stack.nginx())
        text = nginx.text()
        for weight in range(2, 8):
            nginx.apply(text.replace("weight=9", f"weight={weight}"))
        stack.unset("weights")
        stack.up()
    for load in (get, post, short):
        assert load.failures == []
        assert load.requests > 100, "too few to prove anything"
    assert stack.shares(10) == {"app1": 6, "app2": 4}
