// NATSClient
