"""qmterm: a terminal trading workstation for US stock options."""

__version__ = "0.1.0"
