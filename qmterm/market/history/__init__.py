"""Daily bars of the whole market, pulled once, kept as files, handed out as a panel."""
