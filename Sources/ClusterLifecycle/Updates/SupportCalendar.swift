import AWSProtocol

/// The end of support: clusters that may not stay at their version are updated by EKS itself. Upstream: EKS User Guide, "Understand the Kubernetes
/// version lifecycle on EKS".
enum SupportCalendar {
    /// How often the calendar is looked at: its moments are days.
    static let pace = Duration.seconds(86_400)

    /// The version a cluster must go to at `now`; nil while it may stay, or when there is none to go to. One minor at a time, as every update.
    static func due(_ cluster: ClusterRecord, at now: Double) -> String? {
        guard let version = KubernetesVersions.named(cluster.version) else { return nil }
        let end = cluster.supportType == "STANDARD" ? version.endOfStandardSupport : version.endOfExtendedSupport
        guard now >= end else { return nil }
        return KubernetesVersions.all.first { $0.minor == version.minor + 1 && $0.status(at: now) != "UNSUPPORTED" }?.name
    }
}

extension EKSService {
    /// Begins the update of every cluster whose support has ended. Those that something else is changing have their turn the next time.
    package func enforceSupport() async {
        let now = clock.now
        let due = await state.read { tables in
            tables.clusters.values.filter { $0.status == .active }.compactMap { cluster in
                SupportCalendar.due(cluster, at: now).map { (name: cluster.name, version: $0) }
            }
        }
        for (name, version) in due {
            do {
                _ = try await begin(.version(VersionUpdate(version: version, isAutomatic: true)), "AutomaticUpdate", on: name, token: nil)
            } catch {
                context.logger.error("automatic update not begun", metadata: ["cluster": "\(name)", "version": "\(version)", "error": "\(error)"])
            }
        }
    }

    func followCalendar() async {
        while !Task.isCancelled {
            await enforceSupport()
            await rotateAuthorities()
            do { try await Task.sleep(for: SupportCalendar.pace) } catch { return }
        }
    }
}
