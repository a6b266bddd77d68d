"""From a plan to a position: desk, ledger, book and marks, exits, proposals, recovery."""
