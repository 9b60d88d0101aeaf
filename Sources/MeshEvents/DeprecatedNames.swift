// The names of types in the last version.

/// The old name of ``StreamStart``.
@available(*, deprecated, renamed: "StreamStart")
public typealias ReplayStart = StreamStart

/// The old name of ``StreamStart``.
@available(*, deprecated, renamed: "StreamStart")
public typealias DurableStart = StreamStart

/// The old name of ``StoredPart/Start``.
@available(*, deprecated, renamed: "StoredPart.Start")
public typealias StorePosition = StoredPart.Start

/// The old name of ``DurableDefinition``.
@available(*, deprecated, renamed: "DurableDefinition")
public typealias DurableConfiguration = DurableDefinition

/// The old name of ``DurableSubscription/Configuration/Reconciliation``.
@available(*, deprecated, renamed: "DurableSubscription.Configuration.Reconciliation")
public typealias DurableReconcile = DurableSubscription.Configuration.Reconciliation

/// The old name of ``PersistentEventBus/Configuration``.
@available(*, deprecated, renamed: "PersistentEventBus.Configuration")
public typealias PersistenceConfiguration = PersistentEventBus.Configuration

/// The old name of ``EventSubscription/Buffer``.
@available(*, deprecated, renamed: "EventSubscription.Buffer")
public typealias BufferConfiguration = EventSubscription.Buffer
