"""One option: price, Greeks and implied volatility, European and American, and the probabilities of its underlying."""
