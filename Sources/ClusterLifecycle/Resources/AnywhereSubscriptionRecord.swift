package import AWSProtocol

/// An EKS Anywhere subscription as the service keeps it. No licences come with it: there is no License Manager. Upstream: eks EksAnywhereSubscription.
package struct AnywhereSubscriptionRecord: Codable, Sendable, Equatable {
    package var id: String
    package var name: String
    package var arn: String
    /// Seconds since 1970.
    package var createdAt: Double
    /// 12 or 36.
    package var months: Int
    package var licenseQuantity: Int
    package var autoRenew: Bool
    /// `CREATING`, `UPDATING` or `ACTIVE`: whether it has expired, the clock says.
    package var phase: String
    package var tags: [String: String]

    /// A month as subscriptions count it.
    private static let month = 365.25 / 12 * 86_400
    /// How long before its end a subscription is EXPIRING.
    private static let notice: Double = 30 * 86_400

    /// The end of the term in which `now` lies, or of the last one.
    package func expiration(at now: Double) -> Double {
        let term = Double(months) * Self.month
        guard autoRenew, now > createdAt else { return createdAt + term }
        return createdAt + term * ((now - createdAt) / term).rounded(.up)
    }

    /// Upstream: eks EksAnywhereSubscriptionStatus.
    package func status(at now: Double) -> String {
        guard phase == "ACTIVE" else { return phase }
        let end = expiration(at: now)
        if now >= end { return "EXPIRED" }
        return !autoRenew && end - now <= Self.notice ? "EXPIRING" : "ACTIVE"
    }

    static func settle(_ tables: inout LifecycleTables) {
        for subscription in tables.subscriptions.values where subscription.phase != "ACTIVE" {
            tables.subscriptions[subscription.id]?.phase = "ACTIVE"
        }
    }
}

/// What CreateEksAnywhereSubscription asks for. Upstream: eks CreateEksAnywhereSubscriptionRequest.
package struct CreateAnywhereSubscriptionInput: Sendable {
    package var name: String
    package var duration: Int
    package var unit: String
    package var licenseQuantity = 1
    package var autoRenew = false
    package var tags: [String: String] = [:]
    package var token: IdempotencyToken?

    package init(name: String, duration: Int, unit: String) {
        self.name = name
        self.duration = duration
        self.unit = unit
    }
}

extension EKSService {
    /// Upstream: EKS quotas, "EKS Anywhere subscriptions".
    private static let subscriptionLimit = 100

    /// Records a new subscription in CREATING. Upstream: eks CreateEksAnywhereSubscription. Throws InvalidParameterException,
    /// ResourceLimitExceededException.
    package func createAnywhereSubscription(_ input: CreateAnywhereSubscriptionInput) async throws -> AnywhereSubscriptionRecord {
        let now = clock.now
        let id = AWSIdentifier.uuid()
        let record = AnywhereSubscriptionRecord(
            id: id, name: input.name, arn: configuration.arn("eks-anywhere-subscription/\(id)"), createdAt: now, months: input.duration,
            licenseQuantity: input.licenseQuantity, autoRenew: input.autoRenew, phase: "CREATING", tags: input.tags)
        let made = try await state.update { tables -> AnywhereSubscriptionRecord in
            if let id = try tables.replay("CreateEksAnywhereSubscription", input.token), let known = tables.subscriptions[id] { return known }
            guard input.unit == "MONTHS", input.duration == 12 || input.duration == 36 else {
                throw EKSFault.invalidParameter("The term of a subscription must be 12 or 36 MONTHS")
            }
            guard (1...100).contains(input.licenseQuantity) else { throw EKSFault.invalidParameter("licenseQuantity must be from 1 to 100") }
            guard InputNames.isName(input.name, limit: 100), input.name.first?.isLetter ?? false else {
                throw EKSFault.invalidParameter("The subscription's name must begin with a letter, and have letters, digits, hyphens and underscores")
            }
            guard !tables.subscriptions.values.contains(where: { $0.name == input.name }) else {
                throw EKSFault.invalidParameter("A subscription with name \(input.name) exists already")
            }
            guard tables.subscriptions.rows.count < Self.subscriptionLimit else {
                throw EKSFault.limit("Subscription limit exceeded for account: \(Self.subscriptionLimit)")
            }
            try TagFault.checkNew(input.tags)
            tables.subscriptions[id] = record
            tables.remember("CreateEksAnywhereSubscription", input.token, made: id)
            return record
        }
        await reconciler.wake(.records)
        return made
    }

    /// Throws ResourceNotFoundException.
    package func describeAnywhereSubscription(_ id: String) async throws -> AnywhereSubscriptionRecord {
        try await state.read { try $0.subscription(id) }
    }

    /// Those with one of the statuses; all for none.
    package func listAnywhereSubscriptions(statuses: [String]) async -> [AnywhereSubscriptionRecord] {
        let now = clock.now
        return await state.read { $0.subscriptions.values.filter { statuses.isEmpty || statuses.contains($0.status(at: now)) } }
    }

    /// Switches automatic renewal. Upstream: eks UpdateEksAnywhereSubscription. Throws ResourceNotFoundException, InvalidRequestException.
    package func updateAnywhereSubscription(_ id: String, autoRenew: Bool) async throws -> AnywhereSubscriptionRecord {
        let now = clock.now
        let record = try await state.update { tables in
            var record = try tables.subscription(id)
            guard record.status(at: now) != "EXPIRED" else { throw EKSFault.invalidRequest("Subscription \(id) has expired") }
            record.autoRenew = autoRenew
            record.phase = "UPDATING"
            tables.subscriptions[id] = record
            return record
        }
        await reconciler.wake(.records)
        return record
    }

    /// Removes a subscription that has expired. Upstream: eks DeleteEksAnywhereSubscription: "Deletes an expired or inactive subscription". Throws
    /// ResourceNotFoundException, InvalidRequestException.
    package func deleteAnywhereSubscription(_ id: String) async throws -> AnywhereSubscriptionRecord {
        let now = clock.now
        return try await state.update { tables in
            var record = try tables.subscription(id)
            guard record.status(at: now) == "EXPIRED" else {
                throw EKSFault.invalidRequest("Subscription \(id) is \(record.status(at: now)): only an expired or inactive one can be deleted")
            }
            tables.subscriptions[id] = nil
            record.phase = "DELETING"
            return record
        }
    }
}

extension LifecycleTables {
    fileprivate func subscription(_ id: String) throws(AWSError) -> AnywhereSubscriptionRecord {
        guard let record = subscriptions[id] else {
            throw EKSFault.notFound("No EKS Anywhere subscription found for ID: \(id.prefix(64))", ["subscriptionId": .string(id)])
        }
        return record
    }
}
