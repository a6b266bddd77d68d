"""What bars say: indicators on panels, whole or updated bar by bar, timeframes, realised volatility.

series, realised, bandwidth: full histories. features, live, screening: the latest values of all symbols, today's bar
moving, filter and sort. timeframes, intraday: weekly and minute bars, the multi-timeframe score.
"""
