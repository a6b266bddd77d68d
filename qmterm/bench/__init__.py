"""Measures qmterm beside its peers, in one run on one machine, with errors beside speeds."""
