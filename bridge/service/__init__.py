"""One replica of `fester serve`: leading, following, scheduling."""
