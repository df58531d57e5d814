import AWSProtocol

extension LogsService {
    private func document(_ group: LogGroup) -> AWSJSON {
        .compact([
            "logGroupName": .string(group.name), "creationTime": .integer(Int(group.createdAt)), "metricFilterCount": 0,
            "arn": .string(groupARN(group.name) + ":*"), "logGroupArn": .string(groupARN(group.name)),
            "storedBytes": .integer(Int(group.storedBytes)),
            "logGroupClass": .string(group.storageClass), "retentionInDays": group.retention.map { .integer($0) },
        ])
    }

    static let groupHandlers: [String: LogsHandler] = [
        "CreateLogGroup": { call in
            let (name, tags) = (try call.groupName(), try call.call.tagMap("tags"))
            let storageClass = try call.call.string("logGroupClass") ?? "STANDARD"
            guard storageClass == "STANDARD" || storageClass == "INFREQUENT_ACCESS" else {
                throw call.call.invalid("The log group class must be STANDARD or INFREQUENT_ACCESS; others are not implemented by Eyrie.")
            }
            guard try call.call.string("kmsKeyId") == nil else {
                throw call.call.invalid("kmsKeyId: the encryption of log groups is not implemented by Eyrie.")
            }
            let now = call.nowMilliseconds
            try await call.store.change { database in
                guard try database.group(named: name) == nil else {
                    throw AWSError("ResourceAlreadyExistsException", "The specified log group already exists")
                }
                guard try database.countGroups() < LogLimits.groups else {
                    throw AWSError("LimitExceededException", "Resource limit exceeded.")
                }
                try database.insertGroup(name, createdAt: now, storageClass: storageClass, tags: tags)
            }
            return nil
        },
        "DeleteLogGroup": { call in
            let name = try call.groupName()
            try await call.store.change { try $0.deleteGroup(try $0.requireGroup(name)) }
            return nil
        },
        "DescribeLogGroups": { call in
            let (prefix, pattern) = (try call.call.string("logGroupNamePrefix"), try call.call.string("logGroupNamePattern"))
            guard prefix == nil || pattern == nil else {
                throw call.call.invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
            }
            let (storageClass, limit) = (try call.call.string("logGroupClass"), try call.call.integer("limit", in: 1...50) ?? 50)
            let identifiers = Set(try call.call.strings("logGroupIdentifiers").map { $0.hasPrefix("arn:") ? try call.groupName(inARN: $0) : $0 })
            var start = ""
            if let token = try call.call.string("nextToken") {
                guard let cursor = pages.cursor(in: token, operation: "DescribeLogGroups") else {
                    throw call.call.invalid("The specified nextToken is invalid.")
                }
                start = cursor
            }
            let after = start
            var found = try await call.store.read { database in
                try database.groups(after: after, limit: limit + 1) { group in
                    (prefix.map(group.name.hasPrefix) ?? true) && (pattern.map { group.name.lowercased().contains($0.lowercased()) } ?? true)
                        && (storageClass.map { $0 == group.storageClass } ?? true) && (identifiers.isEmpty || identifiers.contains(group.name))
                }
            }
            let isLonger = found.count > limit
            if isLonger { found.removeLast() }
            let next = isLonger ? found.last.map { pages.token(operation: "DescribeLogGroups", after: $0.name) } : nil
            return .compact(["logGroups": .array(found.map(call.service.document)), "nextToken": next.map(AWSJSON.string)])
        },
        "PutRetentionPolicy": { call in
            let name = try call.groupName()
            guard let days = try call.call.integer("retentionInDays", in: 1...3_653), LogLimits.retentions.contains(days) else {
                let all = LogLimits.retentions.sorted().map(String.init).joined(separator: ", ")
                throw call.call.invalid("1 validation error detected: Value at 'retentionInDays' must be one of [\(all)]")
            }
            return try await call.changeGroup(name) { $0.retention = days }
        },
        "DeleteRetentionPolicy": { call in try await call.changeGroup(try call.groupName()) { $0.retention = nil } },
    ]

    static let tagHandlers: [String: LogsHandler] = [
        "TagLogGroup": { call in try await call.addTags(try call.groupName()) },
        "UntagLogGroup": { call in
            let keys = try call.call.strings("tags")
            return try await call.changeGroup(try call.groupName()) { group in for key in keys { group.tags[key] = nil } }
        },
        "ListTagsLogGroup": { call in try await call.listTags(try call.groupName()) },
        "TagResource": { call in try await call.addTags(try call.taggedGroup()) },
        "UntagResource": { call in
            let keys = try call.call.strings("tagKeys")
            return try await call.changeGroup(try call.taggedGroup()) { group in for key in keys { group.tags[key] = nil } }
        },
        "ListTagsForResource": { call in try await call.listTags(try call.taggedGroup()) },
    ]
}

extension LogsCall {
    fileprivate func taggedGroup() throws(AWSError) -> String { try groupName(inARN: try call.required("resourceArn", longest: 1_011)) }

    fileprivate func changeGroup(_ name: String, _ change: @escaping @Sendable (inout LogGroup) throws -> Void) async throws -> AWSJSON? {
        try await store.change { database in
            var group = try database.requireGroup(name)
            try change(&group)
            try database.updateGroup(group)
        }
        return nil
    }

    fileprivate func addTags(_ name: String) async throws -> AWSJSON? {
        let new = try call.tagMap("tags")
        guard !new.isEmpty else {
            throw call.invalid("1 validation error detected: Value null at 'tags' failed to satisfy constraint: Member must not be null")
        }
        let call = call
        return try await changeGroup(name) { group in
            group.tags = try call.checked(group.tags.merging(new) { _, new in new })
        }
    }

    fileprivate func listTags(_ name: String) async throws -> AWSJSON? {
        ["tags": .map(try await store.read { try $0.requireGroup(name).tags })]
    }
}
