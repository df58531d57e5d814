import Foundation
import Testing

/// The rules of ARCHITECTURE.md and STYLE, kept by reading the sources.
@Suite struct TidyTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    struct Source {
        var path: String
        var module: String
        var lines: [Substring]
        var isGenerated: Bool { path.hasSuffix(".pb.swift") }
    }

    private static let sources: [Source] = {
        let folder = root.appendingPathComponent("Sources")
        let files = FileManager.default.enumerator(atPath: folder.path)?.compactMap { $0 as? String } ?? []
        return files.filter { $0.hasSuffix(".swift") }.compactMap { path in
            guard let text = try? String(contentsOf: folder.appendingPathComponent(path), encoding: .utf8) else { return nil }
            return Source(
                path: path, module: String(path.prefix { $0 != "/" }), lines: text.split(separator: "\n", omittingEmptySubsequences: false))
        }
    }()

    private static func imports(_ source: Source) -> [String] {
        source.lines.compactMap { line in
            let words = line.split(separator: " ")
            guard let at = words.firstIndex(of: "import"), at <= 2, at + 1 < words.count, !line.hasPrefix("//") else { return nil }
            return words[at + 1].split(separator: ".").first.map(String.init)
        }
    }

    private func offenders(_ matches: (Source, Substring) -> Bool) -> [String] {
        Self.sources.filter { !$0.isGenerated }.flatMap { source in
            source.lines.enumerated().filter { matches(source, $0.element) }.map { "\(source.path):\($0.offset + 1): \($0.element)" }
        }
    }

    @Test("there are sources to read") func sourcesAreFound() { #expect(Self.sources.count > 100) }

    @Test(
        "modules import only what the architecture allows",
        arguments: [
            ("KubeControllers", ["KubeStorage", "KubeAPIServer"]), ("KubeScheduler", ["KubeStorage", "KubeAPIServer"]),
            ("CloudControllers", ["KubeStorage", "KubeAPIServer"]), ("SimulatedNodes", ["KubeStorage", "KubeAPIServer", "ControlPlane"]),
            ("AutoMode", ["KubeStorage", "KubeAPIServer", "ControlPlane", "AWSServices"]),
            ("Kubelet", ["KubeStorage", "KubeAPIServer", "ControlPlane"]),
            ("KubeProxy", ["KubeStorage", "KubeAPIServer", "ControlPlane"]), ("ClusterDNS", ["KubeStorage", "KubeAPIServer", "ControlPlane"]),
            (
                "EKSAPI",
                [
                    "KubeAPI", "KubeStorage", "KubeClient", "KubeAPIServer", "KubeControllers", "KubeScheduler", "CloudControllers", "Kubelet",
                    "ControlPlane",
                ]
            ),
            ("AWSProtocol", ["KubeAPI", "KubeClient", "KubeStorage"]), ("AWSServices", ["KubeAPI", "KubeClient", "KubeStorage"]),
            ("Machines", ["KubeClient", "KubeAPI", "HTTPTransport"]),
        ])
    func imports(module: String, forbidden: [String]) {
        for source in Self.sources where source.module == module {
            for name in Self.imports(source) { #expect(!forbidden.contains(name), "\(source.path) imports \(name)") }
        }
    }

    @Test("only HTTPTransport imports NIO") func onlyTheTransportSeesEventLoops() {
        for source in Self.sources where source.module != "HTTPTransport" {
            for name in Self.imports(source) { #expect(!name.hasPrefix("NIO"), "\(source.path) imports \(name)") }
        }
    }

    @Test("full Foundation stays out") func noFullFoundation() {
        for source in Self.sources { #expect(!Self.imports(source).contains("Foundation"), "\(source.path) imports Foundation") }
    }

    @Test("no source can trap on purpose or leave work undone") func noTrapsAndLeftovers() {
        let words = ["try!", "fatalError(", "TODO", "FIXME", "XXX", "Thread.sleep", "usleep(", " as! "]
        let found = offenders { _, line in words.contains { line.contains($0) } }
        #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }

    @Test("no force unwraps") func noForceUnwraps() {
        let pattern = /[\w\)\]]!(?=[\.\,\)\s\[]|$)/
        let found = offenders { _, line in
            guard !line.contains("///"), !line.contains("//") else { return false }
            let code = line.replacing(/"(?:[^"\\]|\\.)*"/, with: "\"\"").replacing(/\/(?:[^\/\\]|\\.)+\//, with: "")
            return code.contains(pattern)
        }
        #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }

    @Test("nothing is public: package is the widest access") func nothingIsPublic() {
        let found = offenders { _, line in line.drop { $0 == " " }.hasPrefix("public ") }
        #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }

    @Test("no file is longer than 600 lines") func filesAreShort() {
        for source in Self.sources where !source.isGenerated { #expect(source.lines.count <= 600, "\(source.path) has \(source.lines.count) lines") }
    }

    @Test("every type has a doc comment") func typesAreDocumented() {
        let declaration = /^(package |internal |private |fileprivate )?(final |indirect )?(struct|class|actor|protocol|enum) \w/
        var found: [String] = []
        for source in Self.sources where !source.isGenerated {
            for (index, line) in source.lines.enumerated() where line.prefixMatch(of: declaration) != nil {
                var above = index - 1
                while above >= 0, source.lines[above].hasPrefix("@") { above -= 1 }
                if above < 0 || !source.lines[above].hasPrefix("///") { found.append("\(source.path):\(index + 1): \(line)") }
            }
        }
        #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }

    @Test("every folder of Sources is a target, and every target has a folder") func foldersAreTargets() throws {
        let manifest = try String(contentsOf: Self.root.appendingPathComponent("Package.swift"), encoding: .utf8)
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.root.appendingPathComponent("Sources").path).filter {
            !$0.hasPrefix(".")
        }
        for folder in folders { #expect(manifest.contains("\"\(folder)\""), "Sources/\(folder) is no target") }
    }

    @Test("every test that docs/reliability.md names is there, and every fuzz target is named") func reliabilityNamesTests() throws {
        let text = try String(contentsOf: Self.root.appendingPathComponent("docs/reliability.md"), encoding: .utf8)
        let tests = Self.root.appendingPathComponent("Tests")
        var files: [String: String] = [:]
        for path in FileManager.default.enumerator(atPath: tests.path)?.compactMap({ $0 as? String }) ?? [] {
            guard path.hasSuffix(".swift") || path.hasSuffix(".py") else { continue }
            let name = URL(fileURLWithPath: path).lastPathComponent.replacing(/\.swift$/, with: "")
            files[name, default: ""] += try String(contentsOf: tests.appendingPathComponent(path), encoding: .utf8)
        }
        let units = text.matches(of: /`(\w+)\.(\w+)`/).filter { $0.1 != "Name" }
        for unit in units { #expect(files[String(unit.1)]?.contains("func \(unit.2)(") == true, "\(unit.0) is not there") }
        let outer = text.matches(of: /`(\w+\.py)::(\w+)`/).filter { $0.1 != "test_x.py" }
        for test in outer { #expect(files[String(test.1)]?.contains("def \(test.2)(") == true, "\(test.0) is not there") }
        #expect(units.count > 50 && outer.count > 5)
        for target in try FileManager.default.contentsOfDirectory(atPath: Self.root.appendingPathComponent("Fuzz/corpus").path) {
            #expect(text.contains("`fuzz \(target)`"), "docs/reliability.md does not name the fuzz target \(target)")
        }
    }

    @Test("ARCHITECTURE.md names every module") func architectureIsComplete() throws {
        let text = try String(contentsOf: Self.root.appendingPathComponent("ARCHITECTURE.md"), encoding: .utf8)
        for module in Set(Self.sources.map(\.module)) { #expect(text.contains("`\(module)`"), "ARCHITECTURE.md does not name \(module)") }
        #expect(text.split(separator: "\n", omittingEmptySubsequences: false).count <= 300)
    }
}
