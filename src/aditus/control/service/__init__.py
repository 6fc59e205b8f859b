"""The use cases of the control plane, one module per noun: each asks the policy, then the store."""
