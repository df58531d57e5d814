import HTTPTransport
import NodeIdentity

/// The credentials of an instance profile, from the metadata service of the instance that this host is. Upstream: IMDSv2.
enum InstanceKeys {
    /// A host that is no instance has nobody there.
    private static let patience = Duration.seconds(2)
    private static let limit = 1 << 16
    private static let folder = "/latest/meta-data/iam/security-credentials/"

    /// Nil where there are none.
    static func read() async -> AWSKeys? {
        do {
            let client = try HTTPClient(configuration: .init(address: .tcp(host: InstanceMetadataEndpoint.address, port: 80)))
            func text(_ method: String, _ path: String, _ fields: HTTPFields) async throws -> [UInt8]? {
                let answer = try await client.execute(method, path, fields: fields, timeout: patience)
                let bytes = try await answer.body.collect(limit: limit)
                return answer.status == 200 ? bytes : nil
            }
            guard let token = try await text("PUT", "/latest/api/token", ["X-aws-ec2-metadata-token-ttl-seconds": "60"]) else { return nil }
            let fields: HTTPFields = ["X-aws-ec2-metadata-token": String(decoding: token, as: UTF8.self)]
            guard let role = try await text("GET", folder, fields),
                let document = try await text("GET", folder + String(decoding: role, as: UTF8.self), fields)
            else { return nil }
            await client.close()
            return AWSKeys(metadata: document)
        } catch {
            return nil  // Nobody answers: it is no instance.
        }
    }
}
