"""Networks from outside that read pictures."""
