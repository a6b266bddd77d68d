"""`qmterm ctl` over a real control socket: the engine's answer becomes text, JSON and an exit code."""

import asyncio
import json
import threading

import pytest

from qmterm.commands.places import places
from qmterm.engine.commands import CommandResult, Status, Why
from qmterm.engine.control import ControlSocket


@pytest.fixture
def engine(home):
    """A control socket that knows the status and one symbol."""

    async def answer(command):
        if isinstance(command, Status):
            return CommandResult(True, "auto sim/sim", {"working_orders": 0})
        if isinstance(command, Why) and command.subject == "NVDA":
            return CommandResult(True, "signal ENTRY_LONG")
        return CommandResult(False, f"nothing is recorded about {getattr(command, 'subject', command)!r}")

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    socket = ControlSocket(places().socket, answer)
    asyncio.run_coroutine_threadsafe(socket.open(), loop).result(5)
    yield socket
    asyncio.run_coroutine_threadsafe(socket.close(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def test_what_the_engine_did_goes_to_stdout(qmterm, engine):
    assert qmterm("ctl", "status") == (0, "auto sim/sim\n", "")


def test_json_is_the_whole_reply(qmterm, engine):
    code, out, _ = qmterm("ctl", "status", "--json")
    assert code == 0
    assert json.loads(out) == {"ok": True, "text": "auto sim/sim", "data": {"working_orders": 0}, "refused": False}


def test_an_unknown_symbol_is_a_no_on_stderr(qmterm, engine):
    assert qmterm("ctl", "why", "NVDA")[0] == 0
    assert qmterm("ctl", "why", "NOSUCH") == (1, "", "nothing is recorded about 'NOSUCH'\n")


def test_doctor_shows_the_running_engine(qmterm, engine):
    code, out, _ = qmterm("doctor", "--json")
    assert code == 1, "no key"
    found = next(check for check in json.loads(out)["checks"] if check["name"] == "running engine")
    assert (found["state"], found["saw"]) == ("OK", "auto sim/sim")


def test_without_an_engine_one_sentence_says_so(qmterm, home):
    code, out, err = qmterm("ctl", "status")
    assert code != 0
    assert out == ""
    assert str(home / "run" / "engine.sock") in err
    assert err.count("\n") == 1
