import ArgumentParser
import Processes

/// `eval "$(eyrie env)"`: AWS's tools then talk to this service.
struct EnvCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "env", abstract: "Prints exports that point AWS's tools at this service.")

    enum Shell: String, ExpressibleByArgument, CaseIterable { case bash, fish, json }

    @OptionGroup var data: DataDirectoryOption
    @Option(help: "The form: bash, fish or json.") var shell = Shell.bash

    func run() throws {
        let directory = data.directory
        guard let credentials = directory.credentials(), let service = directory.service() else { throw CLIError.notServed(directory) }
        let variables = [
            ("AWS_ENDPOINT_URL", service.endpoint), ("AWS_ACCESS_KEY_ID", credentials.accessKeyID),
            ("AWS_SECRET_ACCESS_KEY", credentials.secretAccessKey),
            ("AWS_DEFAULT_REGION", service.region), ("AWS_REGION", service.region), ("AWS_CA_BUNDLE", directory.certificateAuthority),
            // Operations whose host has a prefix (StartLiveTail) go to the same address.
            ("AWS_DISABLE_HOST_PREFIX_INJECTION", "true"),
        ]
        if !service.process.isRunning {
            printError(
                "Note: the service is not running. Start it: eyrie serve --data-dir \(directory.path)     or     eyrie up --data-dir \(directory.path)"
            )
        }
        switch shell {
        case .bash: for (name, value) in variables { print("export \(name)='\(value)'") }
        case .fish: for (name, value) in variables { print("set -gx \(name) '\(value)'") }
        case .json: print("{" + variables.map { "\"\($0)\":\"\($1)\"" }.joined(separator: ",") + "}")
        }
    }
}
