import MeshEvents
import MeshEventsInterop
import Testing

/// What the AsyncAPI document says of the payloads is compared with what they write and read.
struct SchemaTests {
    private static let document = AsyncAPIDocument().value

    private func data(of type: String) throws -> JSONObject {
        let id = type.replacing(".", with: "-") + "-data"
        return try #require(Self.document["components"]?["schemas"]?[id]?.object)
    }

    /// A value of a kind, and what is of every other.
    private static let samples: [(PayloadField.Kind, JSONValue)] = [
        (.string, "text"), (.integer, 3), (.object, ["a": [1]]), (.boolean, true), (.array, [1]), (.number, 1.5),
        (.strings, ["a", "b"]), (.timestamp, "2026-11-24T09:04:34.01671002Z"),
    ]

    /// Whether a value of one kind is of another kind, too.
    private static func isAlso(_ kind: PayloadField.Kind, _ other: PayloadField.Kind) -> Bool {
        kind == other || (kind, other) == (.integer, .number) || (kind, other) == (.timestamp, .string)
    }

    @Test func everyTypeOfTheMeshIsDescribed() {
        let described = Set(AsyncAPIDocument.meshPayloads.map { $0.eventType.rawValue })
        let reports: [EventType] = [.nodeUnreachable, .nodeRecovered, .nodeForgotten, .nodeMaintenance]
        let alerts: [EventType] = [.alertFired, .alertResolved, .alertSilenced, .alertUndelivered]
        let health: [EventType] = [.toolReady, .toolUnhealthy, .toolHealthy]
        let runs: [EventType] = [.toolFinished, .toolSkipped, .toolControlled]
        let sent = SystemEventTests.events.map(\.event.type) + health + reports + alerts + runs
        #expect(described == Set(sent.map(\.rawValue)) && described.count == AsyncAPIDocument.meshPayloads.count)
        let addresses = Self.document["channels"]?.object?.compactMap { $0.value["address"]?.string }
        #expect(Set(addresses ?? []) == Set(sent.map(\.subject) + ["events.user.{topic}"]))
    }

    @Test(arguments: AsyncAPIDocument.meshPayloads.indices)
    func whatAPayloadWritesIsWhatIsDescribed(index: Int) throws {
        let payload = AsyncAPIDocument.meshPayloads[index]
        let example = EventData(JSONObject(payload.fields.map { ($0.name, $0.example) }))
        let written = try payload.init(eventData: example).eventData()
        // Every member that is written is described, and what is described is written, with the value that was read.
        #expect(written == example)
        #expect(written.keys.sorted() == payload.fields.map(\.name).sorted())
        let schema = try data(of: payload.eventType.rawValue)
        #expect(schema["properties"]?.object?.keys == written.keys)
        let required = payload.fields.filter { !$0.isOptional }.map(\.name).sorted()
        #expect(schema["required"]?.array?.compactMap(\.string).sorted() == required)
        // Without the optional ones it is written without them.
        let least = EventData(JSONObject(payload.fields.filter { !$0.isOptional }.map { ($0.name, $0.example) }))
        #expect(try payload.init(eventData: least).eventData() == least && least.keys.sorted() == required)
        for field in payload.fields { #expect(!field.summary.isEmpty) }
    }

    @Test(arguments: AsyncAPIDocument.meshPayloads.indices)
    func whatAPayloadReadsIsWhatIsDescribed(index: Int) throws {
        let payload = AsyncAPIDocument.meshPayloads[index]
        let properties = try #require(try data(of: payload.eventType.rawValue)["properties"])
        for field in payload.fields {
            let types =
                properties[field.name]?["type"]?.string.map { [$0] }
                ?? properties[field.name]?["type"]?.array?.compactMap(\.string) ?? []
            #expect(!types.isEmpty)
            for (kind, sample) in Self.samples {
                // An array of described elements takes no others.
                let value = kind == field.kind && !field.elements.isEmpty ? field.example : sample
                let data = EventData(JSONObject([(field.name, value)]))
                let name = "\(payload).\(field.name) as \(value)"
                if Self.isAlso(kind, field.kind) {
                    #expect(try payload.init(eventData: data).eventData()[field.name]?.value == value, "\(name)")
                } else {
                    #expect(throws: MeshEventsError.self, "\(name)") { try payload.init(eventData: data) }
                }
            }
            let null = EventData(JSONObject([(field.name, .null)]))
            let back = try payload.init(eventData: null).eventData()[field.name]
            // Null is written again only where it is described; what is optional is left out.
            #expect(back?.isNull == (field.isOptional ? nil : types.contains("null")), "\(payload).\(field.name)")
        }
    }

    @Test func theElementsOfTheListOfToolsAreDescribed() throws {
        let items = try #require(try data(of: "node.health")["properties"]?["tools"]?["items"])
        let tool = NodeHealth.Tool(
            name: "a",
            version: "1",
            state: .failed,
            since: .now,
            restarts: 1,
            error: "no",
            usage: ProcessUsage(cpu: 1),
            isReady: false,
            health: NodeHealth.Tool.unhealthy,
            healthReason: "no",
            healthSince: .now,
            status: "loading",
            next: .now
        )
        let written = try NodeHealth(status: "", resources: nil, tools: [tool]).eventData()["tools"]?[0]?.value
        #expect(items["properties"]?.object?.keys == written?.object?.keys)
        #expect(items["required"]?.array?.compactMap(\.string).sorted() == ["name", "restarts", "state", "version"])
    }

    struct TrainingComplete: DescribedPayload, Codable {
        static let eventType: EventType = "user.training-complete.é"
        static let summary = "A model was trained."
        static let fields = [PayloadField("loss", .number, "The loss at the end.", example: 0.023)]
        var loss: Double
    }

    @Test func payloadsOfOnesOwnAreDescribedToo() throws {
        let document = AsyncAPIDocument(
            version: "2.1.0",
            server: "broker:4223",
            payloads: [TrainingComplete.self],
            describesUserEvents: false
        )
        .value
        #expect(document["info"]?["version"] == "2.1.0" && document["servers"]?["nats"]?["host"] == "broker:4223")
        let channels = try #require(document["channels"]?.object)
        #expect(channels.keys == ["user-training_2dcomplete-_c3_a9"])
        #expect(channels[0].value["address"] == "events.user.training-complete.é")
        #expect(
            document["components"]?["schemas"]?["user-training_2dcomplete-_c3_a9-data"]?["properties"]
                == ["loss": ["type": "number", "description": "The loss at the end."]]
        )
    }

    @Test func everyReferenceLeadsSomewhere() throws {
        var references: [String] = []
        func collect(_ value: JSONValue) {
            if let reference = value["$ref"]?.string { references.append(reference) }
            for member in value.object ?? [:] { collect(member.value) }
            for element in value.array ?? [] { collect(element) }
        }
        collect(Self.document)
        #expect(references.count > 50)
        for reference in references {
            let path = reference.split(separator: "/").map(String.init)
            let target = path.dropFirst().reduce(Self.document as JSONValue?) { $0?[$1] }
            #expect(path.first == "#" && target?.object != nil, "\(reference)")
        }
    }
}
