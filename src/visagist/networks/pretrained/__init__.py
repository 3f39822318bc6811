"""Networks whose weights come from elsewhere."""
