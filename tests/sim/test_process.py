"""The simulator as a process: it comes up, moves time as asked, and never outlives its owner."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace

import msgspec
import pytest

from qmterm.core.errors import BadInput, SimError
from qmterm.sim.options import SimOptions
from qmterm.sim.polygon.snapshots import build_rows, take_columns
from qmterm.sim.serve import main
from qmterm.sim.spawn import spawn
from qmterm.sim.world import World
from tests.sim.conftest import Simulator

STEP_NS = 5_000_000_000


def test_lockstep_moves_exactly_says_when_it_is_done_and_shuts_down_when_its_owner_asks(start_simulator):
    simulator = start_simulator("--symbols", "50", "--lockstep", "--until", "09:26")
    begin = simulator.call("GET", "/sim/state")[1]
    assert (begin["step"], begin["lockstep"], begin["symbols"]) == (0, True, 50)
    answer = simulator.advance(5)
    assert answer["step"] == 5
    assert answer["now"] == begin["now"] + 5 * STEP_NS
    assert answer["done"] is False
    answer = simulator.advance(100)
    assert answer["now"] == begin["now"] + 12 * STEP_NS
    assert answer["done"] is True
    assert simulator.call("GET", "/v1/marketstatus/now")[1]["serverTime"] == "2026-03-02T09:26:00.000-05:00"
    stranger = replace(simulator, token="wrong")
    assert stranger.call("GET", "/sim/state")[0] == 401
    assert stranger.call("POST", "/sim/shutdown")[0] == 401
    assert simulator.call("POST", "/sim/shutdown")[0] == 200
    assert simulator.process.wait(5) == 0


def test_the_process_and_a_world_in_this_one_are_the_same_world(start_simulator):
    simulator = start_simulator("--symbols", "50", "--lockstep", "--seed", "21")
    for _ in range(2):
        simulator.advance(60)
        simulator.call("GET", "/v3/snapshot/options/TSLA?limit=250")
        simulator.call("GET", "/v2/aggs/ticker/SPY/range/1/minute/2026-02-27/2026-03-02")
    body = simulator.call("GET", "/v2/snapshot/locale/us/markets/stocks/tickers")[1]
    world = World(SimOptions(seed=21, symbols=50))
    world.advance_to(world.now_ns + 120 * STEP_NS)
    rows = build_rows(take_columns(world, None), True, True, world.calendar.close_ns(world.previous.day))
    assert body["tickers"] == json.loads(msgspec.json.encode(rows))


def test_free_running_keeps_its_speed_writes_a_private_token_file_and_ends_on_sigterm(tmp_path):
    path = tmp_path / "token"
    arguments = ["--symbols", "50", "--speed", "60", "--token-file", str(path)]
    process = subprocess.Popen([sys.executable, "-m", "qmterm.sim", *arguments], stdout=subprocess.PIPE)
    about = json.loads(process.stdout.readline())
    assert "token" not in about
    assert about["token_file"] == str(path)
    assert path.stat().st_mode & 0o777 == 0o600
    simulator = Simulator(about["url"], about["ws_url"], process, path.read_text())
    begin, at = simulator.call("GET", "/sim/state")[1]["now"], time.monotonic()
    time.sleep(1.0)
    end, elapsed = simulator.call("GET", "/sim/state")[1]["now"], time.monotonic() - at
    assert (end - begin) / 1e9 == pytest.approx(60 * elapsed, abs=15)
    assert simulator.call("POST", "/sim/advance", {"steps": 1})[0] == 400
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0
    process.stdout.close()


def test_it_ends_with_its_owner_even_when_that_is_killed():
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import asyncio\n"
            "from qmterm.sim.spawn import spawn\n"
            "from qmterm.sim.options import SimOptions\n"
            "async def run():\n"
            "    sim = await spawn(SimOptions(symbols=50))\n"
            "    print(sim.process.pid, flush=True)\n"
            "    await asyncio.sleep(60)\n"
            "asyncio.run(run())\n",
        ],
        stdout=subprocess.PIPE,
    )
    pid = int(owner.stdout.readline())
    os.kill(pid, 0)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _runs(pid):
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_spawn_gives_a_simulator_in_time_and_close_ends_it():
    begin = time.monotonic()
    sim = await spawn(SimOptions(symbols=500, lockstep=True))
    assert time.monotonic() - begin < 8.0  # 2 s on an idle machine; the bound catches a start that went wrong
    assert sim.alive
    assert sim.url.startswith("http://127.0.0.1:")
    await sim.close()
    assert sim.process.returncode == 0


async def test_spawn_reports_why_it_failed():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SimError, match=f"port {port} on 127.0.0.1 is in use"):
            await spawn(SimOptions(symbols=50, port=port))


async def test_a_replay_of_nothing_is_wrong_use_in_one_sentence(tmp_path):
    with pytest.raises(BadInput, match=rf"^{tmp_path}/none does not exist: --replay takes a recording"):
        await spawn(SimOptions(replay=tmp_path / "none"))


async def test_spawn_gives_up_in_time():
    with pytest.raises(SimError, match=r"was not ready in 0\.01 s"):
        await spawn(SimOptions(symbols=50), ready_s=0.01)


def test_bad_options_are_one_sentence_and_exit_code_2(capsys):
    assert main(["--symbols", "7"]) == 2
    assert capsys.readouterr().err == "qmterm sim: symbols must be 50 to 32345, not 7\n"


def test_the_simulator_never_imports_the_heavy_clients():
    code = (
        "import sys, qmterm.sim.serve, qmterm.sim.server\n"
        "print([name for name in ('pandas', 'textual', 'tastytrade', 'polygon', 'scipy.stats') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
