import KubeAPI

/// How the schedulers of all clusters of a service work: profiles, extenders, back-off. Read from a file in the form that kube-scheduler takes.
/// Upstream: config.KubeSchedulerConfiguration.
package struct SchedulerConfiguration: Sendable {
    /// At least one, by names that differ.
    var profiles: [Profile]
    var backoff = PodBackoff.standard
    /// Those that may be left out stand last.
    var extenders: [ExtenderConfiguration] = []

    /// One profile with upstream's plugins.
    package static let standard = SchedulerConfiguration()

    private init() {
        // The standard sets make a profile: a test says so. Without plugins pods would be bound anywhere, which is no less than binding none.
        profiles = (try? [Profile(name: Scheduler.defaultName, sets: .standard, arguments: PluginArguments())]) ?? []
    }

    /// Reads a file's text, YAML or JSON; `read` gives the text of the files it names. Throws `SchedulerConfigurationError` that names what is wrong.
    package init(text: String, read: (String) -> String?) throws(SchedulerConfigurationError) {
        let root: JSONView
        do {
            let (json, problem) = try YAMLDecoder.decode(Array(text.utf8))
            if let problem { throw SchedulerConfigurationError(problem) }
            root = try JSONDocument(json).root
        } catch let error as SchedulerConfigurationError {
            throw error
        } catch {
            throw SchedulerConfigurationError("\(error)")
        }
        var reading = ConfigurationReading()
        let configuration = reading.configuration(ConfigurationPlace(view: root, path: ""), read)
        guard let configuration, reading.reader.errors.isEmpty else { throw SchedulerConfigurationError(reading.reader.errors) }
        self = configuration
    }

    init(profiles: [Profile], backoff: PodBackoff, extenders: [ExtenderConfiguration]) {
        self.profiles = profiles
        self.backoff = backoff
        self.extenders = extenders
    }

    /// The names of pods' schedulers, by profile.
    package var schedulerNames: [String] { profiles.map(\.name) }
}

/// Why a file is no configuration of the scheduler: each field with what is wrong with it, in upstream's words.
package struct SchedulerConfigurationError: Error, Equatable, CustomStringConvertible {
    package var description: String

    init(_ description: String) { self.description = description }

    /// Upstream: utilerrors.Aggregate.
    init(_ errors: FieldErrors) {
        let texts = errors.causes.map { $0.field.isEmpty ? $0.message : "\($0.field): \($0.message)" }
        description = texts.count == 1 ? texts[0] : "[\(texts.joined(separator: ", "))]"
    }
}

/// How long pods wait after failures: seconds, doubled with each further one. Upstream: podInitialBackoffSeconds, podMaxBackoffSeconds.
struct PodBackoff: Sendable, Equatable {
    var initial: Int64 = 1
    var maximum: Int64 = 10
    static let standard = PodBackoff()

    /// By default 1 s after the first failure, 2 s after the second, …, 10 s at most. Upstream: calculateBackoffDuration.
    func seconds(attempts: Int) -> Int64 {
        guard attempts > 0 else { return 0 }
        var seconds = initial
        for _ in 1..<min(attempts, 64) {
            // Stops well before the product could overflow.
            if seconds > maximum / 2 { return maximum }
            seconds *= 2
        }
        return min(maximum, seconds)
    }
}
