"""Compiled kernels are kept where the user may write, told apart by their sources, and never able to break a run."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.caching import NullCache

import qmterm
from qmterm.quant import kernel_cache
from qmterm.quant.kernel import kernel
from qmterm.quant.options.black_scholes import probability_in_the_money

HOUSE = Path(qmterm.__file__).parent

# Enough options that the kernel is compiled or loaded; prints the sum, and how often it was not in the cache.
MANY = """
import numpy as np
import qmterm
from numba.core import event
from qmterm.quant.options.black_scholes import _in_the_money, probability_in_the_money
with event.install_recorder("numba:compile") as compiled:
    total = probability_in_the_money(np.linspace(90.0, 110.0, 500), 100.0, 0.5, 0.04, 0.01, 0.2, True).sum()
assert _in_the_money.is_compiled
print(repr(float(total)), len(compiled.buffer) > 0, qmterm.__file__)
"""


def run(program, cache, **variables):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONDONTWRITEBYTECODE": "1"} | variables
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=cache.parent
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.split()


def expected():
    return float(probability_in_the_money(np.linspace(90.0, 110.0, 500), 100.0, 0.5, 0.04, 0.01, 0.2, True).sum())


def installed_elsewhere(folder):
    """The floors a kernel needs, copied as an installer would, so that they can be made read-only or edited."""
    house = folder / "qmterm"
    house.mkdir(parents=True)
    shutil.copy(HOUSE / "__init__.py", house)
    for floor in ("core", "quant"):
        shutil.copytree(HOUSE / floor, house / floor, ignore=shutil.ignore_patterns("__pycache__"))
    return house


def test_a_read_only_install_keeps_its_kernels_in_the_users_cache(tmp_path):
    house = installed_elsewhere(tmp_path / "site")
    everything = [house, *house.rglob("*")]
    for path in everything:
        path.chmod(path.stat().st_mode & ~0o222)
    first = run(MANY, tmp_path / "cache", PYTHONPATH=str(tmp_path / "site"))
    second = run(MANY, tmp_path / "cache", PYTHONPATH=str(tmp_path / "site"))
    # Root may write anywhere: so look whether anything was.
    assert sorted([house, *house.rglob("*")]) == sorted(everything)
    assert first[1:] == ["True", str(house / "__init__.py")]
    assert second == [first[0], "False", first[2]]
    assert float(first[0]) == pytest.approx(expected(), rel=1e-14)


@pytest.fixture
def places(monkeypatch):
    """A list of folders to try, to be filled by the test; nothing of it is remembered afterwards."""
    folders = []
    monkeypatch.setattr(kernel_cache, "_places", lambda: folders)
    kernel_cache._folder.cache_clear()
    yield folders
    kernel_cache._folder.cache_clear()


def twice(x):
    return 2.0 * x


def compiled_anew():
    """The function as a fresh process would have it, kept as one of ours is."""
    twice.__module__ = "qmterm.quant.normal"
    dispatcher = kernel(twice)
    assert dispatcher(4.0) == 8.0
    return dispatcher


def test_without_any_place_to_write_each_run_compiles(tmp_path, places):
    blocked = tmp_path / "a file, not a folder"
    blocked.write_text("")
    places += [blocked, blocked / "below"]
    for _ in range(2):
        assert isinstance(compiled_anew()._cache, NullCache)


def test_the_first_place_that_can_be_written_is_taken(tmp_path, places):
    blocked = tmp_path / "file"
    blocked.write_text("")
    places += [blocked, tmp_path / "cache"]
    assert compiled_anew()._cache.cache_path.startswith(str(tmp_path / "cache" / "normal"))


def test_the_cache_of_others_stays_where_it_was(tmp_path, places):
    before = numba.config.CACHE_DIR
    places.append(tmp_path)
    compiled_anew()
    assert before == numba.config.CACHE_DIR


@pytest.mark.parametrize("suffix", [".nbi", ".nbc", ""])
@pytest.mark.parametrize("left", [0, 0.5, 0.95])
def test_damaged_files_are_compiled_again_and_replaced(tmp_path, places, suffix, left):
    places.append(tmp_path)
    compiled_anew()
    assert sum(compiled_anew().stats.cache_hits.values()) == 1
    damaged = [path for path in tmp_path.rglob("*.nb*") if path.name.endswith(suffix)]
    assert damaged
    for path in damaged:
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * left)])
    assert sum(compiled_anew().stats.cache_hits.values()) == 0
    assert sum(compiled_anew().stats.cache_hits.values()) == 1


def test_an_edit_in_a_piece_renames_the_kernels_of_all_modules_that_use_it(tmp_path, monkeypatch):
    house = installed_elsewhere(tmp_path)
    monkeypatch.setattr(kernel_cache, "_HOUSE", house)
    modules = ["qmterm.quant.options.black_scholes", "qmterm.quant.options.european_block", "qmterm.quant.normal"]
    stranger = "qmterm.quant.options.rates"

    def names():
        return [kernel_cache.fingerprint(module) for module in [*modules, stranger]]

    before = names()
    assert before == names()
    assert len(set(before)) == len(before)
    normal = house / "quant" / "normal.py"
    normal.write_text(normal.read_text().replace("1.2375126308378275", "1.2375126308378276"))
    after = names()
    assert all(new != old for new, old in zip(after[:-1], before[:-1], strict=True))
    assert after[-1] == before[-1]
    # A constant of the floor below is frozen into machine code as well.
    calendar = house / "core" / "calendar.py"
    calendar.write_text(re.sub(r"SECONDS_PER_YEAR = [\d_]+", "SECONDS_PER_YEAR = 31_557_600", calendar.read_text()))
    assert kernel_cache.fingerprint(modules[1]) != after[1]


def test_old_versions_are_dropped_and_the_last_used_kept(tmp_path):
    for number in range(5):
        (tmp_path / str(number)).mkdir()
        os.utime(tmp_path / str(number), (1000 + number, 1000 + number))
    kernel_cache._drop_old(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3", "4"]
    kernel_cache._drop_old(tmp_path / "nowhere")


def test_a_disk_that_takes_nothing_costs_the_cache_not_the_answer(monkeypatch, places):
    class FullDisk:
        cache_path = ""
        disabled = False

        def load_overload(self, signature, context):
            raise EOFError

        def save_overload(self, signature, compiled):
            raise OSError(28, "No space left on device")

        def flush(self):
            raise OSError(28, "No space left on device")

        def disable(self):
            self.disabled = True

    disk = FullDisk()

    dispatcher = compiled_anew()
    fresh = numba.njit(twice)
    monkeypatch.setattr(fresh, "_cache", kernel_cache.KernelCache(disk))
    assert fresh(4.0) == dispatcher(4.0)
    assert disk.disabled


START = """
import time
begun = time.perf_counter()
from qmterm.quant.options.european import solve
from qmterm.quant.options.european_block import solve_block
from qmterm.quant.options.black_scholes import _prices, price
value = price(100.0, 105.0, 0.25, 0.04, 0.01, 0.3, True)
answer = solve(value, 100.0, 105.0, 0.25, 0.04, 0.01, True)
took = time.perf_counter() - begun
assert not _prices.is_compiled and not solve_block.is_compiled
print(took, repr(float(value)), *(repr(float(number)) for number in answer))
"""


def test_one_option_needs_no_compilation_and_gets_the_same_digits(tmp_path):
    from qmterm.quant.options.black_scholes import price
    from qmterm.quant.options.european import solve

    took, value, *answer = map(float, run(START, tmp_path))
    assert took < 3.0  # 0.4 s on an idle machine; compiling alone would take longer
    market = (np.full(100, 100.0), 105.0, 0.25, 0.04, 0.01)
    assert value == pytest.approx(price(*market, 0.3, True)[0], rel=1e-13)
    np.testing.assert_allclose(answer, [array[0] for array in solve(value, *market, True)], rtol=1e-12)


def test_the_fingerprint_of_the_whole_floor_is_quick():
    begun = time.process_time()
    for path in (HOUSE / "quant").rglob("*.py"):
        kernel_cache.fingerprint(".".join(path.relative_to(HOUSE.parent).with_suffix("").parts))
    assert time.process_time() - begun < 1.0
