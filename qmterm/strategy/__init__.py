"""What to trade: setups, option choice, trade plans."""
