import Foundation

/// The descriptors of standard input, output and error.
enum StandardDescriptors {
    /// Opens those that are closed, so that no socket or file takes their numbers and receives what is printed. Reading and
    /// writing them fails, as with a closed one.
    ///
    /// To be called before anything else is opened.
    static func occupyClosed() {
        for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) == -1 {
            // The lowest free number is this one.
            _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
        }
    }
}

/// How many files this process may have open.
enum DescriptorLimit {
    /// What it is raised to, as in the systemd unit. Some programs close every number below their limit.
    private static let wanted: rlim_t = 65_536

    /// Raises it as far as the system allows. A shell's usual 1 024 is too little for a node with more than 140 tools, which
    /// has some seven descriptors for each.
    ///
    /// The tools get the raised limit, too; `limits: {nofile: 1024}` in the manifest gives one another.
    static func raise() {
        var limit = rlimit()
        #if canImport(Glibc)
            let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        #else
            let resource = RLIMIT_NOFILE
        #endif
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < min(limit.rlim_max, wanted) else { return }
        limit.rlim_cur = min(limit.rlim_max, wanted)
        _ = setrlimit(resource, &limit)
    }
}
