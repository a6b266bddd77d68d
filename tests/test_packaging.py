"""What an installation carries: the shipped defaults inside the wheel, and every console command."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from qmterm.core.settings.model import Settings, parse_settings

TOP = Path(__file__).parents[1]
THEMES = sorted(path.name for path in (TOP / "themes").glob("*.toml"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of a copy of the tree, built by the build backend that pyproject.toml names."""
    pytest.importorskip("hatchling", reason="the build backend is not installed here: pip install hatchling")
    tree = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "README.md", "LICENSE", "config.toml"):
        shutil.copy2(TOP / name, tree / name)
    shutil.copytree(TOP / "themes", tree / "themes")
    shutil.copytree(TOP / "qmterm", tree / "qmterm", ignore=shutil.ignore_patterns("__pycache__"))
    out = tmp_path_factory.mktemp("wheel")
    code = f"from hatchling.build import build_wheel; print(build_wheel({str(out)!r}))"
    built = subprocess.run([sys.executable, "-c", code], cwd=tree, capture_output=True, text=True, check=True)
    return out / built.stdout.strip().splitlines()[-1]


def test_the_wheel_carries_the_shipped_defaults(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert {f"qmterm/defaults/themes/{name}" for name in THEMES} <= names
        text = archive.read("qmterm/defaults/config.toml").decode("utf-8")
    assert parse_settings(text, "config.toml") == Settings()
    assert {"midnight.toml", "paper.toml", "deuteranopia.toml"} <= set(THEMES)


def test_the_wheel_carries_every_module_and_no_test(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    modules = {str(path.relative_to(TOP)) for path in (TOP / "qmterm").rglob("*.py")}
    assert modules <= names
    assert not any(name.startswith("tests/") for name in names)
    assert any(name.endswith("entry_points.txt") for name in names)


def test_an_unpacked_wheel_finds_its_own_defaults(wheel, tmp_path):
    """Away from the checkout, `shipped()` must not reach back into it."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = "from qmterm.commands.places import shipped; print(shipped('config.toml')); print(shipped('themes'))"
    ended = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
    )
    assert ended.stdout.split() == [str(tmp_path / "site/qmterm/defaults" / name) for name in ("config.toml", "themes")]


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_a_wheel_in_an_empty_environment_runs_from_an_empty_folder(wheel, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel], check=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    sim = ("--source", "sim", "--broker", "sim", "--seed", "7", "--symbols", "50")
    words = ("--auto", *sim, "--speed", "max", "--until", "09:40", "--json")
    ended = subprocess.run(
        [tmp_path / "venv/bin/qmterm", *words],
        cwd=empty,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "QMTERM_HOME": str(tmp_path / "home")},
    )
    assert ended.returncode == 0, ended.stderr
    assert '"errors": 0' in ended.stdout.splitlines()[-1]
    assert list(empty.iterdir()) == []
