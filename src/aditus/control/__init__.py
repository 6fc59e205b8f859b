"""The control plane: who may do what with keys and apps."""
