"""Places orders: stands where Freqtrade stands."""
