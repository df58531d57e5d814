/// Which of a cluster's certificate authorities signs and which are believed, by the names of their files in its directory.
package struct ClusterAuthorities: Sendable, Equatable {
    package var signer: String
    /// The signer among them.
    package var trusted: [String]

    package init(signer: String, trusted: [String]) {
        self.signer = signer
        self.trusted = trusted
    }

    /// The authority that every cluster begins with.
    package static let initialName = "ca"
    package static let initial = ClusterAuthorities(signer: initialName, trusted: [initialName])

    /// The signer first: clients that read one certificate of a bundle read that.
    package var ordered: [String] { [signer] + trusted.filter { $0 != signer } }

    /// Says on a node which authorities it believes and by which it is certified.
    package static let nodeAnnotation = "eyrie/certificate-authorities"
    /// The name of the file, of those that a machine starts from, that holds what changes with the authorities. It is replaced as a whole.
    package static let nodeFile = "certificates.json"

    /// One state of the authorities from another: the annotation's value.
    package var revision: String { "signer=\(signer) trusted=\(trusted.sorted().joined(separator: ","))" }
}

extension ClusterAuthorities {
    /// The certificate, in PEM, of the authority `name` in a cluster's directory; it is made when it is not there. Throws on files that cannot be used.
    package static func make(_ name: String, in directory: String) throws -> String {
        try ClusterPKI.authority(name, in: directory).certificatePEM
    }

    /// Removes the authority `name` with its key. Removing what is not there succeeds. Throws on files that stay.
    package static func remove(_ name: String, in directory: String) throws { try ClusterPKI.removeAuthority(name, in: directory) }
}
