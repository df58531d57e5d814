import ArgumentParser

/// The command line's root.
struct EyrieCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eyrie",
        abstract: "A self-hosted Amazon EKS: clusters in a second, with a Kubernetes control plane of their own and nodes that run real containers.",
        version: Executable.version,
        subcommands: [
            ServeCommand.self, UpCommand.self, DownCommand.self, AccessCommand.self, EnvCommand.self, TokenCommand.self, InterruptCommand.self,
            NodeCommand.self,
        ])
}

/// The option every command shares.
struct DataDirectoryOption: ParsableArguments {
    @Option(name: .customLong("data-dir"), help: "Where the service keeps its data.")
    var path = "/var/lib/eyrie"

    func validate() throws {
        // What a script's unset variable becomes; it must not turn into the current directory.
        guard !path.isEmpty else { throw ValidationError("--data-dir takes a directory, not nothing") }
    }

    var directory: DataDirectory { DataDirectory(path) }
}
