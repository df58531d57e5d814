import AWSProtocol

/// The hosts at which STS answers. Upstream: aws-iam-authenticator's stsHostsForPartition, and the endpoint rules of the sts service model.
package enum STSHosts {
    private static let suffixes: [String: (standard: String, dualStack: String?)] = [
        "aws": ("amazonaws.com", "api.aws"),
        "aws-cn": ("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
        "aws-us-gov": ("amazonaws.com", "api.aws"),
        "aws-iso": ("c2s.ic.gov", nil),
        "aws-iso-b": ("sc2s.sgov.gov", nil),
        "aws-iso-e": ("cloud.adc-e.uk", nil),
        "aws-iso-f": ("csp.hci.ic.gov", nil),
        "aws-eusc": ("amazonaws.eu", nil),
    ]

    /// Whether `host`, as it stands in the URL, is an STS endpoint of the partition: global (in `aws` only), regional, FIPS, dual-stack. Ports,
    /// upper case, trailing dots and regions of other partitions are refused.
    package static func isEndpoint(_ host: String, ofPartition partition: String) -> Bool {
        guard let suffix = suffixes[partition] else { return false }
        if host == "sts.amazonaws.com" { return partition == "aws" }
        for end in [suffix.standard, suffix.dualStack].compactMap({ $0 }) {
            for start in ["sts.", "sts-fips."] where host.hasPrefix(start) && host.hasSuffix("." + end) {
                let inner = host.dropFirst(start.count)
                guard inner.count > end.count + 1 else { continue }
                let region = inner.dropLast(end.count + 1)
                if isRegion(region), ARN.partition(ofRegion: String(region)) == partition { return true }
            }
        }
        return false
    }

    /// Letters, digits and inner hyphens, lower case.
    static func isRegion(_ text: some StringProtocol) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last, bytes.count <= 32, first != 0x2D, last != 0x2D else { return false }
        return bytes.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
    }
}
