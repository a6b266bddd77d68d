"""What the implied volatilities of a whole chain say together: forward, term structure, skew, history, arbitrage.

chain_surface does all of it at once; ladder arranges contracts for forward, term, skew, smile, expected_move and
checks. iv_history: IV rank and percentile. european_equivalent: American prices made comparable first.
"""
