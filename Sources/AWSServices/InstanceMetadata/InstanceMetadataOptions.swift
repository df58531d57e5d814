import AWSProtocol

/// How an instance's metadata service answers. Upstream: ec2 InstanceMetadataOptionsRequest.
package struct InstanceMetadataOptions: Codable, Sendable, Equatable {
    package var isEnabled = true
    /// Version 2 alone: no answer without a token.
    package var requiresTokens = true
    /// Hops that an answer with a token may go: with one it does not reach pods.
    package var hopLimit = 2
    /// Whether the instance learns its own tags.
    package var showsTags = false

    /// What instances of images with `ImdsSupport` v2.0 have by themselves, as all of EKS's do. Upstream: EC2 User Guide, "Configure the Instance
    /// Metadata Service options".
    package init() {}
}

extension XMLWriter {
    /// `<metadataOptions>`
    mutating func metadataOptions(_ options: InstanceMetadataOptions) {
        element("metadataOptions") { xml in
            xml.leaf("state", "applied")
            xml.leaf("httpTokens", options.requiresTokens ? "required" : "optional")
            xml.leaf("httpPutResponseHopLimit", options.hopLimit)
            xml.leaf("httpEndpoint", options.isEnabled ? "enabled" : "disabled")
            xml.leaf("httpProtocolIpv6", "disabled")
            xml.leaf("instanceMetadataTags", options.showsTags ? "enabled" : "disabled")
        }
    }
}
