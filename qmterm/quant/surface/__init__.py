"""What the implied volatilities of a whole chain say together: forward, term structure, skew, history, arbitrage."""
