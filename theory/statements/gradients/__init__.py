"""A3. The law under plain and natural gradient ascent (T11–T14)."""
