"""What may be believed: one code for every quote, spot and stock price, and what part of the market was looked at."""
