"""The words of the field: instruments, ticks, fees, sessions, orders, positions, reasons, protocols. Pure."""
