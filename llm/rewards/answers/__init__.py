"""How written answers are read: text, tokens, trees of mathematics with units, comparison."""
