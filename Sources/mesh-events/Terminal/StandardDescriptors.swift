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
