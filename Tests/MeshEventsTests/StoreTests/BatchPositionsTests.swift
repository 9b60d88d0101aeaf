import Testing

@testable import MeshEvents

/// What a batch keeps about its events.
struct BatchPositionsTests {
    private func position(_ sequence: Int, _ isDuplicate: Bool = false) -> StoredPosition {
        StoredPosition(stream: "S", sequence: UInt64(sequence), isDuplicate: isDuplicate)
    }

    @Test func whatIsNotWantedIsForgottenOnceAllBeforeItIsStored() {
        var positions = BatchPositions(keepsAll: false)
        for index in (0..<100_000) where index != 99_990 { positions.add(index, position(index + 1)) }
        #expect(positions.forgotten == 99_990)
        #expect(positions.count == 99_999)
        #expect(positions.byIndex.keys.sorted() == Array(99_991..<100_000))
        let error = BatchEmitError(
            cause: MeshEventsError(.timeout, "late"),
            stored: positions.byIndex,
            sent: 100_002,
            forgotten: positions.forgotten
        )
        #expect(error.unconfirmed == [99_990, 100_000, 100_001])
        #expect(error.firstNotStored == 99_990)
        #expect("\(error)".contains("99999 events are stored, 3 were sent but not acknowledged"))
        positions.add(99_990, position(7))
        #expect(positions.forgotten == 100_000)
        #expect(positions.byIndex.isEmpty)
    }

    @Test func neighboursInTheStreamAreOneEntry() {
        var positions = BatchPositions(keepsAll: true)
        for index in 0..<100_000 { positions.add(index, position(index + 1)) }
        #expect(positions.entries == 1)
        positions.add(100_001, position(500_001))
        positions.add(100_000, position(500_000))
        positions.add(100_002, position(3, true))
        positions.add(100_003, position(4, true))
        #expect(positions.entries == 4)
        #expect(positions.all.count == 100_004)
        #expect(positions.all[99_999] == position(100_000))
        #expect(
            positions.all.suffix(4) == [position(500_000), position(500_001), position(3, true), position(4, true)]
        )
        #expect(positions.byIndex[100_003] == position(4, true))
    }
}
