import KubeAPI

/// Reads the objects that pods name. Throws `StatusError`.
protocol ReferencedObjects: Sendable {
    func configMap(namespace: String, name: String) async throws -> Object
    func secret(namespace: String, name: String) async throws -> Object
    func persistentVolumeClaim(namespace: String, name: String) async throws -> Object
    func persistentVolume(name: String) async throws -> Object
    func runtimeClass(name: String) async throws -> Object
}

/// A container's environment. Upstream: kubelet's makeEnvironmentVariables.
struct Environment: Sendable {
    /// The variables in order.
    private(set) var variables: [(name: String, value: String)] = []
    private var places: [String: Int] = [:]

    subscript(name: String) -> String? { places[name].map { variables[$0].value } }

    mutating func set(_ name: String, _ value: String) {
        if let place = places[name] {
            variables[place].value = value
        } else {
            places[name] = variables.count
            variables.append((name, value))
        }
    }

    /// Names that are no environment variables were left out of an `envFrom`; for the event.
    struct Skipped: Sendable, Equatable {
        var source: String
        var names: [String]
    }

    /// Throws `ContainerConfigError` when something named is missing and not optional. `volumes` are the paths of the pod's volumes by name; nil: they
    /// hold nothing, and files set no variables.
    static func make(
        pod: Pod, container: ContainerSpec, services: [Object], fields: FieldReferences, objects: any ReferencedObjects,
        volumes: [String: String]? = nil
    ) async throws -> (environment: Environment, skipped: [Skipped]) {
        let linked = serviceVariables(services, namespace: pod.namespace, linksServices: pod.spec["enableServiceLinks"].bool ?? true)
        var environment = Environment()
        var skipped: [Skipped] = []
        for source in container.view["envFrom"].elements {
            let prefix = source["prefix"].string ?? ""
            let (kind, reference, isSecret) =
                source["configMapRef"].map { ("ConfigMap", $0, false) } ?? source["secretRef"].map { ("Secret", $0, true) } ?? ("", nil, false)
            guard let reference else { continue }
            let name = reference["name"].string ?? ""
            let object = try await find(isSecret: isSecret, pod.namespace, name, optional: reference["optional"].bool ?? false, objects)
            guard let object else { continue }
            var invalid: [String] = []
            for (key, value) in data(of: object, isSecret: isSecret).sorted(by: { $0.key < $1.key }) {
                let variable = prefix + key
                if isVariableName(variable) { environment.set(variable, String(decoding: value, as: UTF8.self)) } else { invalid.append(key) }
            }
            if !invalid.isEmpty { skipped.append(Skipped(source: "\(kind) \(pod.namespace)/\(name)", names: invalid)) }
        }
        for entry in container.view["env"].elements {
            let name = entry["name"].string ?? ""
            if let from = entry["valueFrom"], from.kind == .object {
                if let value = try await value(from, pod: pod, container: container, fields: fields, objects: objects, volumes: volumes) {
                    environment.set(name, value)
                }
                continue
            }
            let known = environment
            environment.set(name, Expansion.expand(entry["value"].string ?? "") { known[$0] ?? linked[$0] })
        }
        // The pod's own variables win over those of services.
        for (name, value) in linked.variables where environment[name] == nil { environment.set(name, value) }
        return (environment, skipped)
    }

    private static func value(
        _ from: JSONView, pod: Pod, container: ContainerSpec, fields: FieldReferences, objects: any ReferencedObjects, volumes: [String: String]?
    ) async throws -> String? {
        if let file = from["fileKeyRef"] { return try await fileValue(file, pod: pod, volumes: volumes) }
        if let field = from["fieldRef"] { return try fields.field(field["fieldPath"].string ?? "") }
        if let resource = from["resourceFieldRef"] { return try fields.resource(resource, container: container) }
        for (key, kind, isSecret) in [("configMapKeyRef", "ConfigMap", false), ("secretKeyRef", "Secret", true)] {
            guard let reference = from[key] else { continue }
            let name = reference["name"].string ?? ""
            let optional = reference["optional"].bool ?? false
            let wanted = reference["key"].string ?? ""
            guard let object = try await find(isSecret: isSecret, pod.namespace, name, optional: optional, objects) else { return nil }
            if let bytes = data(of: object, isSecret: isSecret)[wanted] { return String(decoding: bytes, as: UTF8.self) }
            if optional { return nil }
            throw ContainerConfigError("couldn't find key \(wanted) in \(kind) \(pod.namespace)/\(name)")
        }
        throw ContainerConfigError("environment variable source is not supported")
    }

    /// The value of a name in a file of an emptyDir; an empty one counts as none. A file that is not there is an error though it be optional, as it is to
    /// upstream. Upstream: makeEnvironmentVariables.
    private static func fileValue(_ reference: JSONView, pod: Pod, volumes: [String: String]?) async throws -> String? {
        guard let volumes else { return nil }
        let name = reference["volumeName"]?.string ?? ""
        let isOwn = pod.volumes.contains { $0["name"].string == name && $0["emptyDir"] != nil }
        guard isOwn, let volume = volumes[name] else {
            throw ContainerConfigError("cannot find the volume \(name.goQuoted) referenced by FileKeyRef")
        }
        let (path, key) = (reference["path"]?.string ?? "", reference["key"]?.string ?? "")
        let value: String
        do {
            value = try await FileWork.run { try EnvFile.value(of: key, in: EnvFile.read(path, volume: volume)) }
        } catch { throw ContainerConfigError("couldn't parse env file: \(error)") }
        if !value.isEmpty { return value }
        if reference["optional"]?.bool ?? false { return nil }
        throw ContainerConfigError("environment variable key \(key.goQuoted) not found in file \("\(volume)/\(path)".goQuoted)")
    }

    private static func find(
        isSecret: Bool, _ namespace: String, _ name: String, optional: Bool, _ objects: any ReferencedObjects
    ) async throws -> Object? {
        do {
            return isSecret
                ? try await objects.secret(namespace: namespace, name: name) : try await objects.configMap(namespace: namespace, name: name)
        } catch let error as StatusError {
            if error.isNotFound, optional { return nil }
            if error.isNotFound { throw ContainerConfigError("\(isSecret ? "secret" : "configmap") \"\(name)\" not found") }
            throw ContainerConfigError(error.message)
        }
    }

    /// The data of a ConfigMap (`data` and `binaryData`) or Secret, decoded.
    static func data(of object: Object, isSecret: Bool) -> [String: [UInt8]] {
        var data: [String: [UInt8]] = [:]
        for (key, text) in object["data"].stringMap { data[key] = isSecret ? Base64.decode(text) ?? [] : Array(text.utf8) }
        if !isSecret { for (key, text) in object["binaryData"].stringMap { data[key] = Base64.decode(text) ?? [] } }
        return data
    }

    /// Upstream: validation.IsEnvVarName, relaxed as since 1.34: printable ASCII without an equals sign.
    static func isVariableName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "=") }
    }

    /// `NAME_SERVICE_HOST` and the rest for the services of the namespace, and for `kubernetes` always. Upstream: envvars.FromServices.
    static func serviceVariables(_ services: [Object], namespace: String, linksServices: Bool) -> Environment {
        var chosen: [String: Object] = [:]
        for service in services {
            let metadata = service.metadata
            let address = service["spec"]["clusterIP"].string ?? ""
            guard !address.isEmpty, address != "None" else { continue }
            if metadata.namespace == namespace, linksServices || (namespace == "default" && metadata.name == "kubernetes") {
                chosen[metadata.name] = service
            } else if metadata.namespace == "default", metadata.name == "kubernetes", chosen["kubernetes"] == nil {
                chosen["kubernetes"] = service
            }
        }
        var environment = Environment()
        for (name, service) in chosen.sorted(by: { $0.key < $1.key }) {
            let prefix = String(name.map { $0 == "-" ? "_" : $0 }).uppercased()
            let address = service["spec"]["clusterIP"].string ?? ""
            let host = address.contains(":") ? "[\(address)]" : address
            let ports = service["spec"]["ports"].elements
            environment.set("\(prefix)_SERVICE_HOST", address)
            if let first = ports.first?["port"].int { environment.set("\(prefix)_SERVICE_PORT", String(first)) }
            for port in ports {
                guard let name = port["name"].string, !name.isEmpty, let number = port["port"].int else { continue }
                environment.set("\(prefix)_SERVICE_PORT_\(String(name.map { $0 == "-" ? "_" : $0 }).uppercased())", String(number))
            }
            for (index, port) in ports.enumerated() {
                guard let number = port["port"].int else { continue }
                let transport = port["protocol"].string ?? "TCP"
                let url = "\(transport.lowercased())://\(host):\(number)"
                if index == 0 { environment.set("\(prefix)_PORT", url) }
                let stem = "\(prefix)_PORT_\(number)_\(transport.uppercased())"
                environment.set(stem, url)
                environment.set("\(stem)_PROTO", transport.lowercased())
                environment.set("\(stem)_PORT", String(number))
                environment.set("\(stem)_ADDR", address)
            }
        }
        return environment
    }
}
