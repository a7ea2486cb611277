"""What the benchmark of many apps makes of processes, and which weights it sets."""

import pytest

from benchmarks import family, growth


@pytest.mark.parametrize(
    ("command", "part"),
    [
        ("pulumi\0preview\0", family.ENGINE),
        ("/home/me/.pulumi/bin/pulumi\0up\0", family.ENGINE),
        ("/x/.venv/bin/python\0/bin/pulumi-language-python-exec\0--monitor\0", family.PROGRAM),
        ("/x/.venv/bin/python\0-u\0-m\0pulumi.dynamic\0127.0.0.1:1\0", family.DYNAMIC),
        ("/plugins/resource-docker-v5.2.0/pulumi-resource-docker\0", family.DOCKER),
        ("/home/me/.pulumi/bin/pulumi-language-python\0", family.OTHER),
        ("git\0config\0", family.OTHER),
    ],
)
def test_the_part_of_a_process(command: str, part: str) -> None:
    assert family.part_of(command) == part


def test_descendants_are_children_and_theirs_without_the_process_itself() -> None:
    parents = {1: 0, 2: 1, 3: 2, 4: 3, 5: 1, 6: 9}
    assert family.descendants(parents, 2) == {3, 4}
    assert family.descendants(parents, 4) == set()


def test_each_change_is_one_of_every_weight() -> None:
    before, after = (
        dict(pair.split("=") for pair in growth.weights(50, number).split(",")) for number in (0, 1)
    )
    assert len(before) == 50
    assert before.keys() == after.keys()
    assert all(before[app] != after[app] for app in before)


def test_medians_of_each_figure() -> None:
    rounds = [
        {"took": 3.0, "pulumi": 1.0},
        {"took": 1.0, "pulumi": 5.0},
        {"took": 2.0, "pulumi": 2.0},
    ]
    assert growth.medians(rounds) == {"took": 2.0, "pulumi": 2.0}
