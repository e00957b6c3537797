"""Where series come from, and what is made of them before a model sees them."""
