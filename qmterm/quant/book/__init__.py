"""Several legs and whole portfolios: payoff, margin, stress, value at risk.

legs, payoff, expectation, mixed_expiries: one position at expiry, POP and EV. margin, margin_pairing: Reg-T of a
structure, of any legs. positions, exposure, stress, value_at_risk: a portfolio.
"""
