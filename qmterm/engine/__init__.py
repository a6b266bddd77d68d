"""Owns all trading state; view and commands are its only doors."""
