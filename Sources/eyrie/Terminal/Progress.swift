import Glibc
import KubeAPI

/// Shows what is being waited for and for how long: a line redrawn on a terminal, one line per change elsewhere.
final class Progress {
    private let isTerminal = isatty(1) == 1 && getenv("NO_COLOR") == nil
    private let start = Timestamp.now
    private var pending = ""

    private var elapsed: String {
        let tenths = Int(Timestamp.now.timeInterval(since: start) * 10)
        return "\(tenths / 10).\(tenths % 10)s"
    }

    func header(_ text: String) { write("\(text)\n") }

    /// What is being waited for now.
    func waiting(_ text: String) {
        guard text != pending else {
            if isTerminal { write("\r\u{1B}[K ⠿ \(text) \(elapsed)") }
            return
        }
        pending = text
        write(isTerminal ? "\r\u{1B}[K ⠿ \(text) \(elapsed)" : " . \(text) (\(elapsed))\n")
    }

    func done(_ text: String, detail: String = "") {
        pending = ""
        let line = " ✓ " + text.padded(to: 29) + detail.padded(to: 30) + elapsed + "\n"
        write(isTerminal ? "\r\u{1B}[K\(line)" : line)
    }

    func note(_ text: String) {
        write((isTerminal ? "\r\u{1B}[K" : "") + " ! \(text)\n")
    }

    private func write(_ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.write(1, bytes, bytes.count)  // Nowhere to say that standard output is closed.
    }
}

extension String {
    func padded(to width: Int) -> String { count >= width ? self + " " : self + String(repeating: " ", count: width - count) }
}
