"""The documents say what the program does: keys, verbs, JSON keys, settings and links are compared with it."""

import re
from datetime import date
from pathlib import Path

import pytest

from qmterm.cli import main
from qmterm.core.order_text import read_order
from qmterm.core.settings.model import Settings
from qmterm.core.tickets import Ticket
from qmterm.engine.control import VERBS
from qmterm.engine.show.summary import RunSummary
from qmterm.ui.action import shown_key
from qmterm.ui.actions import ACTIONS

TOP = Path(__file__).parents[1]
PAGES = [TOP / "README.md", TOP / "CHANGELOG.md", *sorted((TOP / "docs").glob("*.md"))]


def text_of(name):
    return (TOP / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_repository_leads_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        linked = page.parent / file if file else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_that_is_named_exists(page):
    text = page.read_text(encoding="utf-8")
    for section, key in re.findall(r"`\[(\w+)\]\s+(\w+)`", text):
        assert key in getattr(Settings(), section).model_dump(), f"[{section}] {key}"


def test_the_two_commands_stand_in_the_readme_as_promised():
    blocks = re.findall(r"```sh\n(.*?)```", text_of("README.md"), re.DOTALL)
    assert blocks[0] == 'python3 -m venv .venv && .venv/bin/pip install -e ".[test]" && .venv/bin/qmterm demo\n'
    assert blocks[1] == ".venv/bin/python -m pytest\n"


def test_every_key_in_the_readme_is_bound():
    table = text_of("README.md").split("## Keys")[1].split("No single key")[0]
    cells = [row.split("|")[column] for row in table.splitlines()[2:] for column in (1, 4) if row.count("|") > 4]
    named = {key for cell in cells for key in re.findall(r"`([^`]+)`", cell)}
    bound = {name for action in ACTIONS for key in action.keys for name in (key, shown_key(key))}
    assert named - bound == set()
    assert {"a", "P", "K", "w", "q"} <= named


def test_every_verb_of_ctl_is_in_its_help_and_on_the_page_about_it(capsys):
    with pytest.raises(SystemExit):
        main(["ctl", "--help"])
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    page = text_of("docs/headless.md")
    for verb in VERBS:
        assert re.search(rf"\b{verb}\b", told), verb
        assert f"qmterm ctl {verb}" in page, verb
    assert set(re.findall(r"^qmterm ctl (\w+)", page, re.MULTILINE)) == set(VERBS)


def test_the_json_keys_of_a_headless_run_are_all_explained():
    table = text_of("docs/headless.md").split("## The JSON line")[1].split("## Talking")[0]
    explained = {
        key for row in table.splitlines() if row.startswith("| `") for key in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert explained == set(RunSummary.__slots__)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_ctl_verb_that_is_named_exists(page):
    for verbs in re.findall(r"\bctl ([a-z|]+)", page.read_text(encoding="utf-8")):
        assert set(verbs.split("|")) <= set(VERBS), verbs


def test_every_order_line_in_the_documents_can_be_read():
    examples = text_of("docs/orders.md").split("```text\n")[1].split("```")[0].splitlines()
    examples += re.findall(r":order (buy[^`]+)`", text_of("README.md") + text_of("CHANGELOG.md"))
    examples += re.findall(r'ctl order "([^"]+)"', text_of("docs/headless.md"))
    assert len(examples) >= 8
    for line in examples:
        assert isinstance(read_order(line.split("   ")[0], date(2026, 3, 2)), Ticket), line


def test_the_picture_is_drawn_text_and_loads_nothing():
    picture = text_of("docs/screen.svg")
    assert "ENTRY_LONG" in picture
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)[^\"' ]+", picture) == []
    assert "<script" not in picture
