/// One minor version that clusters may have. Upstream: eks ClusterVersionInformation.
package struct KubernetesVersion: Sendable, Equatable {
    /// `1.36`
    package var name: String
    /// `1.36.2`
    package var patch: String
    package var platformVersion: String
    /// Seconds since 1970.
    package var releaseDate: Double
    package var endOfStandardSupport: Double
    package var endOfExtendedSupport: Double
    package var isDefault: Bool

    /// `1.36` is 36.
    package var minor: Int { name.split(separator: ".").last.flatMap { Int($0) } ?? 0 }

    /// `STANDARD_SUPPORT`, `EXTENDED_SUPPORT` or `UNSUPPORTED` at a moment.
    package func status(at now: Double) -> String {
        if now < endOfStandardSupport { return "STANDARD_SUPPORT" }
        return now < endOfExtendedSupport ? "EXTENDED_SUPPORT" : "UNSUPPORTED"
    }

    /// What managed nodes of this version run: `1.36.2-20260901`.
    package var nodeReleaseVersion: String { "\(patch)-20260901" }
}

/// The versions clusters may have, newest first. Upstream: EKS User Guide, "Amazon EKS Kubernetes release calendar".
package enum KubernetesVersions {
    /// Midnight, UTC, of days since 1970.
    private static func day(_ days: Int) -> Double { Double(days) * 86_400 }

    package static let all: [KubernetesVersion] = [
        // 2026-06-02, 2027-08-02, 2028-08-02
        version("1.36", "1.36.2", 20_606, 21_032, 21_398, isDefault: true),
        // 2026-01-28, 2027-03-27, 2028-03-27
        version("1.35", "1.35.4", 20_481, 20_904, 21_270),
        // 2025-10-02, 2026-12-02, 2027-12-02
        version("1.34", "1.34.6", 20_363, 20_789, 21_154),
        // 2025-05-29, 2026-07-29, 2027-07-29
        version("1.33", "1.33.10", 20_237, 20_663, 21_028),
    ]

    package static func named(_ name: String) -> KubernetesVersion? { all.first { $0.name == name } }
    package static var standard: KubernetesVersion? { all.first(where: \.isDefault) }

    private static func version(
        _ name: String, _ patch: String, _ released: Int, _ standardEnd: Int, _ extendedEnd: Int, isDefault: Bool = false
    ) -> KubernetesVersion {
        KubernetesVersion(
            name: name, patch: patch, platformVersion: "eks.1", releaseDate: day(released), endOfStandardSupport: day(standardEnd),
            endOfExtendedSupport: day(extendedEnd), isDefault: isDefault)
    }
}
