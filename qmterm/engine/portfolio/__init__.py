"""The book as a portfolio: lots and profit, Greeks and stress, how its contracts end, the broker's own figures."""
