"""What a parametrisation makes of the law: natural gradient, kernels, curvature."""
