/// How many requests of each priority level may be worked on: its nominal seats by its shares, of which it lends what it does not use, and what it
/// may borrow. Pure: it only counts.
///
/// Upstream moves borrowed seats every ten seconds by the demand of the past ten; here a free lendable seat is lent at once, and every seat that is
/// given back goes first to levels that wait below their nominal number. What holds is the same: a level always has its nominal seats less the
/// lendable ones, never more than its nominal and the borrowable ones, and all levels together never more than the nominal seats of all.
/// Upstream: flowcontrol.configController.updateBorrowing.
struct SeatPool: Sendable {
    /// The numbers of one level.
    struct Level: Sendable, Equatable {
        var nominal: Int
        /// Nominal less what is lent at most.
        var lower: Int
        var upper: Int
        var inUse = 0
        /// Whether requests wait for its seats.
        var isWaited = false
    }

    private(set) var levels: [Level]
    private let total: Int
    /// What is in use or kept for levels that use less than their lower bound.
    private var committed: Int

    /// `seats`: those of the whole server. Levels with their seats in use at the moment. Upstream: NominalCL = ceil(ServerCL * NCS / sum of NCS).
    init(seats: Int, levels limited: [(limited: PriorityLevel.Limited, inUse: Int)]) {
        let shares = max(1, limited.reduce(into: Int64(0)) { $0 += $1.limited.shares })
        levels = limited.map { entry in
            let level = entry.limited
            let nominal = Int((Double(seats) * Double(level.shares) / Double(shares)).rounded(.up))
            let lendable = Int((Double(nominal) * Double(level.lendable) / 100).rounded())
            return Level(nominal: nominal, lower: nominal - lendable, upper: Int.max, inUse: entry.inUse)
        }
        let total = max(seats, levels.reduce(0) { $0 + $1.nominal })
        for index in levels.indices {
            guard let percent = limited[index].limited.borrowing else {
                levels[index].upper = total
                continue
            }
            let borrowed = (Double(levels[index].nominal) * Double(percent) / 100).rounded()
            levels[index].upper = min(total, levels[index].nominal + Int(min(borrowed, Double(total))))
        }
        self.total = total
        committed = levels.reduce(0) { $0 + max($1.inUse, $1.lower) }
    }

    /// Takes `seats` of a level if it may have them now. A request wider than its level is let in when the level is otherwise idle.
    mutating func take(_ seats: Int, of index: Int) -> Bool {
        let level = levels[index]
        let wanted = level.inUse + seats
        let growth = max(wanted, level.lower) - max(level.inUse, level.lower)
        let isAlone = level.inUse == 0 && seats > level.nominal
        guard wanted <= level.lower || isAlone || (wanted <= level.upper && committed + growth <= total) else { return false }
        // Seats are not borrowed while one that lends them waits for its own.
        if wanted > level.nominal, !isAlone, levels.contains(where: { $0.isWaited && $0.inUse < $0.nominal && $0 != level }) { return false }
        levels[index].inUse = wanted
        committed += growth
        return true
    }

    mutating func give(_ seats: Int, backTo index: Int) {
        let before = max(levels[index].inUse, levels[index].lower)
        levels[index].inUse = max(0, levels[index].inUse - seats)
        committed += max(levels[index].inUse, levels[index].lower) - before
    }

    mutating func setWaited(_ isWaited: Bool, of index: Int) { levels[index].isWaited = isWaited }

    /// The levels in the order in which free seats are offered to them: those below their nominal number first.
    var dispatchOrder: [Int] {
        let waiting = levels.indices.filter { levels[$0].isWaited }
        guard waiting.count > 1 else { return waiting }
        return waiting.filter { levels[$0].inUse < levels[$0].nominal } + waiting.filter { levels[$0].inUse >= levels[$0].nominal }
    }
}
