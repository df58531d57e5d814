import AWSProtocol
import ArgumentParser
import KubeAPI

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
        "k8s-aws-v1." + Base64URL.encode(Array(presign(credentials, service, cluster: cluster, now: now).utf8))
    }

    /// The presigned GetCallerIdentity URL that is the token.
    private static func presign(_ credentials: DataDirectory.Credentials, _ service: DataDirectory.ServiceFile, cluster: String, now: Timestamp)
        -> String
    {
        let host = service.endpoint.split(separator: "/").last.map(String.init) ?? ""
        let signer = RequestSigner(
            accessKeyID: credentials.accessKeyID, secretAccessKey: credentials.secretAccessKey, region: service.region, service: "sts")
        let target = signer.presign(
            target: "/?Action=GetCallerIdentity&Version=2011-06-15", host: host, headers: [(name: "x-k8s-aws-id", value: cluster)],
            expires: 60, time: Double(now.microseconds) / 1_000_000)
        return "https://\(host)\(target)"
    }
}

/// Base64 for URLs, without padding (RFC 4648, section 5).
enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var out: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 6 {
                count -= 6
                out.append(alphabet[Int(bits >> UInt32(count) & 63)])
            }
            bits &= (1 << UInt32(count)) - 1
        }
        if count > 0 { out.append(alphabet[Int(bits << UInt32(6 - count) & 63)]) }
        return String(decoding: out, as: UTF8.self)
    }
}
