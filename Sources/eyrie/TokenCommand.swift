import ArgumentParser
import KubeAPI
import NodeIdentity

/// The exec plug-in of kubeconfigs that `eyrie up` writes: the same token as `aws eks get-token`, without the AWS CLI.
struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "token", abstract: "Prints an ExecCredential for kubectl.")

    @OptionGroup var data: DataDirectoryOption
    @Option(name: [.customLong("cluster"), .customShort("c")], help: "The cluster's name.") var cluster: String

    /// Seconds for which clients may keep the token. Upstream: aws-iam-authenticator, 15 minutes less one.
    private static let lifetime: Int64 = 14 * 60

    func run() throws {
        let directory = data.directory
        guard let credentials = directory.credentials(), let service = directory.service() else { throw CLIError.notServed(directory) }
        let now = Timestamp.now
        let token = Self.token(credentials, service, cluster: cluster, now: now)
        let credential: Value = [
            "kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1beta1", "spec": [:],
            "status": ["expirationTimestamp": .string(now.adding(seconds: Self.lifetime).rfc3339), "token": .string(token)],
        ]
        print(credential.jsonString)
    }

    /// A bearer token for `cluster`, good for a quarter of an hour.
    static func token(_ credentials: DataDirectory.Credentials, _ service: DataDirectory.ServiceFile, cluster: String, now: Timestamp = .now)
        -> String
    {
        EKSToken.make(
            credentials.keys, endpoint: service.endpoint, region: service.region, cluster: cluster, time: Double(now.microseconds) / 1_000_000)
    }
}
