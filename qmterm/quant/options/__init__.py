"""One option: price, Greeks and implied volatility, European and American, and the probabilities of its underlying.

The doors: black_scholes, implied_vol and european (European), american (everything American), dividends,
dividend_forecast, probability, rates. Behind them, by the door's name: european_* (blocks of lanes), american_* (the
exercise boundary by Newton), escrowed* (cash dividends: by boundary, from ex-date to ex-date, or on a lattice).
"""
