import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("Fair queues")
struct FairQueuesTests {
    private let one = PriorityLevel.Queuing(queues: 64, handSize: 4, queueLength: 50)

    @Test("a hand holds different queues, the same for the same flow")
    func hands() {
        for flow in 0..<500 {
            let hash = FairQueues.flowHash(schema: "s", flow: "user\(flow)")
            let hand = FairQueues.hand(hash, decks: 16, size: 4)
            #expect(Set(hand).count == 4)
            #expect(hand.allSatisfy { (0..<16).contains($0) })
            #expect(hand == FairQueues.hand(hash, decks: 16, size: 4))
        }
        // As upstream's dealer: the third of the cards that are left, and so on.
        #expect(FairQueues.hand(0, decks: 5, size: 3) == [0, 1, 2])
        #expect(FairQueues.hand(UInt64(4 + 5 * 3 + 5 * 4 * 2), decks: 5, size: 3) == [4, 3, 2])
    }

    @Test("an elephant does not starve a mouse: the mouse is served among the first")
    func fairness() {
        var queues = FairQueues(one)
        let elephant = FairQueues.flowHash(schema: "s", flow: "elephant")
        let mouse = FairQueues.flowHash(schema: "s", flow: "mouse")
        var id: UInt64 = 0
        for _ in 0..<150 {
            id += 1
            _ = queues.enqueue(id, seats: 1, flow: elephant)
        }
        let mice = (1001...1010).map { UInt64($0) }
        for id in mice { _ = queues.enqueue(id, seats: 1, flow: mouse) }
        var order: [UInt64] = []
        while let (queue, request) = queues.next {
            queues.begin(queue)
            queues.end(queue, seats: request.seats, seconds: 0.003)
            order.append(request.id)
        }
        #expect(order.count == 160)
        let last = order.lastIndex { $0 > 1000 } ?? 0
        #expect(last < 80, "ten requests of the mouse were done after \(last) others")
    }

    @Test("a flow whose requests take ten times as long gets a tenth as many")
    func costs() {
        var queues = FairQueues(PriorityLevel.Queuing(queues: 2, handSize: 1, queueLength: 10_000))
        var served = [0, 0]
        var id: UInt64 = 0
        for _ in 0..<1000 {
            id += 1
            _ = queues.enqueue(id, seats: 1, flow: 0)
            _ = queues.enqueue(id + 100_000, seats: 1, flow: 1)
        }
        for _ in 0..<550 {
            guard let (queue, request) = queues.next else { break }
            queues.begin(queue)
            let isSlow = request.id < 100_000
            served[isSlow ? 0 : 1] += 1
            queues.end(queue, seats: 1, seconds: isSlow ? 0.030 : 0.003)
        }
        #expect((40...60).contains(served[0]), "slow: \(served[0]), quick: \(served[1])")
    }

    @Test("a full hand refuses, and a place is free again after somebody gave up")
    func limits() {
        var queues = FairQueues(PriorityLevel.Queuing(queues: 4, handSize: 2, queueLength: 3))
        for id in 1...6 {
            let place = queues.enqueue(UInt64(id), seats: 1, flow: 77)
            #expect(place != nil)
        }
        let beyond = queues.enqueue(7, seats: 1, flow: 77)
        #expect(beyond == nil)
        let removed = [queues.remove(3), queues.remove(3)]
        #expect(removed == [true, false])
        let again = queues.enqueue(8, seats: 1, flow: 77)
        #expect(again != nil)
        #expect(queues.count == 6)
    }

    @Test("levels have their nominal seats, lend what is free, and get it back before others borrow more")
    func seats() {
        func limited(_ shares: Int64, lendable: Int64, borrowing: Int64? = nil) -> (limited: PriorityLevel.Limited, inUse: Int) {
            (PriorityLevel.Limited(shares: shares, lendable: lendable, borrowing: borrowing, queuing: nil), 0)
        }
        var pool = SeatPool(seats: 100, levels: [limited(50, lendable: 50), limited(50, lendable: 0, borrowing: 20)])
        #expect(pool.levels.map(\.nominal) == [50, 50])
        #expect(pool.levels.map(\.lower) == [25, 50])
        #expect(pool.levels[1].upper == 60)
        func taken(_ count: Int, of level: Int) -> Int { (0..<count).reduce(0) { sum, _ in sum + (pool.take(1, of: level) ? 1 : 0) } }
        // Its borrowing limit.
        let borrowed = taken(70, of: 1)
        #expect(borrowed == 60)
        // Ten of its own are lent.
        let own = taken(50, of: 0)
        #expect(own == 40)
        pool.setWaited(true, of: 0)
        pool.give(1, backTo: 1)
        let again = taken(1, of: 1)
        #expect(again == 0, "what is given back is first for whom it belongs to")
        let back = taken(1, of: 0)
        #expect(back == 1)
    }

    @Test("the wait that a refused client is told grows with the number of refusals")
    func retryAfter() {
        var tracker = RetryAfter()
        let first = tracker.refused(at: 1)
        #expect(first == 1)
        for second in 2..<12 { for _ in 0..<500 { _ = tracker.refused(at: Int64(second)) } }
        #expect(tracker.seconds == 32)
        let later = tracker.refused(at: 1000)
        #expect(later == 1)
    }
}
