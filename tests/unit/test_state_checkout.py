"""The program and the environment of another checkout, and what is said of a passphrase."""

from pathlib import Path

import pytest

from loadbalancer.state import checkout, passphrase
from loadbalancer.state.checkout import CheckoutError
from loadbalancer.state.project import Project

TEXT, FILE = "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another checkout."""
    other = tmp_path / "other"
    (other / ".state").mkdir(parents=True)
    for name in ("Pulumi.yaml", "lb"):
        (other / name).write_text("")
    return other


@pytest.mark.parametrize("variable", [FILE, "PULUMI_BACKEND_URL"])
def test_the_state_and_the_passphrase_of_another_checkout_are_refused(
    tmp_path: Path, other: Path, variable: str
) -> None:
    state = other / ".state"
    value = str(state / "passphrase") if variable == FILE else f"{state.as_uri()}?metadata=skip"
    environ = {variable: value, checkout.CHECKOUT: str(other)}
    with pytest.raises(CheckoutError) as raised:
        checkout.refuse_other(tmp_path, environ)
    said = str(raised.value)
    assert str(other) in said
    assert f"not of {tmp_path}: {variable} is {value}" in said
    assert f'cd {tmp_path} && eval "$(./lb env)"' in said
    checkout.refuse_other(other, environ)
    if variable == FILE:
        # It does not count beside a passphrase in a variable.
        checkout.refuse_other(tmp_path, {**environ, TEXT: "mine"})


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {checkout.CHECKOUT: "/elsewhere"},
        {FILE: "/home/me/passphrase", "PULUMI_BACKEND_URL": "s3://bucket"},
        {FILE: "/home/me/.state/passphrase", "PULUMI_BACKEND_URL": "file://~/.state"},
        {FILE: "/dev/fd/63", TEXT: "mine"},
    ],
)
def test_what_the_user_has_chosen_is_not_refused(tmp_path: Path, environ: dict[str, str]) -> None:
    checkout.refuse_other(tmp_path, environ)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / ".state").mkdir()
    (tmp_path / ".state/passphrase").write_text("generated\n")
    return Project(tmp_path, "loadbalancer", "file://./.state")


def test_a_wrong_passphrase_is_explained_by_its_variable(project: Project) -> None:
    generated = project.folder / ".state/passphrase"

    def said(**environ: str) -> str:
        return passphrase.explain(project, "dev", environ)

    unset = f"It is that of {{}} in this shell. Without it, that of {generated} is used: unset {{}}"
    assert said(**{TEXT: "mine"}) == unset.format(TEXT, TEXT)
    # As in Pulumi, the text counts before the file.
    assert said(**{TEXT: "", FILE: "/mine"}) == unset.format(TEXT, TEXT)
    assert said(**{FILE: "/mine"}) == unset.format(FILE, FILE)
    assert said(**{FILE: str(generated)}).startswith("Pulumi.dev.yaml is encrypted with another")
    assert said() == 'No passphrase is set. Set that of this folder: eval "$(./lb env)"'
    generated.unlink()
    assert said(**{TEXT: "mine"}).endswith("export PULUMI_CONFIG_PASSPHRASE=...")


SALT = "encryptionsalt: v1:1Ks0wwR49po=:v1:uZQm:pqVR=="


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (f"{SALT}\nconfig:\n  a:b: 1\n", "config:\n  a:b: 1\n"),
        (f"config:\n  a:b: 1\n{SALT}", "config:\n  a:b: 1\n"),
        (f"{SALT}\n", None),
        ("config:\n  a:b: 1\n", "config:\n  a:b: 1\n"),
        (
            f"config:\n  a:b: {{secure: v1:x}}\n{SALT}\n",
            f"config:\n  a:b: {{secure: v1:x}}\n{SALT}\n",
        ),
        ("config: {", "config: {"),
    ],
)
def test_a_salt_goes_where_no_value_needs_it(
    project: Project, text: str, after: str | None
) -> None:
    file = project.stack_file("dev")
    file.write_text(text)
    assert passphrase.drop_unused_salt(project, "dev") is (after != text)
    assert (file.read_text() if file.exists() else None) == after
