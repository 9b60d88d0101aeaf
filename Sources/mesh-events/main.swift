print("mesh-events")
