"""The control socket: this user only, one engine only, wrong words answered in words."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat

import pytest

from qmterm.core.errors import ConfigError, EngineUnreachable
from qmterm.engine.commands import CancelOrder, CommandResult, Kill, Pause, ReadFlow, Status
from qmterm.engine.control import VERBS, ControlSocket, ask, parse_verb, someone_listens


@pytest.fixture
async def control(tmp_path):
    asked = []

    async def answer(command):
        asked.append(command)
        return CommandResult(True, "done", {"n": len(asked)})

    door = ControlSocket(tmp_path / "run" / "engine.sock", answer)
    door.asked = asked
    await door.open()
    yield door
    await door.close()


async def send(door, words):
    return await asyncio.to_thread(ask, door.path, words, 5.0)


async def test_the_socket_is_readable_by_its_owner_only(control):
    mode = os.stat(control.path).st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE(os.stat(control.path.parent).st_mode) == 0o700


async def test_a_command_is_answered_in_one_line(control):
    assert await send(control, ["status"]) == {"ok": True, "text": "done", "data": {"n": 1}, "refused": False}
    await send(control, ["cancel", "a320"])
    assert control.asked == [Status(), CancelOrder("a320")]


async def test_wrong_words_are_answered_in_words_and_reach_nobody(control):
    for words in (["sell"], [], ["cancel"], ["pause", "now"]):
        reply = await send(control, words)
        assert not reply["ok"]
        assert "ctl" in reply["text"]
    assert control.asked == []


async def test_what_is_not_json_is_refused_and_the_next_line_still_works(control):
    reader, writer = await asyncio.open_unix_connection(str(control.path))
    for line, ok in ((b"rubbish\n", False), (b'{"a": 1}\n', False), (b'["pause"]\n', True)):
        writer.write(line)
        assert json.loads(await reader.readline())["ok"] is ok
    writer.close()
    assert control.asked == [Pause("ctl")]


async def test_a_second_engine_refuses_and_leaves_the_first_alone(control):
    with pytest.raises(ConfigError, match="another engine"):
        await ControlSocket(control.path).open()
    assert (await send(control, ["status"]))["ok"]


async def test_a_socket_left_by_a_killed_engine_is_taken_over(tmp_path):
    path = tmp_path / "engine.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    assert path.exists()
    assert not someone_listens(path)
    door = ControlSocket(path)
    await door.open()
    assert (await send(door, ["status"]))["text"] == "the engine is still starting"
    await door.close()
    assert not path.exists()


async def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ConfigError, match="cannot listen on"):
        await ControlSocket(blocked / "engine.sock").open()


async def test_nobody_there_is_one_sentence(tmp_path):
    with pytest.raises(EngineUnreachable, match="no engine answers"):
        ask(tmp_path / "nobody.sock", ["status"])


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_makes_a_command_and_knows_how_many_words_it_takes(verb):
    _, names = VERBS[verb]
    parse_verb([verb, *names])
    if names == ("symbols…",):
        assert parse_verb([verb]) == ReadFlow()
        assert parse_verb([verb, "aapl", "SPY"]) == ReadFlow(("AAPL", "SPY"))
        return
    if names == ("text…",):
        said, sends = parse_verb([verb, "NVDA 15MAY26"]), parse_verb([verb, "NVDA", "15MAY26", "--send"])
        assert (said.text, said.send) == ("NVDA 15MAY26", False)
        assert (sends.text, sends.send) == ("NVDA 15MAY26", True)
        with pytest.raises(ConfigError, match=f"ctl {verb} takes 1 argument"):
            parse_verb([verb])
        return
    with pytest.raises(ConfigError, match=f"ctl {verb} takes {len(names)} argument"):
        parse_verb([verb, *names, "more"])


def test_a_kill_from_the_shell_says_so():
    assert parse_verb(["kill"]) == Kill("ctl")
