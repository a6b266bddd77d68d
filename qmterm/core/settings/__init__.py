"""Configuration as typed models: each field has its unit, range, default and one line of documentation here.

`config.toml` and the docs are generated from these models; reading files is the command line's job.
"""
