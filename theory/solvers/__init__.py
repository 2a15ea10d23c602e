"""Small convex programmes, exact and certified by their gaps."""
