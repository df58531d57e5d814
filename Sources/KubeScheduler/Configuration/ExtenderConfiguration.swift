import HTTPTransport
import KubeAPI

/// A service outside that has a say in where pods go. Upstream: config.Extender.
struct ExtenderConfiguration: Sendable {
    /// As it stands in the file: it names the extender in messages.
    var urlPrefix: String
    /// The last parts of its URLs; empty: it does not do that.
    var filterVerb = ""
    var prioritizeVerb = ""
    var preemptVerb = ""
    var bindVerb = ""
    /// What its scores count.
    var weight: Int64 = 0
    /// For a whole answer.
    var timeout = Self.defaultTimeout
    /// It knows the nodes: they are sent by name.
    var knowsNodes = false
    /// Only pods that ask for one of these are its concern; empty: all are.
    var managedResources: Set<String> = []
    /// Of those, the ones whose room on nodes it alone looks after.
    var ignoredByScheduler: [String] = []
    /// Whether pods are scheduled without it while it does not answer.
    var isIgnorable = false
    /// Reaches it; connections are kept, for all clusters.
    var client: HTTPClient

    /// Upstream: DefaultExtenderTimeout.
    static let defaultTimeout = Duration.seconds(5)

    /// Where a verb is asked. Upstream: HTTPExtender.send.
    func url(_ verb: String) -> String {
        var prefix = urlPrefix[...]
        while prefix.last == "/" { prefix.removeLast() }
        return "\(prefix)/\(verb)"
    }
}

/// Reads an extender. Upstream: validateExtenders, makeTransport.
struct ExtenderReading {
    var reader: StrictReader
    /// Resources that extenders before it look after.
    var managed: Set<String>

    private static let members: Set<String> = [
        "urlPrefix", "filterVerb", "preemptVerb", "prioritizeVerb", "weight", "bindVerb", "enableHTTPS", "tlsConfig", "httpTimeout",
        "nodeCacheCapable", "managedResources", "ignorable",
    ]

    /// Nil when something is wrong with it. `read` gives the text of the files it names.
    mutating func extender(_ place: ConfigurationPlace, _ read: (String) -> String?) -> ExtenderConfiguration? {
        reader.object(place, of: Self.members)
        let prefix = reader.text(place["urlPrefix"]) ?? ""
        guard let url = AbsoluteURL(prefix) else {
            reader.errors.invalid(place["urlPrefix"].path, .string(prefix), "must be a URL such as http://127.0.0.1:8888/scheduler")
            return nil
        }
        guard let client = client(place, url, read) else { return nil }
        var extender = ExtenderConfiguration(urlPrefix: prefix, client: client)
        extender.filterVerb = reader.text(place["filterVerb"]) ?? ""
        extender.prioritizeVerb = reader.text(place["prioritizeVerb"]) ?? ""
        extender.preemptVerb = reader.text(place["preemptVerb"]) ?? ""
        extender.bindVerb = reader.text(place["bindVerb"]) ?? ""
        extender.weight = reader.number(place["weight"], isLong: true) ?? 0
        if !extender.prioritizeVerb.isEmpty, extender.weight <= 0 {
            reader.errors.invalid(place["weight"].path, .int(extender.weight), "must have a positive weight applied to it")
        }
        if let timeout = reader.duration(place["httpTimeout"]) {
            if timeout < .zero { reader.errors.invalid(place["httpTimeout"].path, place["httpTimeout"].view?.value ?? .null, "must not be negative") }
            if timeout > .zero { extender.timeout = timeout }
        }
        extender.knowsNodes = reader.flag(place["nodeCacheCapable"]) ?? false
        extender.isIgnorable = reader.flag(place["ignorable"]) ?? false
        for resource in reader.list(place["managedResources"]) {
            reader.object(resource, of: ["name", "ignoredByScheduler"])
            let name = reader.text(resource["name"]) ?? ""
            check(name, resource["name"].path)
            extender.managedResources.insert(name)
            if reader.flag(resource["ignoredByScheduler"]) ?? false { extender.ignoredByScheduler.append(name) }
        }
        return extender
    }

    /// Upstream: validateExtendedResourceName.
    private mutating func check(_ name: String, _ path: String) {
        if let problem = LabelSyntax.problemOfKey(name) {
            reader.errors.invalid(path, .string(name), problem)
        } else if !QuotaNames.isExtended(name) {
            reader.errors.invalid(path, .string(name), "is an invalid extended resource name")
        }
        if !managed.insert(name).inserted { reader.errors.invalid(path, .string(name), "duplicate extender managed resource name") }
    }

    private mutating func client(_ place: ConfigurationPlace, _ url: AbsoluteURL, _ read: (String) -> String?) -> HTTPClient? {
        let tls = tls(place, read)
        var configuration = HTTPClient.Configuration(address: .tcp(host: url.host, port: url.port))
        if url.scheme == "https" { configuration.tls = tls }
        do {
            return try HTTPClient(configuration: configuration)
        } catch {
            reader.errors.invalid(place["tlsConfig"].path, "\(error)")
            return nil
        }
    }

    private static let tlsMembers: Set<String> = [
        "insecure", "serverName", "certFile", "keyFile", "caFile", "certData", "keyData", "caData",
    ]

    /// Without a CA, `enableHTTPS` does not verify the extender, as upstream has it. Upstream: rest.TLSConfigFor.
    private mutating func tls(_ place: ConfigurationPlace, _ read: (String) -> String?) -> HTTPClient.TLS {
        let settings = place["tlsConfig"]
        reader.object(settings, of: Self.tlsMembers)
        let roots = pem(settings, "ca", read)
        let certificate = pem(settings, "cert", read)
        let key = pem(settings, "key", read)
        let isInsecure = reader.flag(settings["insecure"]) ?? false
        let isHTTPS = reader.flag(place["enableHTTPS"]) ?? false
        if isInsecure, roots != nil {
            reader.errors.invalid(settings.path, "specifying a root certificates file with the insecure flag is not allowed")
        }
        if (certificate == nil) != (key == nil) {
            reader.errors.invalid(settings.path, "a client certificate needs its key, and a key its certificate")
        }
        var tls = HTTPClient.TLS(rootsPEM: roots)
        if let certificate, let key { tls.identity = TLSIdentity(certificateChainPEM: certificate, privateKeyPEM: key) }
        if let name = reader.text(settings["serverName"]), !name.isEmpty { tls.serverName = name }
        tls.verifiesServer = !(isInsecure || isHTTPS && roots == nil)
        return tls
    }

    /// What stands in `NAMEData`, or in the file that `NAMEFile` names.
    private mutating func pem(_ settings: ConfigurationPlace, _ name: String, _ read: (String) -> String?) -> String? {
        if let data = reader.data(settings["\(name)Data"]) { return data }
        let file = settings["\(name)File"]
        guard let path = reader.text(file), !path.isEmpty else { return nil }
        if let text = read(path) { return text }
        reader.errors.invalid(file.path, .string(path), "cannot be read")
        return nil
    }
}
