"""Forecasts from rolling origins: planned, made, scored, drawn and recorded."""
