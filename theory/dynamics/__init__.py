"""What happens over many steps: CTWA's weights, and convergence under PL."""
