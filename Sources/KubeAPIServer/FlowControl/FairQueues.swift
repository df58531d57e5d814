/// The queues of one priority level. Each flow is dealt a hand of them and joins the shortest, so that a flow that floods its hand leaves other flows
/// their own; the queues are served in the order of virtual time, so that each gets an equal part of the seats.
///
/// The order is that of start-time fair queuing: a request's start tag is the later of the level's virtual time and the finish tag of its queue; the
/// smallest tag is served next, and the level's virtual time is that tag. A queue pays for a request when it begins, by a guess, and the difference
/// to its real cost when it ends. Upstream (fairqueuing/queueset) simulates bit-by-bit round robin instead; both give backlogged queues equal seat
/// seconds. Pure: who waits is told by number.
struct FairQueues: Sendable {
    /// Seconds a request is thought to take before it ran. Upstream: queueset's estimatedServiceDuration, 3 ms.
    static let guessedSeconds = 0.003

    /// A request in a queue.
    struct Waiting: Sendable, Equatable {
        var id: UInt64
        var seats: Int
        var startTag: Double
    }

    /// One queue with what it has been given.
    struct Queue: Sendable {
        var waiting: [Waiting] = []
        /// Virtual seat-seconds up to which this queue was served.
        var finishTag = 0.0
        var executing = 0
        var seatsInUse = 0
    }

    let configuration: PriorityLevel.Queuing
    private(set) var queues: [Queue]
    private(set) var virtualTime = 0.0
    private(set) var count = 0

    init(_ configuration: PriorityLevel.Queuing) {
        self.configuration = configuration
        queues = Array(repeating: Queue(), count: configuration.queues)
    }

    /// Queues a request of the flow `hash`; nil when its hand is full. The caller has found that it cannot be served now.
    mutating func enqueue(_ id: UInt64, seats: Int, flow hash: UInt64) -> Int? {
        let hand = Self.hand(hash, decks: queues.count, size: configuration.handSize)
        guard let place = hand.min(by: { load(queues[$0]) < load(queues[$1]) }) else { return nil }
        guard queues[place].waiting.count < configuration.queueLength else { return nil }
        let cost = Double(seats) * Self.guessedSeconds
        let start = max(virtualTime, queues[place].finishTag)
        queues[place].finishTag = start + cost
        queues[place].waiting.append(Waiting(id: id, seats: seats, startTag: start))
        count += 1
        return place
    }

    private func load(_ queue: Queue) -> Int { queue.seatsInUse + queue.waiting.reduce(0) { $0 + $1.seats } }

    /// The request to be served next.
    var next: (queue: Int, request: Waiting)? {
        guard count > 0 else { return nil }
        var best: (queue: Int, request: Waiting)?
        for (index, queue) in queues.enumerated() {
            guard let head = queue.waiting.first else { continue }
            if let best, best.request.startTag <= head.startTag { continue }
            best = (index, head)
        }
        return best
    }

    /// The head of a queue begins to be worked on.
    mutating func begin(_ place: Int) {
        let head = queues[place].waiting.removeFirst()
        count -= 1
        virtualTime = max(virtualTime, head.startTag)
        queues[place].executing += 1
        queues[place].seatsInUse += head.seats
    }

    /// A request of this queue has ended after `seconds`: what it took beyond the guess is charged, what it did not take is given back.
    mutating func end(_ place: Int, seats: Int, seconds: Double) {
        queues[place].executing -= 1
        queues[place].seatsInUse -= seats
        let difference = Double(seats) * (min(seconds, 60) - Self.guessedSeconds)
        queues[place].finishTag += difference
        for index in queues[place].waiting.indices { queues[place].waiting[index].startTag += difference }
    }

    /// A request gave up waiting. False when it does not wait.
    mutating func remove(_ id: UInt64) -> Bool {
        for place in queues.indices {
            guard let index = queues[place].waiting.firstIndex(where: { $0.id == id }) else { continue }
            let gone = queues[place].waiting.remove(at: index)
            let cost = Double(gone.seats) * Self.guessedSeconds
            for later in queues[place].waiting.indices where later >= index { queues[place].waiting[later].startTag -= cost }
            queues[place].finishTag -= cost
            count -= 1
            return true
        }
        return false
    }

    /// `size` different numbers below `decks`, decided by the hash. Upstream: shufflesharding.Dealer.
    static func hand(_ hash: UInt64, decks: Int, size: Int) -> [Int] {
        guard decks > 0 else { return [] }
        var rest = hash
        var sorted: [Int] = []
        var hand: [Int] = []
        for dealt in 0..<min(size, decks) {
            let remaining = UInt64(decks - dealt)
            var card = Int(rest % remaining)
            rest /= remaining
            // The card counts among those that are left: it moves up past each smaller one that was dealt.
            var place = 0
            while place < sorted.count, sorted[place] <= card {
                card += 1
                place += 1
            }
            sorted.insert(card, at: place)
            hand.append(card)
        }
        return hand
    }

    /// The hash of a flow. Upstream hashes with SHA-256; here FNV-1a with a final mix: flows are told apart, not hidden.
    static func flowHash(schema: String, flow: String) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        for byte in schema.utf8 { add(byte) }
        add(0)
        for byte in flow.utf8 { add(byte) }
        hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
        return hash ^ (hash >> 33)
    }
}
