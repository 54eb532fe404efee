"""Brings market data from the exchange into the database."""
