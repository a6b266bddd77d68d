"""The screen: draws snapshots, returns commands."""
