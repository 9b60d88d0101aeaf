#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Ports that were free a moment ago, each different. Only for what must know a port before it is opened, such as
/// cluster routes.
public func freePorts(_ count: Int) throws -> [Int] {
    // All are held until all are found, or one could be given twice.
    var descriptors: [Int32] = []
    defer { for descriptor in descriptors { close(descriptor) } }
    return try (0..<count).map { _ in
        #if canImport(Darwin)
            let descriptor = socket(AF_INET, SOCK_STREAM, 0)
        #else
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #endif
        guard descriptor >= 0 else { throw TestSupportError("there is no socket to be had") }
        descriptors.append(descriptor)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, length) == 0 && getsockname(descriptor, address, &length) == 0
            }
        }
        guard bound else { throw TestSupportError("there is no free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
