import KubeAPI

/// Why a volume cannot be mounted, for the FailedMount event.
struct VolumeError: Error, Sendable, Equatable, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// A service account token.
struct PodToken: Sendable {
    var text: String
    var endsAt: Timestamp
}

/// Asks for service account tokens bound to a pod. Throws `StatusError`.
protocol TokenSource: Sendable {
    /// `audiences` empty means the API server's own.
    func issue(pod: Pod, audiences: [String], expirationSeconds: Int64) async throws -> PodToken
    /// The token is wanted no more.
    func forget(podUID: String)
}

/// The files of configMap, secret, downwardAPI and projected volumes. Upstream: pkg/volume/{configmap,secret,downwardapi,projected}.
struct VolumePayload: Sendable {
    let pod: Pod
    let fields: FieldReferences
    let objects: any ReferencedObjects
    let tokens: any TokenSource

    private static let defaultMode: UInt32 = 0o644

    /// Nil for volumes of other types. Throws `VolumeError`.
    func files(of volume: JSONView) async throws -> [String: VolumeFile]? {
        if let source = volume["configMap"] {
            return try await keyed(
                source, name: source["name"].string ?? "", isSecret: false, mode: Self.mode(source["defaultMode"], Self.defaultMode))
        }
        if let source = volume["secret"] {
            return try await keyed(
                source, name: source["secretName"].string ?? "", isSecret: true, mode: Self.mode(source["defaultMode"], Self.defaultMode))
        }
        if let source = volume["downwardAPI"] { return try downward(source, mode: Self.mode(source["defaultMode"], Self.defaultMode)) }
        guard let projected = volume["projected"] else { return nil }
        let mode = Self.mode(projected["defaultMode"], Self.defaultMode)
        var files: [String: VolumeFile] = [:]
        for source in projected["sources"].elements {
            let part: [String: VolumeFile]
            if let secret = source["secret"] {
                part = try await keyed(secret, name: secret["name"].string ?? "", isSecret: true, mode: mode)
            } else if let configMap = source["configMap"] {
                part = try await keyed(configMap, name: configMap["name"].string ?? "", isSecret: false, mode: mode)
            } else if let downwardAPI = source["downwardAPI"] {
                part = try downward(downwardAPI, mode: mode)
            } else if let token = source["serviceAccountToken"] {
                part = try await tokenFile(token, mode: mode)
            } else {
                throw VolumeError("projected source \(source.members.map(\.key).joined(separator: ", ")) is not implemented by Eyrie yet")
            }
            files.merge(part) { _, new in new }
        }
        return files
    }

    private static func mode(_ view: JSONView?, _ standard: UInt32) -> UInt32 {
        guard let number = view.int, (0...0o777).contains(number) else { return standard }
        return UInt32(number)
    }

    /// All keys of an object, or the chosen ones at their paths. Upstream: configmap.MakePayload, secret.MakePayload.
    private func keyed(_ source: JSONView, name: String, isSecret: Bool, mode: UInt32) async throws -> [String: VolumeFile] {
        let optional = source["optional"].bool ?? false
        let object: Object
        do {
            object =
                isSecret
                ? try await objects.secret(namespace: pod.namespace, name: name) : try await objects.configMap(namespace: pod.namespace, name: name)
        } catch let error as StatusError {
            if error.isNotFound, optional { return [:] }
            throw VolumeError(error.isNotFound ? "\(isSecret ? "secret" : "configmap") \"\(name)\" not found" : error.message)
        }
        let data = Environment.data(of: object, isSecret: isSecret)
        let items = source["items"].elements
        if items.isEmpty { return data.mapValues { VolumeFile(data: $0, mode: mode) } }
        var files: [String: VolumeFile] = [:]
        for item in items {
            let key = item["key"].string ?? ""
            guard let bytes = data[key] else {
                if optional { continue }
                throw VolumeError("references non-existent \(isSecret ? "secret" : "config") key: \(key)")
            }
            files[item["path"].string ?? key] = VolumeFile(data: bytes, mode: Self.mode(item["mode"], mode))
        }
        return files
    }

    private func downward(_ source: JSONView, mode: UInt32) throws -> [String: VolumeFile] {
        var files: [String: VolumeFile] = [:]
        for item in source["items"].elements {
            guard let text = try downwardText(item) else { continue }
            files[item["path"].string ?? ""] = VolumeFile(data: Array(text.utf8), mode: Self.mode(item["mode"], mode))
        }
        return files
    }

    private func downwardText(_ item: JSONView) throws -> String? {
        if let field = item["fieldRef"] { return try fields.field(field["fieldPath"].string ?? "") }
        if let resource = item["resourceFieldRef"] { return try fields.resource(resource, container: nil) }
        return nil
    }

    private func tokenFile(_ source: JSONView, mode: UInt32) async throws -> [String: VolumeFile] {
        let audience = source["audience"].string ?? ""
        let text: String
        do {
            text = try await tokens.issue(
                pod: pod, audiences: audience.isEmpty ? [] : [audience], expirationSeconds: source["expirationSeconds"].int ?? 3600
            ).text
        } catch let error as StatusError {
            throw VolumeError("failed to fetch token: \(error.message)")
        }
        let user = commonUser
        // A token shown to one user or group is hidden from others. Upstream: projected's collectData.
        let isNarrow = user != nil || pod.securityContext["fsGroup"].int != nil
        return [source["path"].string ?? "token": VolumeFile(data: Array(text.utf8), mode: isNarrow ? 0o600 : mode, user: user)]
    }

    /// The user that all containers run as, when it is one and told. Upstream: util.FsUserFrom.
    private var commonUser: UInt32? {
        var user: Int64?
        for container in pod.allContainers {
            guard let runAs = SecuritySettings(pod: pod, container: container).runAsUser, user == nil || user == runAs else { return nil }
            user = runAs
        }
        return user.flatMap { UInt32(exactly: $0) }
    }
}
