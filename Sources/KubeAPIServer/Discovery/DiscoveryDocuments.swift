import Crypto
import HTTPTransport
package import KubeAPI
import Synchronization

/// What `/version` answers. Upstream: k8s.io/apimachinery/pkg/version.Info.
package struct VersionInfo: Sendable {
    package var major: String
    /// EKS writes a plus after the minor version: `36+`.
    package var minor: String
    /// `v1.36.2-eks-1234567`.
    package var gitVersion: String
    package var gitCommit: String
    package var buildDate: String

    package init(major: String = "1", minor: String, gitVersion: String, gitCommit: String = "", buildDate: String = "1970-01-01T00:00:00Z") {
        self.major = major
        self.minor = minor
        self.gitVersion = gitVersion
        self.gitCommit = gitCommit
        self.buildDate = buildDate
    }

    var value: Value {
        [
            "major": .string(major), "minor": .string(minor), "gitVersion": .string(gitVersion), "gitCommit": .string(gitCommit),
            "gitTreeState": "clean",
            "buildDate": .string(buildDate), "goVersion": "", "compiler": "swiftc", "platform": "linux/amd64",
        ]
    }
}

/// The documents that tell clients what is served: discovery (`/api`, `/apis`, each group and version, plain and aggregated), `/version` and OpenAPI
/// v2 and v3. One value describes one state of the resource table; when custom resources come or go, a new one takes its place. Each document is made
/// when first asked for, and kept. Upstream: k8s.io/apiserver/pkg/endpoints/discovery, k8s.io/kube-openapi.
package final class DiscoveryDocuments: Sendable {
    package typealias Document = (contentType: String, bytes: [UInt8], etag: String)

    private let resources: ResourceTable
    /// What publishes the schemas of the table's custom rows.
    private let custom: [GroupVersionResource: CustomResourceVersion]
    private let schema: SchemaTable
    private let version: VersionInfo
    private let serverAddress: String
    private let cache = Mutex<[String: Kept]>([:])

    /// A document as it waits for the next reader: large ones compressed, because they are asked for rarely and are several megabytes together.
    private struct Kept: Sendable {
        private static let compressedFrom = 64 * 1024

        var contentType: String
        var etag: String
        private var bytes: [UInt8]
        /// The length before compression; nil for bytes that are as they were.
        private var length: Int?

        init(contentType: String, _ bytes: [UInt8], etag: String) {
            self.contentType = contentType
            self.etag = etag
            self.bytes = bytes
            if bytes.count >= Self.compressedFrom, let compressed = Gzip.compress(bytes) {
                self.bytes = compressed
                length = bytes.count
            }
        }

        var document: Document {
            guard let length else { return (contentType, bytes, etag) }
            // What was compressed here unpacks to what it was.
            return (contentType, Gzip.decompress(bytes, limit: length) ?? [], etag)
        }
    }

    /// `serverAddress` is the `host:port` that `/api` tells clients.
    package init(resources: ResourceTable = .shared, schema: SchemaTable = .shared, version: VersionInfo, serverAddress: String) {
        self.resources = resources
        self.custom = [:]
        self.schema = schema
        self.version = version
        self.serverAddress = serverAddress
    }

    /// The documents of a table that came `after` another: those of OpenAPI v3 whose groups have the same resources are taken over.
    init(
        resources: ResourceTable, custom: [GroupVersionResource: CustomResourceVersion], schema: SchemaTable, version: VersionInfo,
        serverAddress: String, after old: DiscoveryDocuments?
    ) {
        self.resources = resources
        self.custom = custom
        self.schema = schema
        self.version = version
        self.serverAddress = serverAddress
        guard let old else { return }
        var changed: Set<String> = []
        for (resource, version) in custom where old.custom[resource] !== version { changed.insert(resource.apiVersion) }
        for resource in old.custom.keys where custom[resource] == nil { changed.insert(resource.apiVersion) }
        let kept = old.cache.withLock { cache in
            cache.filter { key, _ in
                if key == "/version" || key == "/api" || key.hasPrefix("/openapi/v3/api/") { return true }
                let prefix = "/openapi/v3/apis/"
                return key.hasPrefix(prefix) && !changed.contains(String(key.dropFirst(prefix.count)))
            }
        }
        cache.withLock { $0 = kept }
    }

    /// The document at `path` (decoded, without query and without a slash at the end) in the form that an `Accept` header asks for. Nil: no document
    /// has this path. Throws `StatusError` 406 when the document exists but not in an accepted form.
    package func document(path: String, accept: String) throws(StatusError) -> Document? {
        let parts = path.split(separator: "/").map(String.init)
        switch parts.first {
        case "api" where parts.count == 1:
            if let form = AggregatedForm(accept: accept) {
                return keep("\(path)#\(form.version)", form.contentType) { self.aggregated(form, core: true) }
            }
            return keep(path) { Discovery.versions(serverAddress: self.serverAddress) }
        case "apis" where parts.count == 1:
            if let form = AggregatedForm(accept: accept) {
                return keep("\(path)#\(form.version)", form.contentType) { self.aggregated(form, core: false) }
            }
            return keep(path) { Discovery.groupList(self.resources) }
        case "api" where parts.count == 2: return resourceList(group: "", version: parts[1], path)
        case "apis" where parts.count == 3: return resourceList(group: parts[1], version: parts[2], path)
        case "apis" where parts.count == 2:
            guard let group = resources.groups.first(where: { $0.group == parts[1] }), !group.group.isEmpty else { return nil }
            return keep(path) { Discovery.group(group.group, group.versions, withTypeMeta: true) }
        case "version" where parts.count == 1: return keep(path) { self.version.value }
        case "openapi": return try openAPI(Array(parts.dropFirst()), path, accept)
        default: return nil
        }
    }

    private func resourceList(group: String, version: String, _ path: String) -> Document? {
        guard resources.groups.contains(where: { $0.group == group && $0.versions.contains(version) }) else { return nil }
        return keep(path) { Discovery.resourceList(self.resources, group: group, version: version) }
    }

    private func aggregated(_ form: AggregatedForm, core: Bool) -> Value { AggregatedDiscovery.list(resources, core: core, version: form.version) }

    private func openAPI(_ parts: [String], _ path: String, _ accept: String) throws(StatusError) -> Document? {
        switch parts.first {
        case "v2" where parts.count == 1:
            if OpenAPIv2Protobuf.isRequested(accept) {
                return keepBytes("\(path)#protobuf", OpenAPIv2Protobuf.contentType) {
                    OpenAPIv2Protobuf.encode(OpenAPIv2(self.resources, self.schema, self.version, custom: self.custom).document)
                }
            }
            guard Self.acceptsJSON(accept) else {
                throw StatusError(code: 406, reason: "NotAcceptable", message: "only the following media types are accepted: application/json")
            }
            return keep(path) { OpenAPIv2(self.resources, self.schema, self.version, custom: self.custom).document }
        case "v3" where parts.count == 1:
            return keep(path) {
                var paths = Members()
                for (group, versions) in self.resources.groups {
                    for version in versions {
                        let name = group.isEmpty ? "api/\(version)" : "apis/\(group)/\(version)"
                        guard let document = self.groupVersion(group, version) else { continue }
                        paths[name] = ["serverRelativeURL": .string("/openapi/v3/\(name)?hash=\(document.etag.filter { $0 != "\"" })")]
                    }
                }
                return ["paths": .object(paths)]
            }
        case "v3" where parts.count == 3 && parts[1] == "api": return groupVersion("", parts[2])
        case "v3" where parts.count == 4 && parts[1] == "apis": return groupVersion(parts[2], parts[3])
        default: return nil
        }
    }

    /// The OpenAPI v3 document of one group and version; its ETag is the hash that the index names.
    private func groupVersion(_ group: String, _ version: String) -> Document? {
        guard resources.groups.contains(where: { $0.group == group && $0.versions.contains(version) }) else { return nil }
        let name = group.isEmpty ? "api/\(version)" : "apis/\(group)/\(version)"
        return keep("/openapi/v3/\(name)") {
            OpenAPIv3(self.resources, self.schema, self.version, custom: self.custom).document(group: group, version: version)
        }
    }

    /// Whether JSON is among the accepted forms; a missing header accepts anything.
    static func acceptsJSON(_ accept: String) -> Bool {
        let ranges = accept.split(separator: ",").map { $0.split(separator: ";").first ?? "" }.map { $0.filter { $0 != " " } }
        return ranges.isEmpty || ranges.contains { $0 == "application/json" || $0 == "application/*" || $0 == "*/*" }
    }

    /// The kept document of a key, made on first use. Made outside the lock: another thread may make the same one, and the first stays.
    private func keep(_ key: String, _ contentType: String = "application/json", _ make: () -> Value) -> Document {
        keepBytes(key, contentType) { make().jsonBytes }
    }

    private func keepBytes(_ key: String, _ contentType: String, _ make: () -> [UInt8]) -> Document {
        if let kept = cache.withLock({ $0[key] }) { return kept.document }
        let bytes = make()
        let hash = SHA256.hash(data: bytes).map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined()
        let made = Kept(contentType: contentType, bytes, etag: "\"\(hash)\"")
        let etag = cache.withLock { cache in
            if let earlier = cache[key] { return earlier.etag }
            cache[key] = made
            return made.etag
        }
        return (contentType, bytes, etag)
    }
}

/// The versions of aggregated discovery a client can ask for.
struct AggregatedForm {
    let version: String
    var contentType: String { "application/json;g=apidiscovery.k8s.io;v=\(version);as=APIGroupDiscoveryList" }

    /// The first media range that asks for a form of discovery that is served decides: nil for the plain one.
    init?(accept: String) {
        for range in accept.split(separator: ",") {
            let parts = range.split(separator: ";").map { String($0.filter { $0 != " " }) }
            guard let type = parts.first, type == "application/json" || type == "*/*" || type == "application/*" else { continue }
            var marks: [String: String] = [:]
            for part in parts.dropFirst() {
                let pair = part.split(separator: "=", maxSplits: 1)
                if pair.count == 2 { marks[String(pair[0])] = String(pair[1]) }
            }
            if marks["as"] == nil { return nil }
            guard marks["as"] == "APIGroupDiscoveryList", marks["g"] == "apidiscovery.k8s.io", let version = marks["v"],
                ["v2", "v2beta1"].contains(version)
            else { continue }
            self.version = version
            return
        }
        return nil
    }
}
