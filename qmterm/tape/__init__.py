"""File formats of market data: Parquet bars."""
