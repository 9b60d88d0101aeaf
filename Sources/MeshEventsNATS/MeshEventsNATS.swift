// MeshEventsNATS
