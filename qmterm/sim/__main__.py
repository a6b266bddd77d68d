"""`python -m qmterm.sim`: the simulator alone, as `qmterm sim serve` starts it."""

from qmterm.sim.serve import main

raise SystemExit(main())
