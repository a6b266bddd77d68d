"""What goes out: tastytrade and paper."""
