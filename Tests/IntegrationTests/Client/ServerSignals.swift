#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Asks a server to enter lame-duck mode, as its own `--signal ldm` does.
func sendLameDuckSignal(_ pid: Int32) -> Bool { kill(pid, SIGUSR2) == 0 }
