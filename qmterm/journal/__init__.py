"""What is kept: the SQLite event journal and its queries."""
