"""A stand-in exchange: real HTTP, real orders, prices that follow from the clock alone."""
