// LocalNATSServer
