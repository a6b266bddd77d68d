"""Bars of one minute to one week: from trades by the SIP's conditions, from the vendor's minutes, split-adjusted."""
