"""Pure maths on arrays: pricing, Greeks, implied volatility, indicators, volatility, probability."""
