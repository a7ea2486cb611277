"""What is the content of an app: which files, under which names, and the hash of them."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadbalancer.content import files, staging
from loadbalancer.content.files import Content, ContentError, Source
from loadbalancer.content.ignored import GitIgnore
from loadbalancer.engine.dockerignore import DockerIgnore

EDITORS = (
    ".app.py.swp",
    ".app.py.swo",
    "app.py~",
    ".#app.py",
    "#app.py#",
    "4913",
    ".DS_Store",
    "._app.py",
    "__pycache__/app.cpython-314.pyc",
    "module.pyc",
    ".idea/workspace.xml",
    ".vscode/settings.json",
    ".mypy_cache/x",
    "app.py___jb_tmp___",
    ".goutputstream-ABC123",
    "data/.nfs0001",
)
NEEDED = (
    "static/.well-known/security.txt",
    ".env.example",
    ".flaskenv",
    "static/4913/page.html",
    "static/movie.swf",
    "with space.txt",
    "ünïcode.txt",
    "new\nline.txt",
    "build/app.js",
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one app, apps/lab, and code that apps share."""
    folder = tmp_path / "project"
    write(folder, "apps/lab/app.py", "apps/_shared/util.py")
    return folder


@pytest.fixture
def repository(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The same as a git repository, of a user without settings."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    git(project, "init", "--quiet")
    return project


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True)


def write(folder: Path, *names: str, text: str = "x = 1\n") -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def read(project: Path, **options: tuple[str, ...]) -> Content:
    """Read apps/lab as a part of the context apps/, as apps without a Dockerfile are."""
    source = Source(project, "apps", **{"parts": ("lab",), **options})
    return files.read(source, DockerIgnore(project / "apps"))


def names(project: Path) -> list[str]:
    return [file.name.removeprefix("lab/") for file in read(project).files]


@pytest.mark.parametrize("name", EDITORS)
def test_files_of_editors_and_caches_are_no_content(project: Path, name: str) -> None:
    before = read(project)
    write(project, f"apps/lab/{name}")
    assert read(project) == before


@pytest.mark.parametrize("name", NEEDED)
def test_every_other_file_is_content_and_changes_the_hash(project: Path, name: str) -> None:
    before = read(project).hash()
    write(project, f"apps/lab/{name}")
    assert names(project) == sorted(["app.py", name], key=os.fsencode)
    assert read(project).hash() != before


def test_a_name_that_is_not_utf_8_is_content(project: Path) -> None:
    path = os.fsencode(project / "apps/lab") + b"/\xff.txt"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    before = read(project).hash()
    assert os.fsencode(read(project).files[-1].name) == b"lab/\xff.txt"
    Path(os.fsdecode(path)).unlink()
    assert read(project).hash() != before


def test_a_lock_of_emacs_which_is_a_dangling_link_is_no_content(project: Path) -> None:
    (project / "apps/lab/.#app.py").symlink_to("user@host.1234:5678")
    assert names(project) == ["app.py"]


def test_a_virtual_environment_of_any_name_is_no_content(project: Path) -> None:
    write(project, "apps/lab/env-3.14/pyvenv.cfg", "apps/lab/env-3.14/lib/flask.py")
    assert names(project) == ["app.py"]


def test_an_empty_folder_is_no_content(project: Path) -> None:
    before = read(project).hash()
    (project / "apps/lab/empty").mkdir()
    assert read(project).hash() == before


def test_names_modes_bytes_and_parameters_decide_the_hash(project: Path) -> None:
    write(project, "apps/lab/run.sh")
    run = project / "apps/lab/run.sh"
    found = {read(project).hash(), read(project).hash([("APP", "lab")])}
    run.chmod(0o755)
    found.add(read(project).hash())
    run.write_text("other")
    found.add(read(project).hash())
    run.rename(run.with_name("start.sh"))
    found.add(read(project).hash())
    assert len(found) == 5
    before = read(project).hash()
    run.with_name("start.sh").chmod(0o700)
    os.utime(run.with_name("start.sh"), (1, 1))
    assert read(project).hash() == before


def test_the_hash_is_the_same_in_another_folder(project: Path, tmp_path: Path) -> None:
    (project / "apps/lab/util.py").symlink_to("../_shared/util.py")
    clone = tmp_path / "clone of it"
    shutil.copytree(project, clone, symlinks=True)
    assert read(clone).hash() == read(project).hash()


# Links


def test_a_link_to_a_shared_file_is_that_file(project: Path) -> None:
    (project / "apps/lab/util.py").symlink_to("../_shared/util.py")
    assert names(project) == ["app.py", "util.py"]
    before = read(project).hash()
    write(project, "apps/_shared/util.py", text="x = 2\n")
    assert read(project).hash() != before


def test_a_link_to_a_shared_folder_is_what_is_in_it(project: Path) -> None:
    write(project, "apps/_shared/deep/more.py", "apps/_shared/__pycache__/util.pyc")
    write(project, "apps/_shared/.gitignore", text="*.log\n")
    write(project, "apps/_shared/deep/x.log")
    (project / "apps/lab/shared").symlink_to("../_shared", target_is_directory=True)
    (project / "apps/lab/again").symlink_to(project / "apps/lab/shared")
    expected = [".gitignore", "deep/more.py", "util.py"]
    assert names(project) == [
        *(f"again/{name}" for name in expected),
        "app.py",
        *(f"shared/{name}" for name in expected),
    ]


def test_a_link_to_an_executable_is_executable(project: Path) -> None:
    write(project, "apps/_shared/run.sh")
    (project / "apps/_shared/run.sh").chmod(0o755)
    (project / "apps/lab/run.sh").symlink_to("../_shared/run.sh")
    assert [file.executable for file in read(project).files] == [False, True]


def test_an_app_that_is_a_link_is_what_it_leads_to(project: Path) -> None:
    write(project, "variants/two/app.py")
    shutil.rmtree(project / "apps/lab")
    (project / "apps/lab").symlink_to("../variants/two")
    assert names(project) == ["app.py"]


def fix_of(error: ContentError, folder: Path) -> None:
    """Run the command of an error, as it is printed."""
    command = error.fix.partition(": ")[2]
    subprocess.run(["bash", "-c", command], cwd=folder, check=True)


@pytest.mark.parametrize(
    ("link", "target", "reason"),
    [
        ("util.py", "../_shared/missing.py", "does not exist, and this link leads there"),
        ("it's here.py", "nothing at all.py", "does not exist, and this link leads there"),
        ("self.py", "self.py", "leads back to this link"),
        ("around", ".", "is a folder around this link, so that it would contain itself"),
        ("up", "..", None),
    ],
)
def test_a_link_that_leads_nowhere_is_refused_with_its_path(
    project: Path, link: str, target: str, reason: str | None
) -> None:
    (project / "apps/lab" / link).symlink_to(target)
    reason = reason or "is a folder around this link, so that it would contain itself"
    with pytest.raises(ContentError) as caught:
        read(project)
    assert str(caught.value).startswith(f"apps/lab/{link}: {target} {reason}. Remove the link: rm ")
    fix_of(caught.value, project)
    assert names(project) == ["app.py"]


def test_two_folders_that_lead_to_each_other_are_refused(project: Path) -> None:
    write(project, "apps/lab/a/x", "apps/lab/b/x")
    (project / "apps/lab/a/b").symlink_to("../b")
    (project / "apps/lab/b/a").symlink_to("../a")
    with pytest.raises(ContentError, match="so that it would contain itself"):
        read(project)


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_link_out_of_the_project_is_refused_and_can_be_copied(
    project: Path, tmp_path: Path, is_folder: bool
) -> None:
    write(tmp_path, "out side/data.txt")
    target = tmp_path / "out side" / ("" if is_folder else "data.txt")
    (project / "apps/lab/data").symlink_to(target)
    with pytest.raises(ContentError, match="is outside of the project") as caught:
        read(project)
    fix_of(caught.value, project)
    assert names(project) == ["app.py", "data/data.txt" if is_folder else "data"]


def test_a_link_that_is_ignored_is_not_followed(project: Path) -> None:
    (project / "apps/lab/data").symlink_to("/nowhere")
    write(project, "apps/.dockerignore", text="lab/data\n")
    assert names(project) == ["app.py"]


# What is no file


def test_sockets_and_pipes_are_left_out_with_a_note(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(project / "apps/lab/pipe")
    monkeypatch.chdir(project / "apps/lab")  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("app.sock")
        found = read(project)
    assert [file.name for file in found.files] == ["lab/app.py"]
    assert found.notes == (
        "apps/lab/app.sock is a socket, so it is not in the image.",
        "apps/lab/pipe is a named pipe, so it is not in the image.",
    )


@pytest.fixture
def not_root(project: Path) -> Iterator[None]:
    """Run as a user whom modes of files concern."""
    if os.geteuid():
        yield
        return
    for folder in (project, *project.parents):
        folder.chmod(0o755)
        # pytest keeps its folders, and with xdist one for each worker, from other users.
        if folder.name.startswith("pytest-of-"):
            break
    for path in (project, *project.rglob("*")):
        os.chown(path, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("name", "mode"), [("key.pem", 0o200), ("folder", 0o300)])
@pytest.mark.usefixtures("not_root")
def test_what_cannot_be_read_is_named(project: Path, name: str, mode: int) -> None:
    path = project / "apps/lab" / name
    path.mkdir() if name == "folder" else path.write_text("secret")
    path.chmod(mode)
    with pytest.raises(ContentError) as caught:
        read(project)
    expected = (
        f"apps/lab/{name}: {mode:04o} is a mode by which you cannot read it. Permit it: chmod"
    )
    assert str(caught.value).startswith(expected)
    fix_of(caught.value, project)
    read(project)


@pytest.mark.usefixtures("not_root")
def test_a_gitignore_file_that_cannot_be_read_is_named(project: Path) -> None:
    write(project, "apps/lab/.gitignore")
    (project / "apps/lab/.gitignore").chmod(0o200)
    with pytest.raises(ContentError, match=r"apps/lab/\.gitignore: 0200 is a mode"):
        read(project)


# Rules of git


def test_gitignore_files_count_without_a_repository(project: Path) -> None:
    write(project, ".gitignore", text="*.log\n/apps/lab/only/\n!keep.log\n")
    write(project, "apps/lab/deep/.gitignore", text="# a comment\n\\#x\n!other.log\n")
    write(project, *(f"apps/lab/{name}" for name in ("a.log", "keep.log", "only/x", "deep/#x")))
    write(project, "apps/lab/deep/other.log", "apps/lab/deep/more.log", "apps/lab/deep/only/x")
    assert names(project) == [
        "app.py",
        "deep/.gitignore",
        "deep/only/x",
        "deep/other.log",
        "keep.log",
    ]


def test_a_repository_has_excludes_of_its_own_and_of_the_user(
    repository: Path, tmp_path: Path
) -> None:
    write(repository, ".git/info/exclude", text="*.private\n")
    write(tmp_path, "home/.config/git/ignore", text="*.mine\n")
    write(repository, "apps/lab/a.private", "apps/lab/b.mine", "apps/lab/c.theirs")
    assert names(repository) == ["app.py", "c.theirs"]
    write(tmp_path, "home/excludes", text="*.theirs\n")
    git(repository, "config", "core.excludesFile", "~/excludes")
    assert names(repository) == ["app.py", "b.mine"]


def test_what_git_tracks_is_content_whatever_matches_it(repository: Path) -> None:
    write(repository, ".gitignore", text="*.pem\n/apps/lab/certificates/\n")
    write(repository, "apps/lab/a.pem", "apps/lab/b.pem", "apps/lab/certificates/c.pem")
    write(repository, "apps/lab/certificates/d.pem")
    git(repository, "add", "--force", "apps/lab/b.pem", "apps/lab/certificates/d.pem")
    assert names(repository) == ["app.py", "b.pem", "certificates/d.pem"]


def test_the_variables_of_a_hook_of_another_repository_are_not_used(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(repository, ".gitignore", text="*.pem\n")
    write(repository, "apps/lab/b.pem")
    git(repository, "add", "--force", "apps/lab/b.pem")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert names(repository) == ["app.py", "b.pem"]


@pytest.mark.parametrize("pattern", ["lab/", "/apps/", "*", "apps/*"])
def test_a_pattern_for_a_whole_app_does_not_empty_it(repository: Path, pattern: str) -> None:
    write(repository, ".gitignore", text=f"{pattern}\n*.log\n")
    write(repository, "apps/lab/x.log", "apps/lab/static/page.css")
    assert names(repository) == ["app.py", "static/page.css"]


def test_a_repository_around_the_project_counts(repository: Path) -> None:
    write(repository, ".gitignore", text="/part/apps/lab/*.log\n")
    write(repository, "part/apps/lab/app.py", "part/apps/lab/x.log", "part/apps/lab/x.txt")
    assert names(repository / "part") == ["app.py", "x.txt"]


def test_git_that_is_missing_is_not_needed(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(repository, ".git/info/exclude", text="*.private\n")
    write(repository, "apps/lab/a.private")
    monkeypatch.setenv("PATH", "/nowhere")
    assert names(repository) == ["app.py"]


@pytest.mark.parametrize("rules", [".gitignore", "apps/.gitignore", "apps/lab/.gitignore"])
def test_a_required_file_that_git_ignores_is_refused_with_an_exception(
    project: Path, rules: str
) -> None:
    write(project, rules, text="*.txt\n")
    write(project, "apps/lab/requirements.txt")
    with pytest.raises(ContentError, match="ignored by git, and the image needs it") as caught:
        read(project, required=("lab/requirements.txt",))
    fix_of(caught.value, project)
    found = read(project, required=("lab/requirements.txt",))
    assert "lab/requirements.txt" in [file.name for file in found.files]


def test_a_required_file_that_docker_ignores_is_refused_with_an_exception(project: Path) -> None:
    write(project, "apps/.dockerignore", text="**/*.txt\n")
    write(project, "apps/lab/requirements.txt")
    with pytest.raises(ContentError, match=r"ignored by \.dockerignore") as caught:
        read(project, required=("lab/requirements.txt",))
    fix_of(caught.value, project)
    assert names(project) == ["app.py", "requirements.txt"]


# Rules of Docker


def test_dockerignore_is_relative_to_the_context(project: Path) -> None:
    write(project, "apps/.dockerignore", text="*.md\nlab/notes\n**/*.tmp\n")
    write(project, *(f"apps/lab/{name}" for name in ("a.md", "notes/x", "deep/y.tmp", "z")))
    assert names(project) == ["a.md", "app.py", "z"]


@pytest.mark.parametrize(
    ("rules", "name", "ignored"),
    [
        ("node_modules", "node_modules/a/b", True),
        ("node_modules", "lab/node_modules/a", False),
        ("**/node_modules", "lab/deep/node_modules/a/b", True),
        ("/leading/slash", "leading/slash", True),
        ("trailing/", "trailing", True),
        ("*", "anything", True),
        ("*\n!keep", "keep", False),
        ("*\n!keep", "keep/inside", False),
        ("!keep\n*", "keep", True),
        ("lab\n!lab/keep.txt", "lab/keep.txt", False),
        ("lab\n!lab/keep.txt", "lab/other.txt", True),
        ("# lab", "lab", False),
        ("\ufefflab", "lab", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[ab].txt", "b.txt", True),
        ("Lab", "lab", False),
        ("a/../lab", "lab", True),
    ],
)
def test_dockers_own_rules(tmp_path: Path, rules: str, name: str, ignored: bool) -> None:
    (tmp_path / ".dockerignore").write_text(rules)
    assert DockerIgnore(tmp_path).ignores(name) is ignored


def test_a_file_that_is_excepted_in_an_ignored_folder_is_content(project: Path) -> None:
    write(project, "apps/.dockerignore", text="lab/static\n!lab/static/keep.css\n")
    write(project, "apps/lab/static/keep.css", "apps/lab/static/other.css")
    assert names(project) == ["app.py", "static/keep.css"]


def test_the_ignore_file_of_the_dockerfile_goes_first(project: Path) -> None:
    write(project, "apps/.dockerignore", text="lab/a\n")
    write(project, "apps/Dockerfile.dockerignore", text="lab/b\n")
    write(project, "apps/lab/a", "apps/lab/b")
    assert names(project) == ["a", "app.py"]


# Staging


def staged(project: Path, **options: tuple[str, ...]) -> Path:
    found = read(project, **options)
    staging.stage(project, found.hash(), found)
    return project / staging.FOLDER / found.hash()


def test_staged_content_is_the_content_with_links_resolved(project: Path) -> None:
    (project / "apps/lab/util.py").symlink_to("../_shared/util.py")
    write(project, *(f"apps/lab/{name}" for name in NEEDED), "apps/lab/run.sh")
    (project / "apps/lab/run.sh").chmod(0o700)
    os.utime(project / "apps/lab/app.py", (1_000_000, 1_000_000))
    folder = staged(project)
    again = files.read(Source(folder, "lab"))
    assert [(f"lab/{one.name}", one.digest, one.executable) for one in again.files] == [
        (one.name, one.digest, one.executable) for one in read(project).files
    ]
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    modes = {path.name: path.stat().st_mode & 0o7777 for path in folder.rglob("*")}
    assert (modes["run.sh"], modes["app.py"], modes["lab"]) == (0o755, 0o644, 0o755)
    assert (folder / "lab/app.py").stat().st_mtime == 1_000_000


def test_docker_hides_a_dockerfile_that_is_ignored(project: Path) -> None:
    write(project, "apps/Dockerfile", "apps/.dockerignore", text="Dockerfile\n")
    folder = staged(project, parts=("Dockerfile", "lab"), kept=("Dockerfile",))
    assert (folder / "Dockerfile").exists()
    assert (folder / ".dockerignore").read_text() == ".dockerignore\nDockerfile\n"


def test_a_very_large_file_is_not_copied(project: Path) -> None:
    with (project / "apps/lab/model.bin").open("wb") as file:
        file.truncate(staging.LINKED)
    (project / "apps/lab/model.bin").chmod(0o644)
    assert (staged(project) / "lab/model.bin").samefile(project / "apps/lab/model.bin")


def test_what_images_share_is_read_and_copied_once(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, "apps/other/app.py", "apps/_shared/more.py")
    digested: list[Path] = []
    original = files.digest

    def digest(path: Path) -> str:
        digested.append(path)
        return original(path)

    monkeypatch.setattr(files, "digest", digest)
    git, known = GitIgnore(project.resolve()), files.Parts()
    folders = []
    for app in ("lab", "other"):
        source = Source(project, "apps", (app, "_shared"))
        found = files.read(source, git=git, known=known)
        assert found == files.read(source, git=git)
        staging.stage(project, found.hash(), found)
        folders.append(project / staging.FOLDER / found.hash())
    shared = [sorted(folder.glob("_shared/*.py")) for folder in folders]
    assert [path.name for path in shared[0]] == ["more.py", "util.py"]
    assert all(one.samefile(other) for one, other in zip(*shared, strict=True))
    # Once for both, beside the reading for the comparison above.
    assert digested.count(project.resolve() / "apps/_shared/util.py") == 1 + len(folders)


def test_a_file_that_changes_between_hash_and_build_is_refused(project: Path) -> None:
    found = read(project)
    write(project, "apps/lab/app.py", text="changed\n")
    with pytest.raises(ContentError, match=r"lab/app\.py: .* changed while the update ran"):
        staging.stage(project, found.hash(), found)


STAGE = """
import sys
from pathlib import Path

from loadbalancer.content import files, staging

project = Path(sys.argv[1])
staging.stage(project, sys.argv[2], files.read(files.Source(project, "apps")))
print("staged", flush=True)
sys.stdin.read()
"""


def test_staged_content_lasts_until_the_last_program_ends(project: Path) -> None:
    def start(name: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", STAGE, str(project), name]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        assert process.stdout.readline() == "staged\n"
        return process

    def here() -> set[str]:
        return {path.name for path in (project / staging.FOLDER).iterdir()} - {"lock"}

    with start("killed") as killed:
        killed.kill()
    assert here() == {"killed"}
    with start("one") as one, start("two") as two:
        assert here() == {"one", "two"}
        one.communicate()
        assert here() == {"one", "two"}
        two.communicate()
    assert here() == set()
