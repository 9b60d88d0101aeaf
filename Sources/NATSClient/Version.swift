/// The version of this package: what the client says in its login, the program by `--version`, and what README and guide name.
/// `make docs` compares them.
package enum PackageVersion {
    package static let current = "0.2.0"
}
