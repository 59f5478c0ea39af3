"""The control plane: what people and programs ask for, one file per thing."""
