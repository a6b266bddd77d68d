"""What is kept: the SQLite event journal and its queries."""

from qmterm.journal.journal import Journal as Journal
