"""Clean: destroy every stack of the embedded backend, then remove the backend itself."""

import shutil

from loadbalancer.state import passphrase
from loadbalancer.state.config_file import ConfigFile, is_secret
from loadbalancer.state.project import EMBEDDED, ORGANIZATION, Project
from loadbalancer.state.pulumi import Pulumi


def clean(project: Project, *, confirmed: bool) -> bool:
    """Destroy the stacks of the embedded backend and remove it. Asks first, unless confirmed.

    Returns:
        Whether it was removed; not when the answer was no, when another backend is in use, which
        stays as it is, or when it has stacks of a former project name, which cannot be destroyed.

    Raises:
        PulumiError: when a stack cannot be destroyed; the rest of the stacks and the backend stay.
    """
    state = project.folder / EMBEDDED
    if not project.embedded:
        print(f"The backend of this shell is {project.backend}, not {EMBEDDED}/ of this folder.")
        print("It stays. To destroy one of its stacks: ./lb down --stack NAME")
        return False
    if former := project.of_former_projects():
        print(f"{state.name}/ has stacks of another project name than {project.name}.")
        print("It stays. To destroy them as well, rename them first:")
        for qualified in former:
            name = qualified.rpartition("/")[2]
            print(f"pulumi stack rename --stack {qualified} {ORGANIZATION}/{project.name}/{name}")
        return False
    names = project.stacks()
    print(f"This destroys the stacks {', '.join(names) or '(none)'} and removes {state.name}/")
    print("with their history and the passphrase of their secrets. Their configuration stays.")
    for name in names:
        file = ConfigFile(project, name)
        if is_secret(file.values()):
            print(f"{file.name} has secrets that only {state.name}/passphrase decrypts.")
    if not confirmed and _answer() != "yes":
        print("Nothing was changed.")
        return False
    pulumi = Pulumi(project.folder)
    for name in names:
        pulumi.show("destroy", "--yes", "--skip-preview", stack=name)
        pulumi.run("stack", "rm", "--yes", "--preserve-config", stack=name)
        passphrase.drop_unused_salt(project, name)
    shutil.rmtree(state)
    return True


def _answer() -> str:
    try:
        return input("Type yes to go on: ")
    except EOFError:
        return ""
