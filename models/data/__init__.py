"""Series as arrays: read from long tables, split, cut into windows, and scaled."""
