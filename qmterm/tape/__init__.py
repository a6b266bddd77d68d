"""File formats of market data: Parquet bars."""

import os

# Read when Arrow is first imported: its own allocators keep what ended threads gave back, 10 MB of a panel, and are no
# faster at it.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
