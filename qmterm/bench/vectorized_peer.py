"""Runs in another environment's interpreter (any Python from 3.8), so it imports nothing of qmterm.

Reads options from a folder of .npy files, says `ready` with its versions, then does one timed turn for every line on
its standard input. The trap: its libraries print to stdout and warn; only our own lines may go there.
"""

from __future__ import annotations

import os
import sys
import time
import warnings


def main(folder: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the libraries print goes to stderr
    warnings.simplefilter("ignore")
    import numpy
    import py_vollib_vectorized as peer

    flags = numpy.load(os.path.join(folder, "flags.npy"))
    price, spot, strike, years, rate = numpy.load(os.path.join(folder, "numbers.npy"))

    def turn(count: int) -> float:
        some = slice(0, count)
        start = time.perf_counter()
        vols = peer.vectorized_implied_volatility(
            price[some], spot[some], strike[some], years[some], rate[some], flags[some], return_as="numpy"
        )
        peer.get_all_greeks(flags[some], spot[some], strike[some], years[some], rate[some], vols, return_as="dict")
        seconds = time.perf_counter() - start
        numpy.save(os.path.join(folder, "iv.npy"), vols)
        return seconds

    turn(min(100, len(price)))  # compiles
    versions = f"numpy {numpy.__version__}, Python {sys.version.split()[0]}"
    print(f"ready {versions}", file=answers, flush=True)
    for _ in sys.stdin:
        print(repr(turn(len(price))), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
