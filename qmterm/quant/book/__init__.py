"""Several legs and whole portfolios: payoff, margin, stress, value at risk."""
