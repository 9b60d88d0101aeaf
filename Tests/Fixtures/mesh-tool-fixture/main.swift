// A tool as a user writes one: it says that it is ready and what it was configured with, answers each `user.question`,
// and emits the number of events it was configured with when it is stopped.
import Logging
import MeshEvents
import MeshToolSDK

struct Settings: Decodable {
    var lastWords: Int
}

let tool = try await MeshTool.fromEnvironment(logger: Logger(label: "fixture") { _ in SwiftLogNoOpLogHandler() })
let settings = try tool.configuration(as: Settings.self)
let questions = try await tool.subscribe(to: "events.user.question")
try await tool.persistent().emit(
    "user.fixture.ready",
    ["configuration": JSONValue(tool.configuration), "tool": .string(tool.name)]
)
tool.status("listening\nto questions")
tool.ready()
try await tool.run { tool in
    tool.alive()
    do {
        for try await question in questions {
            try tool.emit("fixture.answer", ["to": .string(question.node)])
        }
    } catch is CancellationError {
        // Asked to stop.
    }
    for number in 0..<settings.lastWords { try tool.emit("fixture.last", ["number": JSONValue(number)]) }
}
