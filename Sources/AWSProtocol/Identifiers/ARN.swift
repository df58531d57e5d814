/// An Amazon Resource Name: `arn:partition:service:region:account:resource`.
package struct ARN: Sendable, Hashable, CustomStringConvertible {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    package var partition: String
    package var service: String
    /// Empty for global services.
    package var region: String
    package var account: String
    /// The rest, with its colons and slashes: `role/path/name`.
    package var resource: String

    /// The partitions AWS has. Upstream: aws-sdk-go endpoints partitions.
    package static let partitions: Set<String> = [
        "aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc",
    ]

    package init(partition: String = "aws", service: String, region: String = "", account: String, resource: String) {
        self.partition = partition
        self.service = service
        self.region = region
        self.account = account
        self.resource = resource
    }

    /// Nil when `text` lacks a part, or service or resource is empty.
    package init?(_ text: some StringProtocol) {
        // Every decision about a caller reads ARNs: by bytes, not by characters.
        let parts = text.utf8.split(separator: 0x3A, maxSplits: 5, omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0].elementsEqual("arn".utf8), !parts[1].isEmpty, !parts[2].isEmpty, !parts[5].isEmpty else { return nil }
        partition = String(decoding: parts[1], as: UTF8.self)
        service = String(decoding: parts[2], as: UTF8.self)
        region = String(decoding: parts[3], as: UTF8.self)
        account = String(decoding: parts[4], as: UTF8.self)
        resource = String(decoding: parts[5], as: UTF8.self)
    }

    package var description: String { "arn:\(partition):\(service):\(region):\(account):\(resource)" }

    /// The resource's parts between slashes: `["role", "path", "name"]`.
    package var resourceParts: [Substring] { resource.utf8.split(separator: 0x2F, omittingEmptySubsequences: false).map { Substring($0) } }

    /// The partition a region belongs to. Upstream: botocore partitions.json's regionRegex.
    package static func partition(ofRegion region: String) -> String {
        if region.hasPrefix("cn-") { return "aws-cn" }
        if region.hasPrefix("us-gov-") { return "aws-us-gov" }
        if region.hasPrefix("us-iso-") { return "aws-iso" }
        if region.hasPrefix("us-isob-") { return "aws-iso-b" }
        if region.hasPrefix("eu-isoe-") { return "aws-iso-e" }
        if region.hasPrefix("us-isof-") { return "aws-iso-f" }
        if region.hasPrefix("eusc-") { return "aws-eusc" }
        return "aws"
    }
}
