// MeshEventsTesting
