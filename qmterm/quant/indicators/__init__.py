"""What bars say: indicators on panels, whole or updated bar by bar, timeframes, realised volatility."""
