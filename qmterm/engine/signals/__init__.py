"""From the market to plans: history and scans, candidates, their chains, what is known of the companies."""
