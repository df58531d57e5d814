import AWSProtocol

/// That a spot instance is taken back. Upstream: EC2 User Guide, "Spot Instance interruption notices", "EC2 instance rebalance recommendations".
package struct SpotInterruption: Codable, Sendable, Equatable {
    /// When it was told, seconds since 1970.
    package var noticedAt: Double
    /// When the instance goes.
    package var takenAt: Double

    package init(noticedAt: Double, takenAt: Double) {
        self.noticedAt = noticedAt
        self.takenAt = takenAt
    }

    /// Seconds between the notice and the end. Upstream: two minutes.
    package static let warning: Double = 120
}

extension EC2Network {
    /// Tells a spot instance that it goes in two minutes; one that knows already hears nothing new. Throws InvalidInstanceID.NotFound, and
    /// UnsupportedOperation for one that is bought on demand.
    func interrupt(_ id: String) async throws {
        let now = clock.now
        let interruption = SpotInterruption(noticedAt: now, takenAt: now + SpotInterruption.warning)
        try await state.update { tables in
            guard var instance = tables.instances[id], instance.state != "terminated", instance.isFargate != true else {
                throw AWSError("InvalidInstanceID.NotFound", "The instance ID '\(id.prefix(100))' does not exist")
            }
            guard instance.isSpot ?? false else { throw AWSError("UnsupportedOperation", "The instance '\(id)' is not a Spot Instance") }
            instance.interruption = instance.interruption ?? interruption
            tables.instances[id] = instance
        }
        interruptionInput.yield(id)
    }

    /// Instances that have been told that they go, and have not gone.
    package func interruptedInstances() async -> [String] {
        await state.read { tables in tables.instances.values.filter { $0.interruption != nil && $0.state != "terminated" }.map(\.id).sorted() }
    }
}

extension EC2Service {
    static let interruptionOperations: [String: EC2Operation] = [
        // What AWS's Fault Injection Service does to instances, by the action that its role is allowed. Upstream: Service Authorization Reference.
        "SendSpotInstanceInterruptions": EC2Operation("instance/{InstanceId}") { call in
            try await call.network.interrupt(try call.required("InstanceId"))
            return { $0.leaf("return", true) }
        }
    ]
}
