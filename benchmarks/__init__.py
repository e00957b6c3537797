"""Speed, memory and quality, compared with other libraries and with the processor's peak."""
