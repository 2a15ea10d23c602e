"""Part D: convergence under the Polyak–Łojasiewicz condition, and interference (T41–T49)."""
