"""Simulators for tests: real processes on loopback, started once a module, driven in lockstep over HTTP."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass

import pytest

from qmterm.sim.options import SimOptions
from qmterm.sim.world import World

TOKEN = "sim-test-token"


@dataclass
class Simulator:
    url: str
    ws_url: str
    process: subprocess.Popen
    token: str = TOKEN

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def call(self, method: str, path: str, body: object = None) -> tuple[int, dict]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def advance(self, steps: int = 1) -> dict:
        status, answer = self.call("POST", "/sim/advance", {"steps": steps})
        assert status == 200, answer
        return answer


def start(*arguments: str) -> Simulator:
    process = subprocess.Popen(
        [sys.executable, "-m", "qmterm.sim", "--token-env", "--owned", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "QMTERM_SIM_TOKEN": TOKEN},
    )
    about = json.loads(process.stdout.readline())
    return Simulator(about["url"], about["ws_url"], process)


def stop(simulator: Simulator) -> None:
    simulator.process.stdin.close()
    try:
        simulator.process.wait(5)
    except subprocess.TimeoutExpired:
        simulator.process.kill()
        simulator.process.wait()
    simulator.process.stdout.close()


@pytest.fixture
def start_simulator() -> Iterator[Callable[..., Simulator]]:
    running: list[Simulator] = []

    def begin(*arguments: str) -> Simulator:
        running.append(start(*arguments))
        return running[-1]

    yield begin
    for simulator in running:
        stop(simulator)


@functools.cache
def day_before_the_close() -> World:
    """Shared by all tests of a process: take a deep copy."""
    return World(SimOptions(seed=5, symbols=50, start="2026-03-02T15:59"))


@pytest.fixture
def closing_world() -> World:
    """A world of one's own a minute before the close (a whole day of steps, taken once)."""
    return deepcopy(day_before_the_close())


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """One for a module: 60 names, lockstep, 2026-03-02 09:25."""
    started = start("--symbols", "60", "--lockstep", "--seed", "3")
    yield started
    stop(started)
