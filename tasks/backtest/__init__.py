"""Forecasts from rolling origins: planned, made, scored and recorded."""
